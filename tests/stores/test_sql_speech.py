"""Flushes of last uses, from several processes at once, and in bulk."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from bearer_guard.record import Use
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import Database
from tests.stores.sql_support import opened

ROOT: Final = Path(__file__).resolve().parents[2]
TOKENS: Final = 10_000
# The statements of a server are the same with each of its drivers.
pytestmark = pytest.mark.parametrize("database", ["asyncpg", "asyncmy"], indirect=True)

FLUSHER: Final = """
import asyncio, random, sys
from bearer_guard.record import Use
from bearer_guard.stores.sql import SqlStore

async def main():
    number = int(sys.argv[2])
    store = SqlStore.from_url(sys.argv[1])
    await store.open()
    store._gateway.seconds = 10  # eight processes on a small machine
    ids = [record.id for record in (await store.page(None, None, 2000)).records]
    for round in range(4):
        random.shuffle(ids)
        await store.touch({id: Use(1000 * round + number) for id in ids})
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        database.wipe()
        yield store


def fill(database: Database, count: int) -> None:
    """Many tokens, made by the server."""
    digest = "sha256('d')" if not database.is_mariadb else "unhex(sha2('d', 256))"
    number, source, id = (
        ("seq", f"seq_1_to_{count}", "unhex(md5(seq))")
        if database.is_mariadb
        else ("n", f"generate_series(1, {count}) AS n", "decode(md5(n::text), 'hex')")
    )
    database.sql(
        "INSERT INTO bearer_guard_tokens (id, owner, description, scopes, networks, family,"  # noqa: S608
        f" created_ms, digest, seal, key_id) SELECT {id}, 'alice', '', '[]', '[]', {id},"
        f" {number}, {digest}, {digest}, 'key' FROM {source}"
    )


async def test_eight_processes_flush_at_once_and_none_deadlocks(
    store: SqlStore, database: Database
) -> None:
    fill(database, 2_000)
    flushers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FLUSHER, database.url(), str(number)),
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        for number in range(8)
    ]
    errors = [(await flusher.communicate())[1].decode() for flusher in flushers]
    assert [flusher.returncode for flusher in flushers] == [0] * 8, errors
    records = (await store.page(None, None, 2_000)).records
    assert {record.last_used_ms for record in records} == {3_007}


async def test_ten_thousand_uses_cost_about_ten_times_a_thousand(
    store: SqlStore, database: Database
) -> None:
    fill(database, TOKENS)
    found = await store.page(None, None, TOKENS)
    ids = [record.id for record in found.records]
    await store.touch(dict.fromkeys(ids, Use(1)))  # the rows are there
    a_thousand = min([await seconds(store, ids[:1_000], at_ms) for at_ms in (2, 3, 4)])
    ten_thousand = min([await seconds(store, ids, at_ms) for at_ms in (5, 6)])
    assert ten_thousand < 25 * a_thousand
    assert (await store.fetch(ids[-1:]))[ids[-1]].last_used_ms == 6


async def seconds(store: SqlStore, ids: list[UUID], at_ms: int) -> float:
    began = time.monotonic()
    await store.touch(dict.fromkeys(ids, Use(at_ms)))
    return time.monotonic() - began


@pytest.mark.parametrize("source", ["\0", "\ud800", "x" * 300], ids=["NUL", "surrogate", "long"])
async def test_an_address_that_can_not_be_kept_fails_no_flush(store: SqlStore, source: str) -> None:
    record = a_record()
    await store.add(record)
    await store.touch({record.id: Use(9, source)})
    found = (await store.fetch([record.id]))[record.id]
    assert (found.last_used_ms, found.last_used_from) == (9, None)
