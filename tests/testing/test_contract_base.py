"""What the parts of the contract share."""

import unicodedata
from uuid import uuid4

import pytest

from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock, a_record
from bearer_guard.testing._contract_base import WORDS, Contract, Heard, add_all, head


def test_the_words_hold_the_traps_of_collations() -> None:
    words = set(WORDS.values())
    assert len(words) == len(WORDS)
    assert len({unicodedata.normalize("NFC", word) for word in words}) < len(words)
    assert len({word.casefold() for word in words}) < len(words)
    assert len({word.strip() for word in words}) < len(words)
    assert sorted(words) != sorted(words, key=lambda word: word.encode("utf-16-be"))


def test_a_listener_knows_what_it_was_told() -> None:
    heard, id = Heard(), uuid4()
    heard([uuid4()])
    assert (heard.of(id), heard.of_everything()) == (False, False)
    heard([id])
    assert (heard.of(id), heard.of_everything()) == (True, False)
    heard(None)
    assert (heard.of(uuid4()), heard.of_everything()) == (True, True)


async def test_the_log_is_trimmed_by_letting_time_go_by() -> None:
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    start = await head(store)
    await Contract().trim_log(store, clock)
    assert (await store.changes(start)).reset


async def test_a_store_that_can_not_lose_revisions_is_not_said_to_pass() -> None:
    with pytest.raises(pytest.skip.Exception):
        await Contract().lose_revisions(MemoryStore(), 1)


async def test_an_error_among_many_additions_is_not_lost() -> None:
    record = a_record()
    with pytest.raises(ExceptionGroup):
        await add_all(MemoryStore(), [record, a_record(), record])
