"""The counter and the change log in a database, with many writers and odd histories."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Cursor
from bearer_guard.stores._rows import LOG_IDS
from bearer_guard.stores._sql_gateway import Writing
from bearer_guard.stores._sql_log import lock_counter
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import ManualClock, a_record
from tests.stores.servers import Database
from tests.stores.sql_support import opened, until_it_answers

# The statements of a server are the same with each of its drivers.
pytestmark = pytest.mark.parametrize("database", ["asyncpg", "asyncmy"], indirect=True)

WRITERS = 12


@pytest.fixture
async def store(database: Database, clock: ManualClock) -> AsyncIterator[SqlStore]:
    async with opened(database.url(), clock=clock) as store:
        database.wipe()
        yield store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def head(store: SqlStore) -> Cursor:
    return (await store.changes(None)).cursor


async def add_and_end(store: SqlStore) -> UUID:
    record = a_record()
    await store.add(record)
    await store.end(record.id, 5)
    return record.id


async def test_no_end_of_twelve_writers_is_lost_or_told_twice(
    store: SqlStore, database: Database
) -> None:
    """Each has connections of its own, as if it were another process."""
    told = Counter[UUID]()
    done = asyncio.Event()

    async def poll(cursor: Cursor) -> None:
        while True:
            last = done.is_set()
            news = await store.changes(cursor)
            assert not news.reset
            told.update(news.ids)
            cursor = news.cursor
            if last:
                return
            await asyncio.sleep(0)

    async def write(writer: SqlStore) -> list[UUID]:
        records = [a_record() for _ in range(15)]
        for record in records:
            await writer.add(record)
            # Twelve in one event loop hold the counter for long: who had to wait too long goes on.
            await until_it_answers(partial(writer.end, record.id, 5), seconds=10)
        return [record.id for record in records]

    async with AsyncExitStack() as stack:
        url = database.url(tail="?pool_size=1")
        writers = [await stack.enter_async_context(opened(url)) for _ in range(WRITERS)]
        poller = asyncio.create_task(poll(await head(store)))
        written = await asyncio.gather(*(write(writer) for writer in writers))
        done.set()
        await poller
    assert told == Counter(id for ids in written for id in ids)


async def test_revisions_follow_each_other(store: SqlStore) -> None:
    first = await head(store)
    for _ in range(3):
        await add_and_end(store)
    assert (await head(store)).revision == first.revision + 3


async def test_a_counter_that_went_back_is_a_reset_and_ends_go_on(
    store: SqlStore, database: Database
) -> None:
    """A backup that was put back in part: the log knows revisions that the counter does not."""
    for _ in range(3):
        await add_and_end(store)
    cursor = await head(store)
    database.sql("UPDATE bearer_guard_meta SET revision = revision - 2, tag = '87654321'")
    assert (await store.changes(cursor)).reset
    ids = [await add_and_end(store) for _ in range(2)]
    assert (await store.changes(cursor)).reset
    later = await head(store)
    ids = [await add_and_end(store) for _ in range(4)]
    assert (await store.changes(later)).ids == set(ids)


@pytest.mark.parametrize("gone", ["=", ">=", "<="])
async def test_a_log_with_a_hole_is_a_reset(store: SqlStore, database: Database, gone: str) -> None:
    await add_and_end(store)
    cursor = await head(store)
    for _ in range(3):
        await add_and_end(store)
    where = f"revision {gone} {cursor.revision + 2}"
    database.sql(f"DELETE FROM bearer_guard_log WHERE {where}")  # noqa: S608 - a number
    assert (await store.changes(cursor)).reset


async def test_a_lost_log_does_not_stop_those_who_keep_up(
    store: SqlStore, database: Database
) -> None:
    await add_and_end(store)
    cursor = await head(store)
    database.sql("DELETE FROM bearer_guard_log")
    news = await store.changes(cursor)
    assert not news.reset
    await add_and_end(store)
    assert (await store.changes(cursor)).reset


async def test_a_clock_that_is_wrong_makes_no_hole(
    store: SqlStore, database: Database, clock: ManualClock
) -> None:
    """A revision dated long ago, between others: what is trimmed is all before it, or nothing."""
    cursor = await head(store)
    await add_and_end(store)
    slow = ManualClock(clock.now_ms() - 3_600_000)
    async with opened(database.url(), clock=slow) as late:
        await add_and_end(late)
    clock.advance(61)
    await add_and_end(store)
    assert (await store.changes(cursor)).reset


async def test_a_log_row_that_was_tampered_with_is_a_reset(
    store: SqlStore, database: Database
) -> None:
    cursor = await head(store)
    await add_and_end(store)
    database.sql("UPDATE bearer_guard_log SET ids = 'abc'")
    assert (await store.changes(cursor)).reset


async def test_far_too_many_revisions_are_a_reset(store: SqlStore, database: Database) -> None:
    cursor = await head(store)
    assert LOG_IDS < 10**9
    database.sql("UPDATE bearer_guard_meta SET revision = 1000000000")
    assert (await store.changes(cursor)).reset


async def test_without_a_counter_nothing_is_known(store: SqlStore, database: Database) -> None:
    cursor = await head(store)
    database.sql("DELETE FROM bearer_guard_meta")
    try:
        for call in (store.changes(cursor), store.policy(), store.end(a_record().id, 5)):
            with pytest.raises(StoreUnavailable, match="counter"):
                await call
    finally:
        database.sql(
            "INSERT INTO bearer_guard_meta (id, epoch, revision, tag) VALUES (1, 'e', 0, '1')"
        )


async def test_the_old_part_of_the_log_is_deleted(
    store: SqlStore, database: Database, clock: ManualClock
) -> None:
    for _ in range(5):
        await add_and_end(store)
        clock.advance(11 * 60)
    assert len(database.sql("SELECT revision FROM bearer_guard_log")) == 2


async def test_the_counter_is_locked_until_the_transaction_ends(
    store: SqlStore, database: Database
) -> None:
    order: list[str] = []
    locked = asyncio.Event()

    async def lock(gateway_of: SqlStore, name: str, go_on: asyncio.Event) -> None:
        async def work(writing: Writing) -> None:
            await lock_counter(writing.connection)
            order.append(name)
            locked.set()
            await go_on.wait()

        await gateway_of._gateway.write_alone(work)

    async with opened(database.url()) as other:
        first, second = asyncio.Event(), asyncio.Event()
        one = asyncio.create_task(lock(store, "one", first))
        await locked.wait()
        two = asyncio.create_task(lock(other, "two", second))
        await asyncio.sleep(0.1)  # time enough to get a lock that nobody holds
        assert order == ["one"]
        first.set()
        second.set()
        await asyncio.gather(one, two)
    assert order == ["one", "two"]
