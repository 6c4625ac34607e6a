"""Tokens in a database: what a hundred thousand of them cost, and bulk."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from uuid import UUID

import pytest

from bearer_guard.errors import DuplicateToken, InvalidRequest
from bearer_guard.record import Use
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import Database
from tests.stores.sql_support import numbers, opened

# The statements of a server are the same with each of its drivers.
pytestmark = pytest.mark.parametrize("database", ["asyncpg", "asyncmy"], indirect=True)

MANY = 100_000
# Digits of a number as an id, for a table that the server itself fills.
_POSTGRESQL = f"""
    INSERT INTO bearer_guard_tokens (id, owner, description, scopes, networks, family, created_ms,
        expires_ms, digest, seal, key_id)
    SELECT substr(sha256(n::text::bytea), 1, 16), 'owner' || (n % 1000), '', '[]', '[]',
        substr(sha256(n::text::bytea), 1, 16), n, 1000000 + n, sha256('d'), sha256('s'), 'key'
    FROM generate_series(1, {MANY}) AS n;
    INSERT INTO bearer_guard_last_used SELECT id, 1, NULL FROM bearer_guard_tokens;
    ANALYZE
"""  # noqa: S608 - a number of our own
_MARIADB = f"""
    INSERT INTO bearer_guard_tokens (id, owner, description, scopes, networks, family, created_ms,
        expires_ms, digest, seal, key_id)
    SELECT unhex(left(sha2(n, 256), 32)), concat('owner', n % 1000), '', '[]', '[]',
        unhex(left(sha2(n, 256), 32)), n, 1000000 + n, unhex(sha2('d', 256)),
        unhex(sha2('s', 256)), 'key'
    FROM {numbers(MANY)};
    INSERT INTO bearer_guard_last_used SELECT id, 1, NULL FROM bearer_guard_tokens;
    ANALYZE TABLE bearer_guard_tokens, bearer_guard_last_used
"""  # noqa: S608
FIRST = UUID(bytes=sha256(b"1").digest()[:16])
SECOND = UUID(bytes=sha256(b"2").digest()[:16])

CALLS: dict[str, Callable[[SqlStore], Awaitable[object]]] = {
    "fetch one": lambda store: store.fetch([FIRST]),
    "fetch two": lambda store: store.fetch([FIRST, SECOND]),
    "end": lambda store: store.end(FIRST, 5),
    "end all of an owner": lambda store: store.end_all("owner7", 5),
    "end a family": lambda store: store.end_all("owner2", 5, family=SECOND),
    "list an owner's": lambda store: store.page("owner8", None, 10),
    "list an owner's live ones": lambda store: store.page("owner8", None, 10, now_ms=9),
    "list an owner's next": lambda store: store.page("owner8", f"50000.{SECOND.hex}", 10),
    "list everybody's": lambda store: store.page(None, None, 10),
    "list everybody's next": lambda store: store.page(None, f"50000.{SECOND.hex}", 10, now_ms=9),
    "purge": lambda store: store.purge(1_000_100),
    "touch": lambda store: store.touch({FIRST: Use(7), SECOND: Use(8)}),
}


@pytest.fixture(scope="module")
def tables(database: Database) -> Database:
    asyncio.run(make_tables(database))
    database.sql(_MARIADB if database.is_mariadb else _POSTGRESQL)
    return database


async def make_tables(database: Database) -> None:
    async with opened(database.url()):
        pass


def rows_read(database: Database) -> int:
    """How many rows of tables and indexes the server has looked at so far."""
    if database.is_mariadb:
        status = database.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
        return sum(int(str(value)) for _, value in status)
    tables = "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_user_tables"
    return int(str(database.sql(tables)[0][0]))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_each_call_looks_at_few_rows_of_many(
    tables: Database, call: Callable[[SqlStore], Awaitable[object]]
) -> None:
    async with opened(tables.url()):
        pass  # whatever opening reads
    before = rows_read(tables)
    async with opened(tables.url()) as store:
        await call(store)
    # PostgreSQL's sessions tell their statistics when they end, which is after they are closed.
    await_statistics(tables)
    assert rows_read(tables) - before < MANY / 20


def await_statistics(database: Database) -> None:
    if not database.is_mariadb:
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        deadline = time.monotonic() + 5
        while len(database.sql(others)) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_a_look_up_goes_by_the_index(tables: Database, many: bool) -> None:  # noqa: FBT001
    async with opened(tables.url()) as store, store._gateway.reading() as connection:
        statement = store._lookup._many
        ids = [FIRST.bytes, SECOND.bytes] if many else [FIRST.bytes]
        compiled = str(
            statement.compile(dialect=connection.dialect)
            if not tables.is_mariadb
            else statement.params(ids=ids).compile(
                dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
            )
        )
        values: object = tuple(ids) if tables.is_mariadb else (ids,)
        if "%(ids)s" in compiled:
            values = {"ids": ids}
        plan = await connection.exec_driver_sql(f"EXPLAIN {compiled}", values)
        lines = [str(row) for row in plan.all()]
    assert not [line for line in lines if "Seq Scan on bearer_guard_tokens" in line]
    if tables.is_mariadb:
        assert [line for line in lines if "'bearer_guard_tokens', 'ALL'" in line] == []


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        yield store


async def test_thousands_of_tokens_end_in_one_revision(tables: Database, store: SqlStore) -> None:
    tables.sql("UPDATE bearer_guard_tokens SET owner = 'rich' WHERE created_ms <= 5000")
    cursor = (await store.changes(None)).cursor
    live = await store.page("rich", None, 10_000, now_ms=10)
    assert await store.end_all("rich", 9) == len(live.records)
    news = await store.changes(cursor)
    assert (news.reset, news.cursor.revision) == (True, cursor.revision + 1)
    assert await store.end_all("rich", 9) == 0


async def test_a_taken_id_leaves_no_last_use_behind(store: SqlStore) -> None:
    record = a_record()
    await store.add(record)
    with pytest.raises(DuplicateToken):
        await store.add(a_record(id=record.id, last_used_ms=9))
    assert (await store.fetch([record.id]))[record.id].last_used_ms is None


@pytest.mark.parametrize(
    "fields",
    [
        {"owner": "a\0b"},
        {"owner": "\ud800"},
        {"description": "\0"},
        {"description": "\udfff"},
        {"scopes": ["\ud800"]},
        {"networks": ["\ud800"]},
        {"key_id": "\0"},
        {"ended_ms": 5, "end_reason": "\0"},
        {"last_used_ms": 5, "last_used_from": "\0"},
    ],
    ids=str,
)
async def test_text_that_can_not_be_kept_is_an_invalid_request(
    store: SqlStore, fields: dict[str, object]
) -> None:
    record = a_record(**fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        await store.add(record)
    assert await store.fetch([record.id]) == {}


async def test_what_can_not_be_kept_is_not_found_either(store: SqlStore) -> None:
    for name in ("a\0b", "\ud800"):
        assert (await store.page(name, None, 5)).records == []
        assert await store.end_all(name, 5) == 0
