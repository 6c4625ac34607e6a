"""The change log of a SQLite store."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bearer_guard.policy import Policy
from bearer_guard.store import Account, AccountChange
from bearer_guard.stores import _sqlite_log as log
from bearer_guard.stores import _sqlite_tokens as tokens
from bearer_guard.stores._rows import LOG_IDS, LOG_MS
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import ManualClock, a_record
from tests.stores.files import folder


@pytest.fixture
def path() -> Iterator[Path]:
    with folder() as where:
        yield where / "tokens.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, clock=clock)
    await store.open()
    yield store
    await store.close()


async def revision(store: SqliteStore) -> int:
    return (await store.changes(None)).cursor.revision


async def add_many(store: SqliteStore, count: int) -> None:
    records = [a_record() for _ in range(count)]

    def job(connection: sqlite3.Connection) -> None:
        for record in records:
            tokens.add(connection, record)

    await store._link.write(job)


def sizes(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            "revisions": connection.execute("SELECT count(*) FROM revisions").fetchone()[0],
            "log": connection.execute("SELECT count(*) FROM log").fetchone()[0],
            "floor": connection.execute("SELECT floor FROM meta").fetchone()[0],
        }


async def test_each_change_takes_one_revision(store: SqliteStore) -> None:
    await add_many(store, 5)
    await store.add_account(Account(name="alice", password_hash=None, created_ms=1, password_ms=1))
    start = await revision(store)
    token = (await store.page(None, None, 1)).records[0]
    await store.end(token.id, 9)
    assert await revision(store) == start + 1
    await store.end_all("alice", 8)
    assert await revision(store) == start + 2
    await store.set_policy(Policy())
    assert await revision(store) == start + 3
    await store.change_account("alice", AccountChange(disabled=True))
    assert await revision(store) == start + 4


async def test_what_changes_nothing_takes_none(store: SqliteStore) -> None:
    await add_many(store, 2)
    token = (await store.page(None, None, 1)).records[0]
    await store.end(token.id, 9)
    start = await revision(store)
    await store.end(token.id, 9)
    await store.end(token.id, 10)
    await store.end_all("nobody", 5)
    await store.purge(5)
    await add_many(store, 1)
    assert await revision(store) == start


@pytest.mark.parametrize(("count", "reset"), [(LOG_IDS, False), (LOG_IDS + 1, True)])
async def test_a_thousand_are_told_and_one_more_is_a_reset(
    store: SqliteStore, path: Path, count: int, *, reset: bool
) -> None:
    await add_many(store, count)
    start = (await store.changes(None)).cursor
    await store.end_all("alice", 5)
    news = await store.changes(start)
    assert (news.reset, len(news.ids)) == (reset, 0 if reset else count)
    assert sizes(path)["log"] == len(news.ids)  # nothing is kept that nobody will be told


async def test_a_thousand_and_one_in_pieces_are_a_reset(store: SqliteStore) -> None:
    await add_many(store, LOG_IDS)
    start = (await store.changes(None)).cursor
    await store.end_all("alice", 5)
    await add_many(store, 1)
    middle = (await store.changes(start)).cursor
    await store.end_all("alice", 5)
    assert (await store.changes(start)).reset
    assert len((await store.changes(middle)).ids) == 1


async def test_the_log_keeps_ten_minutes_and_the_revision_before(
    store: SqliteStore, path: Path, clock: ManualClock
) -> None:
    cursors = []
    for _ in range(4):
        clock.advance(LOG_MS / 2000 + 0.001)  # a little more than five minutes
        await add_many(store, 1)
        cursors.append((await store.changes(None)).cursor)
        await store.end_all("alice", 5)
    kept = [(await store.changes(cursor)).reset for cursor in cursors]
    assert kept == [True, True, False, False]
    assert [len((await store.changes(cursor)).ids) for cursor in cursors] == [0, 0, 2, 1]
    assert sizes(path) == {"revisions": 3, "log": 2, "floor": cursors[2].revision}


async def test_a_long_log_is_trimmed_a_bit_at_a_time(
    store: SqliteStore, path: Path, clock: ManualClock
) -> None:
    for _ in range(250):
        await store.set_policy(Policy())
    clock.advance(LOG_MS / 1000 + 1)
    left = []
    for _ in range(4):
        await store.set_policy(Policy())
        left.append(sizes(path)["revisions"])
    # 251 and one more with each; 99 go at a time, until the newest old one is left.
    assert left == [153, 55, 4, 5]


async def test_a_clock_that_is_set_back_trims_nothing_too_early(
    store: SqliteStore, clock: ManualClock
) -> None:
    clock.step_wall(-2 * LOG_MS)
    start = (await store.changes(None)).cursor
    await add_many(store, 1)
    await store.end_all("alice", 5)
    await store.set_policy(Policy())
    assert len((await store.changes(start)).ids) == 1


async def test_a_poll_in_the_middle_of_a_write_sees_all_of_it_or_nothing(
    store: SqliteStore, path: Path
) -> None:
    await add_many(store, 3)
    start = (await store.changes(None)).cursor
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.revise(other, [b"x" * 16, b"y" * 16], 5)
        assert (await store.changes(start)).cursor == start
        other.execute("COMMIT")
    news = await store.changes(start)
    assert (len(news.ids), news.cursor.revision) == (2, start.revision + 1)


async def test_a_poll_is_of_one_instant(store: SqliteStore, path: Path) -> None:
    """What is committed while it reads belongs to the next one, with its number."""
    await add_many(store, 2)
    first, second = (record.id for record in (await store.page(None, None, 2)).records)
    start = (await store.changes(None)).cursor
    await store.end(first, 5)
    reader = store._link.reader()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def interfere(statement: str) -> None:
            if "FROM log" in statement:
                reader.set_trace_callback(None)
                tokens.end(other, id=second, at_ms=5, reason="x", now_ms=5)

        reader.set_trace_callback(interfere)
        news = await store.changes(start)
    assert news.ids == {first}
    assert (await store.changes(news.cursor)).ids == {second}
