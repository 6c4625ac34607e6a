"""What goes wrong between a store and its database, and how the store comes back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from uuid import UUID, uuid4

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.record import Use
from bearer_guard.stores._sql_gateway import Writing
from bearer_guard.stores._sql_log import lock_counter
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.faults import Fault, FaultyProxy, cut_1000_times, faulty_proxy
from tests.stores.full_disk import SMALL_LOG, fill, limit_files
from tests.stores.servers import (
    Database,
    Mariadb,
    Mysql,
    Postgresql,
    a_database_of,
    a_mariadb,
    a_postgresql,
)
from tests.stores.sql_support import in_haste, opened, outcome, until_it_answers
from tests.support import open_files, within

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
CALLS: dict[str, Callable[[SqlStore], Awaitable[object]]] = {
    "fetch": lambda store: store.fetch([uuid4()]),
    "fetch many": lambda store: store.fetch([uuid4(), uuid4()]),
    "changes": lambda store: store.changes(None),
    "end": lambda store: store.end(uuid4(), 5),
    "add": lambda store: store.add(a_record()),
    "touch": lambda store: store.touch({uuid4(): Use(5)}),
    "set_policy": lambda store: store.set_policy(Policy()),
    "account": lambda store: store.account("alice"),
}


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[FaultyProxy]:
    async with faulty_proxy(database.server.port) as proxy:
        yield proxy


@pytest.fixture
async def store(database: Database, proxy: FaultyProxy) -> AsyncIterator[SqlStore]:
    async with opened(database.url(port=proxy.port)) as store:
        yield in_haste(store)


def asked(store: SqlStore) -> Callable[[], Awaitable[object]]:
    return lambda: store.fetch([uuid4()])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_each_fault_is_store_unavailable_within_a_second_and_gone_within_two(
    store: SqlStore, proxy: FaultyProxy, fault: Fault
) -> None:
    await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(5)))  # a pool of five
    await proxy.become(fault)
    with within(1):
        outcomes = await asyncio.gather(*(outcome(call(store)) for call in CALLS.values()))
    assert {error for error, _ in outcomes} == {StoreUnavailable}
    await proxy.become(Fault.NONE)
    await until_it_answers(asked(store))
    for call in CALLS.values():
        await call(store)


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.CUT, Fault.HALF_OPEN], ids=lambda fault: fault.name
)
async def test_one_failed_call_is_enough_to_find_out_about_the_whole_pool(
    store: SqlStore, proxy: FaultyProxy, fault: Fault
) -> None:
    await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(5)))
    await proxy.become(fault)
    assert (await outcome(store.fetch([uuid4()])))[0] is StoreUnavailable
    await proxy.become(Fault.NONE)
    await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(5)))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_store_does_not_open_on_a_fault(
    database: Database, proxy: FaultyProxy, fault: Fault
) -> None:
    await proxy.become(fault)
    store = SqlStore.from_url(database.url(port=proxy.port))
    with within(1):
        assert (await outcome(store.open()))[0] is StoreUnavailable
    with within(1):
        await store.close()


async def test_1000_cuts_leave_no_connections_behind(
    store: SqlStore, proxy: FaultyProxy, database: Database
) -> None:
    before = open_files()
    await cut_1000_times(proxy, lambda: outcome(store.fetch([uuid4()])))
    await until_it_answers(asked(store))
    assert proxy.open <= 10  # what the pool may hold
    await store.close()
    await until_it_answers(partial(nobody_is_left, proxy, database))
    assert open_files() <= before


async def nobody_is_left(proxy: FaultyProxy, database: Database) -> None:
    if proxy.open or database.clients():
        raise StoreUnavailable("they are still there")


async def test_who_vanished_with_the_counter_locked_does_not_stop_the_others(
    store: SqlStore, proxy: FaultyProxy, database: Database
) -> None:
    """A half-open connection: the server alone can notice, and takes the lock back."""
    record = a_record()
    await store.add(record)
    async with opened(database.url()) as other:
        on_mysql = isinstance(database.server, Mysql)
        vanishing = lock_and_vanish(store, proxy, on_mysql=on_mysql)
        assert (await outcome(vanishing))[0] is StoreUnavailable
        await until_it_answers(partial(other.end, record.id, 5))
        assert (await other.fetch([record.id]))[record.id].ended_ms == 5


async def lock_and_vanish(store: SqlStore, proxy: FaultyProxy, *, on_mysql: bool) -> None:
    async def work(writing: Writing) -> None:
        if on_mysql:  # there it is five minutes
            await writing.connection.exec_driver_sql("SET SESSION wait_timeout = 1")
        await lock_counter(writing.connection)
        await proxy.become(Fault.HALF_OPEN)
        await lock_counter(writing.connection)

    await store._gateway.write_alone(work)


async def added_until_refused(store: SqlStore) -> tuple[list[UUID], UUID]:
    """The tokens that were acknowledged, and the first one that was not."""
    added = list[UUID]()
    while True:
        record = a_record()
        with within(1):
            error, _ = await outcome(store.add(record))
        if error is not None:
            return added, record.id
        added.append(record.id)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(a_postgresql, id="postgresql"),
        pytest.param(
            partial(a_mariadb, SMALL_LOG),
            id="mariadb",
            marks=pytest.mark.skipif(bool(Mysql.program), reason="filled in MariaDB's words"),
        ),
    ],
)
async def test_a_full_disk_is_store_unavailable_and_loses_nothing_that_was_acknowledged(
    make: Callable[[], AbstractContextManager[Postgresql | Mariadb]],
) -> None:
    with a_database_of(make()) as database:
        async with opened(database.url()) as store:
            old = a_record()
            await store.add(old)
            in_haste(store)
            fill(database)
            added, refused = await added_until_refused(store)
            end, _ = await outcome(store.end(old.id, 5))  # its page may have room for that
            assert set(await store.fetch([*added, refused])) == set(added)  # reads are answered
            limit_files(database.server)
            await store.add(a_record())  # with space again, at once
            database.server.kill()
            database.server.start()
            await until_it_answers(lambda: store.add(a_record()))
            found = await store.fetch([old.id, *added, refused])
            assert set(found) == {old.id, *added}
            assert found[old.id].ended_ms == (5 if end is None else None)


async def test_a_postgresql_without_a_place_for_its_wal_ends_and_loses_nothing() -> None:
    with a_database_of(a_postgresql()) as database:
        async with opened(database.url()) as store:
            old, refused = a_record(), a_record()
            await store.add(old)
            limit_files(database.server, "0")
            assert (await outcome(in_haste(store).add(refused)))[0] is StoreUnavailable
            database.server.kill()
            database.server.start()  # with space again
            await until_it_answers(lambda: store.add(a_record()))
            assert set(await store.fetch([old.id, refused.id])) == {old.id}


async def test_errors_tell_no_secrets(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = database.url(port=1)
    secret = "s3cret-of-the-database"
    url = url.replace("bg:p%40ss/w%3Ard@", "bg@").replace("bg@", f"bg:{secret}@")
    store = SqlStore.from_url(url)
    with pytest.raises(StoreUnavailable) as raised:
        await store.open()
    error: BaseException | None = raised.value
    while error is not None:
        assert secret not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    assert secret not in caplog.text
