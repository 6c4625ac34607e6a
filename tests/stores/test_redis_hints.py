"""Hints of a Redis store: soon, and never more than hints."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from uuid import UUID

import pytest

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.keyring import Keyring
from bearer_guard.policy import Policy
from bearer_guard.stores import _redis_hints
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record, a_token
from bearer_guard.verdict import Accepted
from bearer_guard.verify import Verifier
from tests.faults import Fault, faulty_proxy
from tests.stores.redis_servers import RedisServer, a_redis, patience, until

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

SOON = 2.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with a_redis() as server:
        yield server


@pytest.fixture(params=[1, 3])
async def store(server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[RedisStore]:
    server.client().flushall()
    store = RedisStore(server.url(f"?shards={request.param}"))
    await store.open()
    yield store
    await store.close()


class Listener:
    """What came, in a task of its own."""

    def __init__(self, hints: AsyncIterator[Collection[UUID]]) -> None:
        self.heard: asyncio.Queue[Collection[UUID]] = asyncio.Queue()
        self.task = asyncio.create_task(self._listen(hints))

    async def _listen(self, hints: AsyncIterator[Collection[UUID]]) -> None:
        async for ids in hints:
            self.heard.put_nowait(ids)

    async def next(self) -> Collection[UUID]:
        async with asyncio.timeout(SOON):
            return await self.heard.get()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def listening(server: RedisServer, connections: int) -> None:
    """Until so many of them wait for the log."""
    admin = server.client()
    await until(lambda: admin.info("clients")["blocked_clients"] >= connections)


async def test_an_end_is_hinted_soon(store: RedisStore, server: RedisServer) -> None:
    listener = Listener(store.hints())
    await listening(server, store._db.shards)
    for _ in range(10):
        record = a_record()
        await store.add(record)
        await store.end(record.id, 5)
        assert await listener.next() == {record.id}
    await listener.stop()


async def test_ends_of_before_are_not_hinted(store: RedisStore, server: RedisServer) -> None:
    records = [a_record(), a_record()]
    for record in records:
        await store.add(record)
    await store.end(records[0].id, 5)
    listener = Listener(store.hints())
    await listening(server, store._db.shards)
    await store.end(records[1].id, 5)
    assert await listener.next() == {records[1].id}
    await listener.stop()


async def test_what_is_not_of_tokens_does_no_harm(store: RedisStore, server: RedisServer) -> None:
    listener = Listener(store.hints())
    await listening(server, store._db.shards)
    await store.set_policy(Policy(enabled=False))
    assert await listener.next() == set()
    server.client().xadd(store._db.log_key(0), {"x": "y"})
    assert await listener.next() == set()
    server.client().xadd(store._db.log_key(0), {"tag": "t", "ids": "*"})
    assert await listener.next() == set()
    await listener.stop()


async def test_a_log_that_is_silent_is_asked_again(
    store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis_hints, "WAIT_SECONDS", 0.02)
    admin = server.client()
    admin.config_resetstat()
    listener = Listener(store.hints())
    await until(lambda: admin.info("commandstats").get("cmdstat_xread", {}).get("calls", 0) > 20)
    record = a_record()
    await store.add(record)
    await store.end(record.id, 5)
    assert await listener.next() == {record.id}
    await listener.stop()


async def test_a_lost_log_is_followed_when_it_begins_again(
    store: RedisStore, server: RedisServer
) -> None:
    listener = Listener(store.hints())
    await listening(server, store._db.shards)
    server.client().flushall()
    await store.changes(None)
    record = a_record()
    await store.add(record)
    await store.end(record.id, 5)
    while not (ids := await listener.next()):
        pass
    assert ids == {record.id}
    await listener.stop()


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.BLACK_HOLE], ids=lambda fault: fault.name)
async def test_a_lost_connection_is_an_error_and_can_be_made_again(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(_redis_hints, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(_redis_hints, "GRACE_SECONDS", 0.2)
    async with faulty_proxy(server.port) as proxy:
        store = RedisStore(server.url(port=proxy.port))
        await store.open()
        listener = Listener(store.hints())
        await listening(server, 1)
        await proxy.become(fault)
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(listener.task, SOON)
        await proxy.become(Fault.NONE)
        again = Listener(store.hints())
        await listening(server, 1)
        await again.stop()
        await store.close()


async def test_who_stops_listening_leaves_no_connection(
    store: RedisStore, server: RedisServer
) -> None:
    admin = server.client()
    await store.changes(None)
    before = admin.info("clients")["connected_clients"]
    for _ in range(5):
        listener = Listener(store.hints())
        await listening(server, store._db.shards)
        await listener.stop()
    await asyncio.sleep(0.05)  # the server sees it in its own time
    assert admin.info("clients")["connected_clients"] <= before
    store.hints()  # and who never begins has none


async def test_a_store_that_is_not_open_has_no_hints(server: RedisServer) -> None:
    store = RedisStore(server.url())
    with pytest.raises(StoreUnavailable):
        await anext(store.hints())


@pytest.mark.parametrize(
    ("hinted", "limit"), [(True, 0.5), (False, 5.0)], ids=["hints", "polls alone"]
)
async def test_an_ended_token_is_refused_in_another_process(
    store: RedisStore,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    hinted: bool,  # noqa: FBT001 - a parameter of the test
    limit: float,
) -> None:
    """As far as two objects stand for two processes: they share nothing but the server."""
    keyring = Keyring.generate()
    other = RedisStore(server.url())
    if not hinted:
        monkeypatch.setattr(other, "hints", lambda: None)
    verifier = Verifier(other, keyring)
    await verifier.open()
    if hinted:
        await listening(server, store._db.shards)
    now_ms = SYSTEM_CLOCK.now_ms()
    token, record = a_token(keyring, a_record(created_ms=now_ms, expires_ms=None))
    await store.add(record)
    assert isinstance(await verifier.verify(token), Accepted)
    await store.end(record.id, now_ms)
    async with asyncio.timeout(limit):
        while isinstance(await verifier.verify(token), Accepted):  # noqa: ASYNC110 - a client asks
            await asyncio.sleep(0.001)
    await verifier.close()
