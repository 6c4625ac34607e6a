"""Transactions, snapshots and errors, as the gateway makes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import TextClause, text

from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.stores._sql_gateway import CALL_SECONDS, Gateway, Writing
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import DRIVERS, Database, Postgresql, a_database
from tests.stores.sql_support import in_haste, opened, outcome, taken_back

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
    async def look(writing: Writing) -> None:
        assert await writing.connection.scalar(COUNT) == 0
        database.sql("INSERT INTO bearer_guard_keys (id) VALUES ('k')")
        assert await writing.connection.scalar(COUNT) == 1

    await gateway.write(look)


async def insert(writing: Writing) -> None:
    assert await writing.connection.scalar(COUNT) == 0
    await writing.connection.execute(INSERT)


async def insert_and_raise(gateway: Gateway, error: BaseException) -> None:
    async def work(writing: Writing) -> None:
        await insert(writing)
        raise error

    await gateway.write(work)


@pytest.mark.parametrize("error", [InvalidRequest("no"), KeyError("k"), asyncio.CancelledError()])
async def test_what_raises_is_taken_back(
    gateway: Gateway, database: Database, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        await insert_and_raise(gateway, error)
    await gateway.write(insert)
    assert len(database.sql("SELECT id FROM bearer_guard_keys")) == 1


async def test_a_refusal_keeps_the_connection(gateway: Gateway) -> None:
    before = dict(gateway._current()._open)
    with pytest.raises(InvalidRequest):
        await insert_and_raise(gateway, InvalidRequest("no"))
    assert gateway._current()._open == before


# Transactions that the server takes back


@pytest.fixture(params=["asyncpg", "psycopg"])
def on_postgresql(request: pytest.FixtureRequest, postgresql: Postgresql) -> Iterator[Database]:
    with a_database(postgresql, DRIVERS[request.param]) as database:
        yield database


@pytest.mark.parametrize("at", ["IMMEDIATE", "DEFERRED"])
async def test_a_transaction_that_was_taken_back_is_begun_anew(
    on_postgresql: Database, at: str
) -> None:
    record = a_record()
    async with opened(on_postgresql.url()) as store:
        await store.add(record)
        cursor = (await store.changes(None)).cursor
        connections = dict(store._gateway._current()._open)
        with taken_back(on_postgresql, 2, at=at):
            ended = await store.end(record.id, 5)
        assert ended is not None
        assert ended.ended_ms == 5
        news = await store.changes(cursor)
        assert (news.ids, news.cursor.revision) == ({record.id}, cursor.revision + 1)
        assert store._gateway._current()._open == connections


async def test_a_transaction_is_not_begun_anew_for_ever(on_postgresql: Database) -> None:
    record = a_record()
    async with opened(on_postgresql.url()) as store:
        await store.add(record)
        with taken_back(on_postgresql, 1_000, at="DEFERRED"):
            with pytest.raises(StoreUnavailable, match="restart transaction"):
                await store.end(record.id, 5)
            [(tries,)] = on_postgresql.sql("SELECT last_value FROM tries")
        assert tries == 5
        assert (await store.fetch([record.id]))[record.id].ended_ms is None


async def test_deadlocks_too_are_begun_anew(store: SqlStore, database: Database) -> None:
    """Of two that lock the same rows in turn, the server takes one back."""
    order, meeting = ["a", "b"], asyncio.Barrier(2)
    await store.remember_keys(order)
    lock = text("SELECT id FROM bearer_guard_keys WHERE id = :id FOR UPDATE")
    begun = 0

    async def lock_both(ids: list[str], writing: Writing) -> None:
        nonlocal begun
        begun += 1
        await writing.connection.execute(lock, {"id": ids[0]})
        if begun <= len(order):
            await meeting.wait()
        await writing.connection.execute(lock, {"id": ids[1]})

    if not database.is_mariadb:
        database.sql(f"ALTER DATABASE {database.name} SET deadlock_timeout = '50ms'")
    async with opened(database.url()) as other:
        await asyncio.gather(
            store._gateway.write(partial(lock_both, order)),
            other._gateway.write(partial(lock_both, order[::-1])),
        )
    assert begun == len(order) + 1


# Errors


def sleep(database: Database, seconds: float) -> TextClause:
    # Where nothing else is selected, MySQL does not tell when it has cut it short.
    mariadb = f"SELECT 1 FROM bearer_guard_meta WHERE sleep({seconds})"  # noqa: S608
    return text(mariadb if database.is_mariadb else f"SELECT pg_sleep({seconds})")


async def test_a_statement_that_hangs_ends_in_time(gateway: Gateway, database: Database) -> None:
    async def hang() -> None:
        async with gateway.reading() as connection:
            await connection.execute(sleep(database, 5))

    gateway.seconds = CALL_SECONDS
    error, seconds = await outcome(hang())
    assert error is StoreUnavailable
    assert seconds < 1


async def test_a_patient_call_may_take_longer(gateway: Gateway, database: Database) -> None:
    async with gateway.patient() as connection:
        await connection.execute(sleep(database, 0.8))


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
