"""Transactions, snapshots and errors, as the gateway makes them."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.stores._sql_gateway import CALL_SECONDS, Gateway
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import Database
from tests.stores.sql_support import in_haste, opened, outcome

COUNT = text("SELECT count(*) FROM bearer_guard_keys")
INSERT = text("INSERT INTO bearer_guard_keys (id) VALUES ('k')")


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        database.wipe()
        yield store


@pytest.fixture
def gateway(store: SqlStore) -> Gateway:
    return store._gateway


async def test_a_connection_that_reads_keeps_no_snapshot(
    gateway: Gateway, database: Database
) -> None:
    async with gateway.reading() as connection:
        assert await connection.scalar(COUNT) == 0
        database.sql("INSERT INTO bearer_guard_keys (id) VALUES ('k')")
        assert await connection.scalar(COUNT) == 1


async def test_a_transaction_sees_what_others_commit(gateway: Gateway, database: Database) -> None:
    async with gateway.writing() as writing:
        assert await writing.connection.scalar(COUNT) == 0
        database.sql("INSERT INTO bearer_guard_keys (id) VALUES ('k')")
        assert await writing.connection.scalar(COUNT) == 1


async def insert_and_raise(gateway: Gateway, error: BaseException) -> None:
    async with gateway.writing() as writing:
        await writing.connection.execute(INSERT)
        raise error


@pytest.mark.parametrize("error", [InvalidRequest("no"), KeyError("k"), asyncio.CancelledError()])
async def test_what_raises_is_taken_back(
    gateway: Gateway, database: Database, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        await insert_and_raise(gateway, error)
    async with gateway.writing() as writing:
        assert await writing.connection.scalar(COUNT) == 0
        await writing.connection.execute(INSERT)
    assert len(database.sql("SELECT id FROM bearer_guard_keys")) == 1


async def test_a_refusal_keeps_the_connection(gateway: Gateway) -> None:
    before = dict(gateway._current()._open)
    with pytest.raises(InvalidRequest):
        await insert_and_raise(gateway, InvalidRequest("no"))
    assert gateway._current()._open == before


async def test_a_statement_that_hangs_ends_in_time(gateway: Gateway, database: Database) -> None:
    sleep = text("SELECT sleep(5)" if database.is_mariadb else "SELECT pg_sleep(5)")

    async def hang() -> None:
        async with gateway.reading() as connection:
            await connection.execute(sleep)

    gateway.seconds = CALL_SECONDS
    error, seconds = await outcome(hang())
    assert error is StoreUnavailable
    assert seconds < 1


async def test_a_lock_that_is_held_ends_in_time(store: SqlStore, database: Database) -> None:
    record = a_record()
    await store.add(record)
    async with opened(database.url()) as other, other._gateway.patient() as connection:
        await connection.execute(text("SELECT revision FROM bearer_guard_meta FOR UPDATE"))
        error, seconds = await outcome(in_haste(store).end(record.id, 5))
    assert error is StoreUnavailable
    assert seconds < 1
    await store.end(record.id, 5)


async def test_more_callers_than_connections_wait_their_turn(store: SqlStore) -> None:
    await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(60)))


async def test_an_error_tells_what_the_server_said(store: SqlStore, database: Database) -> None:
    database.sql("DROP TABLE bearer_guard_keys")
    try:
        with pytest.raises(StoreUnavailable, match="bearer_guard_keys") as raised:
            await store.remember_keys(["k"])
    finally:
        kind = "VARBINARY(1020)" if database.is_mariadb else "TEXT"
        database.sql(f"CREATE TABLE bearer_guard_keys (id {kind} PRIMARY KEY)")
    assert raised.value.__cause__ is not None
    assert database.name in str(raised.value)


async def test_statements_with_secrets_do_not_show_them(
    store: SqlStore, database: Database
) -> None:
    database.sql("ALTER TABLE bearer_guard_tokens RENAME TO elsewhere")
    record = a_record(description="what nobody should see")
    try:
        with pytest.raises(StoreUnavailable) as raised:
            await store.add(record)
    finally:
        database.sql("ALTER TABLE elsewhere RENAME TO bearer_guard_tokens")
    error: BaseException | None = raised.value
    while error is not None:
        assert "nobody should see" not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
