"""What goes wrong between a store and Redis: an answer within a second, and service again soon."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import UUID

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.record import Use
from bearer_guard.store import Account, AccountChange, Note
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record
from tests.faults import Fault, FaultyProxy, cut_1000_times, faulty_proxy
from tests.stores.redis_servers import RedisServer, a_redis, until
from tests.stores.sql_support import outcome, until_it_answers
from tests.support import open_files, within

LIMIT = 1.0  # seconds, for an answer that there is no answer
RECORD = a_record()
FAULTS = [fault for fault in Fault if fault is not Fault.NONE]

CALLS: dict[str, Callable[[RedisStore], Awaitable[object]]] = {
    "fetch": lambda store: store.fetch([RECORD.id]),
    "changes": lambda store: store.changes(None),
    "policy": lambda store: store.policy(),
    "add": lambda store: store.add(a_record()),
    "end": lambda store: store.end(RECORD.id, 5),
    "end_all": lambda store: store.end_all("alice", 5),
    "touch": lambda store: store.touch({RECORD.id: Use(5)}),
    "page": lambda store: store.page(None, None, 5),
    "purge": lambda store: store.purge(5),
    "set_policy": lambda store: store.set_policy(Policy()),
    "remember_keys": lambda store: store.remember_keys(["k"]),
    "key_usage": lambda store: store.key_usage(5),
    "account": lambda store: store.account("alice"),
    "accounts": lambda store: store.accounts(),
    "add_account": lambda store: store.add_account(
        Account(name="bob", password_hash=None, created_ms=1, password_ms=1)
    ),
    "change_account": lambda store: store.change_account("alice", AccountChange(disabled=True)),
    "add_note": lambda store: store.add_note("k", Note("alice", "", 9), 5),
    "note": lambda store: store.note("k", 5),
    "drop_note": lambda store: store.drop_note("k"),
    "drop_notes": lambda store: store.drop_notes("alice"),
    "diagnose": lambda store: store.diagnose(),
    "upgrade": lambda store: store.upgrade(),
    "open": lambda store: store.open(),
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with a_redis() as server:
        yield server


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[FaultyProxy]:
    server.client().flushall()
    async with faulty_proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def store(server: RedisServer, proxy: FaultyProxy) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url(port=proxy.port))
    await store.open()
    await store.add(RECORD)
    yield store
    await proxy.become(Fault.NONE)
    await store.close()


async def no_answer(call: Awaitable[object]) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await call
    assert caught.value.__cause__ is not None


async def unavailable(call: Awaitable[object]) -> None:
    """It ends, in time, and as it should."""
    with within(LIMIT):
        await no_answer(call)


async def recovered(store: RedisStore) -> None:
    async def ask() -> None:
        assert await store.fetch([RECORD.id])

    await until_it_answers(ask)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_no_answer_is_said_within_a_second_and_service_comes_back(
    store: RedisStore, proxy: FaultyProxy, fault: Fault
) -> None:
    await asyncio.gather(*(store.fetch([RECORD.id]) for _ in range(20)))  # connections to lose
    await proxy.become(fault)
    for _ in range(2):
        await unavailable(CALLS["fetch"](store))
    await proxy.become(Fault.NONE)
    await recovered(store)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_many_at_once_get_no_answer_within_a_second(
    store: RedisStore, proxy: FaultyProxy, fault: Fault
) -> None:
    """More than there are connections."""
    await proxy.become(fault)
    with within(LIMIT):
        await asyncio.gather(*(no_answer(CALLS["fetch"](store)) for _ in range(100)))
    await proxy.become(Fault.NONE)
    await recovered(store)


async def test_a_store_stays_open_that_can_not_be_opened_again(
    store: RedisStore, proxy: FaultyProxy
) -> None:
    await proxy.become(Fault.REFUSE)
    await unavailable(store.open())
    await proxy.become(Fault.NONE)
    await recovered(store)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_every_call_knows_one_kind_of_no_answer(
    store: RedisStore, proxy: FaultyProxy, call: Callable[[RedisStore], Awaitable[object]]
) -> None:
    await proxy.become(Fault.REFUSE)
    await unavailable(call(store))


async def test_1000_cuts_leave_no_connection_behind(
    store: RedisStore, server: RedisServer, proxy: FaultyProxy
) -> None:
    admin = server.client()
    files = open_files()
    await cut_1000_times(proxy, lambda: outcome(store.end(RECORD.id, 5)))
    await recovered(store)
    await store.close()
    await until(lambda: not proxy.open and admin.info("clients")["connected_clients"] == 1)
    assert open_files() <= files + 1  # the administrator's


async def test_cancelled_calls_leave_nothing_behind(store: RedisStore, proxy: FaultyProxy) -> None:
    for pause in range(40):
        call = asyncio.ensure_future(store.fetch([RECORD.id]))
        await asyncio.sleep(pause / 20_000)  # somewhere on the way
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await store.fetch([RECORD.id]) == {RECORD.id: RECORD}
    assert proxy.open <= 3


async def test_a_server_that_starts_again_serves_again(store: RedisStore) -> None:
    with a_redis("--appendonly", "yes", "--appendfsync", "always") as server:
        store = RedisStore(server.url())
        await store.open()
        await store.add(RECORD)
        for stop in (server.stop, server.kill):
            stop()
            await unavailable(store.fetch([RECORD.id]))
            server.start()
            await recovered(store)
        await store.close()


class Writer:
    """Adds and ends tokens one after the other, and knows what was acknowledged."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.added = list[UUID]()
        self.ended = list[UUID]()
        self.enough = asyncio.Event()

    async def write(self, count: int) -> None:
        while True:
            record = a_record()
            await self.store.add(record)
            self.added.append(record.id)
            if len(self.added) % 2:
                await self.store.end(record.id, 5)
                self.ended.append(record.id)
            if len(self.ended) >= count:
                self.enough.set()


async def test_what_was_acknowledged_survives_the_end_of_the_server() -> None:
    """With the settings that are asked for: appendonly yes, appendfsync always."""
    with a_redis("--appendonly", "yes", "--appendfsync", "always") as server:
        store = RedisStore(server.url())
        await store.open()
        writer = Writer(store)
        for count in (30, 60, 90):
            writer.enough.clear()
            writers = [asyncio.ensure_future(writer.write(count)) for _ in range(5)]
            await writer.enough.wait()
            server.kill()
            outcomes = await asyncio.gather(*writers, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
            server.start()
            found = await store.fetch(writer.added)
            assert set(found) == set(writer.added)
            assert [found[id].ended_ms for id in writer.ended] == [5] * len(writer.ended)
        await store.close()


async def test_a_server_without_room_for_more_connections_is_no_answer(
    server: RedisServer, proxy: FaultyProxy
) -> None:
    admin = server.client()
    admin.ping()
    admin.config_set("maxclients", 1)
    try:
        await unavailable(RedisStore(server.url(port=proxy.port)).open())
    finally:
        admin.config_set("maxclients", 1000)


async def test_a_server_that_hangs_is_no_answer(store: RedisStore, server: RedisServer) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        await unavailable(store.fetch([RECORD.id]))
        await unavailable(store.end(RECORD.id, 5))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await recovered(store)
