"""Flushes of last uses, from several at once, and in bulk."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import cast

import pytest
from sqlalchemy import event

from bearer_guard.record import Use
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import Database
from tests.stores.sql_support import numbers, opened

# The statements of a server are the same with each of its drivers.
pytestmark = pytest.mark.parametrize("database", ["asyncpg", "asyncmy"], indirect=True)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        database.wipe()
        yield store


def fill(database: Database, count: int) -> None:
    """Many tokens, made by the server."""
    digest = "sha256('d')" if not database.is_mariadb else "unhex(sha2('d', 256))"
    source, id = (
        (numbers(count), "unhex(left(sha2(n, 256), 32))")
        if database.is_mariadb
        else (f"generate_series(1, {count}) AS n", "substr(sha256(n::text::bytea), 1, 16)")
    )
    database.sql(
        "INSERT INTO bearer_guard_tokens (id, owner, description, scopes, networks, family,"  # noqa: S608
        f" created_ms, digest, seal, key_id) SELECT {id}, 'alice', '', '[]', '[]', {id},"
        f" n, {digest}, {digest}, 'key' FROM {source}"
    )


async def test_of_four_that_flush_at_once_none_deadlocks(
    store: SqlStore, database: Database
) -> None:
    """Each has connections of its own, as another process would."""
    fill(database, 500)
    ids = [record.id for record in (await store.page(None, None, 500)).records]

    async def flush(flusher: SqlStore, number: int) -> None:
        for turn in range(8):
            mixed = random.sample(ids, len(ids))
            await flusher.touch({id: Use(1000 * turn + number) for id in mixed})

    async with AsyncExitStack() as stack:
        flushers = [await stack.enter_async_context(opened(database.url())) for _ in range(4)]
        await asyncio.gather(*(flush(flusher, number) for number, flusher in enumerate(flushers)))
    records = (await store.page(None, None, 500)).records
    assert {record.last_used_ms for record in records} == {7_003}


async def test_uses_are_written_a_thousand_at_a_time(store: SqlStore, database: Database) -> None:
    fill(database, 2_500)
    ids = [record.id for record in (await store.page(None, None, 2_500)).records]
    sent = list[int]()

    def note(*told: object) -> None:
        _, _, statement, values, *_ = told
        if "INSERT" in str(statement):
            sent.append(len(cast("Sequence[Sequence[object]]", values)[0]))

    engine = store._gateway._current().engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await store.touch(dict.fromkeys(ids, Use(6)))
    if database.is_mariadb:
        assert len(sent) == 3  # each with a row of values for a use
    else:
        assert sent == [1_000, 1_000, 500]  # each with three arrays
    found = await store.fetch(ids)
    assert {record.last_used_ms for record in found.values()} == {6}


@pytest.mark.parametrize("source", ["\0", "\ud800", "x" * 300], ids=["NUL", "surrogate", "long"])
async def test_an_address_that_can_not_be_kept_fails_no_flush(store: SqlStore, source: str) -> None:
    record = a_record()
    await store.add(record)
    await store.touch({record.id: Use(9, source)})
    found = (await store.fetch([record.id]))[record.id]
    assert (found.last_used_ms, found.last_used_from) == (9, None)
