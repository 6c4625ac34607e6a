"""Accounts and notes in a database: what the contract does not ask."""

from collections.abc import AsyncIterator

import pytest

from bearer_guard.errors import InvalidRequest
from bearer_guard.store import Account, AccountChange, Note
from bearer_guard.stores.sql import SqlStore
from tests.stores.servers import Database
from tests.stores.sql_support import opened

# The statements of a server are the same with each of its drivers.
pytestmark = pytest.mark.parametrize("database", ["asyncpg", "asyncmy"], indirect=True)

ODD = ["a\0b", "\ud800"]


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        database.wipe()
        yield store


@pytest.mark.parametrize("name", ODD, ids=["NUL", "surrogate"])
async def test_a_name_that_can_not_be_kept_is_nobodys(store: SqlStore, name: str) -> None:
    assert await store.account(name) is None
    assert await store.change_account(name, AccountChange(admin=True)) is None
    with pytest.raises(InvalidRequest):
        await store.add_account(Account(name=name, password_hash=None, created_ms=1, password_ms=1))


@pytest.mark.parametrize("key", ODD, ids=["NUL", "surrogate"])
async def test_a_key_that_can_not_be_kept_is_unknown(store: SqlStore, key: str) -> None:
    assert await store.note(key, 5) is None
    assert await store.drop_note(key) is False
    assert await store.drop_notes(key) == 0
    for note in (Note(key, "", 10), Note("alice", key, 10)):
        with pytest.raises(InvalidRequest):
            await store.add_note("key", note, 5)
    with pytest.raises(InvalidRequest):
        await store.add_note(key, Note("alice", "", 10), 5)


async def test_a_key_of_a_keyring_that_can_not_be_kept_is_invalid(store: SqlStore) -> None:
    with pytest.raises(InvalidRequest):
        await store.remember_keys(["\0"])


async def test_names_beyond_what_a_column_holds_are_invalid_or_kept(
    store: SqlStore, database: Database
) -> None:
    long = Account(name="\u00fc" * 600, password_hash=None, created_ms=1, password_ms=1)
    if database.is_mariadb:
        with pytest.raises(InvalidRequest, match="too long"):
            await store.add_account(long)
    else:
        assert await store.add_account(long)
    assert (await store.account(long.name) is None) is database.is_mariadb


async def test_notes_that_have_expired_do_not_pile_up(store: SqlStore, database: Database) -> None:
    for number in range(20):
        await store.add_note(f"old {number}", Note("alice", "", 100), 50)
    await store.add_note("new", Note("alice", "", 200_000), 100_000)
    assert len(database.sql("SELECT owner FROM bearer_guard_notes")) == 1
