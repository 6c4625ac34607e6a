"""`minting`: adds a new record, or leaves none behind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bearer_guard.errors import InvalidRequest, NotAllowed, StoreUnavailable
from bearer_guard.issuing.minting import Draft, Mint, length_ms
from bearer_guard.issuing.principal import Principal
from bearer_guard.keyring import Keyring
from bearer_guard.testing import a_record
from bearer_guard.token import TokenForm
from tests.issuing.support import FaultyStore

NOW = 1_800_000_000_000
ALICE = Principal("alice")
DRAFT = Draft(length_ms=1000, description="sync", scopes=["b", "a"], networks=["10.0.0.0/8"])


def a_mint(store: FaultyStore, keyring: Keyring) -> Mint:
    return Mint(store, keyring, TokenForm())


def test_a_draft_becomes_the_record_of_its_principal() -> None:
    record = DRAFT.record(ALICE, NOW)
    assert (record.owner, record.scopes, record.created_ms, record.expires_ms) == (
        "alice",
        ("a", "b"),
        NOW,
        NOW + 1000,
    )


def test_a_draft_beyond_its_principals_token_is_not_allowed() -> None:
    by_token = Principal("alice", token=a_record(scopes=["a"]))
    with pytest.raises(NotAllowed):
        DRAFT.record(by_token, NOW)


def test_a_draft_takes_over_the_line_of_its_principals_token() -> None:
    parent = a_record(scopes=["a", "b"])
    record = DRAFT.record(Principal("alice", token=parent), NOW)
    assert (record.family, record.parent) == (parent.family, parent.id)


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [(None, None), (timedelta(milliseconds=1), 1), (timedelta(days=2), 172_800_000)],
)
def test_a_lifetime_is_whole_milliseconds(lifetime: timedelta | None, expected: int | None) -> None:
    assert length_ms(lifetime) == expected


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(microseconds=1), timedelta(days=-1)])
def test_a_lifetime_of_no_millisecond_is_refused(lifetime: timedelta) -> None:
    with pytest.raises(InvalidRequest):
        length_ms(lifetime)


async def test_what_is_added_is_sealed_and_matches_its_value() -> None:
    store, keyring = FaultyStore(), Keyring.generate()
    issued = await a_mint(store, keyring).add(DRAFT.record(ALICE, NOW))
    stored = (await store.fetch([issued.record.id]))[issued.record.id]
    assert keyring.sealed(stored)
    assert keyring.matches(stored.key_id, stored.digest, issued.value.encode())


async def test_an_id_that_is_taken_is_made_anew() -> None:
    store = FaultyStore()
    store.taken = 2
    draft = DRAFT.record(ALICE, NOW)
    issued = await a_mint(store, Keyring.generate()).add(draft)
    assert issued.record.id != draft.id
    assert issued.record.family == issued.record.id
    assert "end" not in store.calls


async def test_a_new_id_leaves_the_line_as_it_is() -> None:
    store, parent = FaultyStore(), a_record(scopes=["a", "b"])
    store.taken = 1
    draft = DRAFT.record(Principal("alice", token=parent), NOW)
    issued = await a_mint(store, Keyring.generate()).add(draft)
    assert issued.record.family == parent.family


async def test_a_store_that_takes_no_id_is_given_up() -> None:
    store = FaultyStore()
    store.taken = 99
    with pytest.raises(StoreUnavailable):
        await a_mint(store, Keyring.generate()).add(DRAFT.record(ALICE, NOW))
    assert store.calls.count("add") == 3
    assert "end" not in store.calls
