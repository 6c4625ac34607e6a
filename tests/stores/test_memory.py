"""The store in memory: the contract, and what is its own."""

import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.store import AccountStore, Note, NoteStore, Store, open_store
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import (
    AccountStoreContract,
    ManualClock,
    NoteStoreContract,
    StoreContract,
    a_record,
)


class TestMemoryStore(StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(clock=clock)
        await store.open()
        yield store
        await store.close()

    async def lose_revisions(self, store: MemoryStore, count: int) -> None:
        for _ in range(count):
            store._changes._revisions.pop()


@pytest.mark.parametrize("protocol", [Store, AccountStore, NoteStore])
def test_it_is_all_that_a_store_can_be(protocol: type) -> None:
    assert isinstance(MemoryStore(), protocol)


def test_a_url_opens_a_new_one(clock: ManualClock) -> None:
    one, other = open_store("memory://", clock=clock), open_store("memory://")
    assert isinstance(one, MemoryStore)
    assert one is not other
    assert one._clock is clock


@pytest.mark.parametrize("url", ["memory://name", "memory:///path", "memory://?a=b", "memory:x"])
def test_a_url_that_says_more_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="memory:// and nothing more"):
        open_store(url)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no such store option: path"):
        open_store("memory://", path="x")


async def test_it_answers_before_it_is_opened_but_not_after_it_is_closed() -> None:
    store, record = MemoryStore(), a_record()
    await store.add(record)
    assert store.fetch_now([record.id]) == {record.id: record}
    await store.close()
    with pytest.raises(StoreUnavailable):
        store.fetch_now([record.id])
    await store.open()
    assert store.fetch_now([record.id]) == {record.id: record}


async def test_a_bulk_end_is_one_revision() -> None:
    store = MemoryStore()
    for _ in range(5):
        await store.add(a_record())
    before = (await store.changes(None)).cursor
    await store.end_all("alice", 5)
    await store.end_all("alice", 5)
    assert (await store.changes(None)).cursor.revision == before.revision + 1


@pytest.mark.parametrize("count", ["2", "16"])
async def test_several_workers_are_refused(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", count)
    with pytest.raises(ConfigurationError, match=f"WEB_CONCURRENCY is {count}"):
        await MemoryStore().open()


@pytest.mark.parametrize("count", ["", "1", "0", "auto", "\u00b2"])
async def test_one_worker_is_welcome(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", count)
    await MemoryStore().open()


def test_a_child_process_is_warned() -> None:
    """As uvicorn's workers are, which its own option starts."""
    code = (
        "import asyncio, logging, multiprocessing as mp\n"
        "from bearer_guard.stores.memory import MemoryStore\n"
        "def work():\n"
        "    logging.basicConfig()\n"
        "    asyncio.run(MemoryStore().open())\n"
        "child = mp.get_context('fork').Process(target=work)\n"
        "child.start(); child.join()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "WARNING:bearer_guard:memory:// in a child process" in run.stderr


async def test_a_process_of_its_own_is_not_warned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await MemoryStore().open()
    assert caplog.records == []


async def test_expired_notes_do_not_pile_up() -> None:
    store = MemoryStore()
    for number in range(20):
        await store.add_note(str(number), Note("alice", "", number + 1), number)
    assert list(store._notes) == ["19"]


async def test_owners_without_tokens_leave_nothing_behind() -> None:
    store = MemoryStore()
    await store.add(a_record(expires_ms=5))
    await store.page("nobody", None, 10)
    await store.end_all("nobody", 5)
    await store.purge(10)
    assert dict(store._orders) == {}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
