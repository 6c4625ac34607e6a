"""Look-ups by the driver itself: rows that somebody has been at, and odd ones."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from bearer_guard.keyring import Keyring
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record, a_token
from tests.stores.servers import Database
from tests.stores.sql_support import opened

# The statements of a server are the same with each of its drivers.
pytestmark = pytest.mark.parametrize("database", ["asyncpg", "asyncmy"], indirect=True)

TAMPERED = {
    "scopes": "scopes = '[1]'",
    "no list": "scopes = '{}'",
    "no JSON": "networks = 'x'",
    "owner": "owner = 'mallory'",
    "expiry": "expires_ms = NULL",
    "seal": "seal = digest",
    "short seal": "seal = 'x'",
    "family": "family = digest",
    "parent": "parent = id",
    "binding": "binding = 'x'",
    "key": "key_id = 'other'",
}


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        database.wipe()
        yield store


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
async def test_a_row_that_was_tampered_with_fits_no_seal(
    store: SqlStore, database: Database, change: str
) -> None:
    keyring = Keyring.generate()
    _, record = a_token(keyring)
    await store.add(record)
    if database.is_mariadb and change == TAMPERED["family"]:
        change = "family = reverse(id)"  # a column of a fixed length takes no other
    database.sql(f"UPDATE bearer_guard_tokens SET {change}")  # noqa: S608 - from the table above
    for ids in ([record.id], [record.id, uuid4()]):
        found = await store.fetch(ids)
        assert not keyring.sealed(found[record.id])
    page = await store.page(None, None, 5)
    assert [keyring.sealed(found) for found in page.records] == [False]


async def test_text_that_is_none_fits_no_seal(store: SqlStore, database: Database) -> None:
    if not database.is_mariadb:
        return  # PostgreSQL keeps no such text
    keyring = Keyring.generate()
    _, record = a_token(keyring)
    await store.add(record)
    database.sql("UPDATE bearer_guard_tokens SET owner = unhex('ff')")
    assert not keyring.sealed((await store.fetch([record.id]))[record.id])


async def test_one_and_many_look_alike(store: SqlStore) -> None:
    records = [
        a_record(owner="\u00fc ", scopes=["a"], last_used_ms=5, last_used_from="::1"),
        a_record(parent=uuid4(), binding=b"\xff\x00", ended_ms=5, end_reason="leaked"),
    ]
    for record in records:
        await store.add(record)
    one_by_one = [(await store.fetch([record.id]))[record.id] for record in records]
    assert one_by_one == records
    assert await store.fetch([r.id for r in records]) == {r.id: r for r in records}
