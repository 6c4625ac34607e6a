"""Connections to one Redis server: what goes over them, and what becomes of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from redis.exceptions import RedisError, ResponseError

from bearer_guard.stores._redis_node import CONNECTIONS, Node
from bearer_guard.stores._redis_url import Address, Login
from tests.faults import Fault, faulty_proxy
from tests.stores.redis_servers import RedisServer, a_redis, until
from tests.support import LOOPBACK


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with a_redis() as server:
        yield server


@pytest.fixture
def admin(server: RedisServer) -> redis.Redis:
    client = server.client()
    client.flushall()
    return client


@pytest.fixture
async def node(server: RedisServer) -> AsyncIterator[Node]:
    node = Node(Address(LOOPBACK, server.port), login=Login())
    yield node
    await node.close()


async def test_what_is_sent_together_goes_over_one_connection(node: Node) -> None:
    ids = await asyncio.gather(*(node.send([("CLIENT", "ID")] * 5) for _ in range(10)))
    assert [len(set(map(str, some))) for some in ids] == [1] * 10
    assert len({some[0] for some in ids}) > 1


async def test_a_refusal_is_an_answer_and_the_rest_is_answered(node: Node) -> None:
    first, refused, last = await node.send([("SET", "a", 1), ("HGET", "a", "b"), ("GET", "a")])
    assert (first, last) == (b"OK", b"1")
    assert isinstance(refused, ResponseError)


async def test_the_answer_to_a_cancelled_call_is_nobody_elses(node: Node) -> None:
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await node.send([("BLPOP", "never", 0.05), ("ECHO", "stale")])
        assert await node.send([("ECHO", "fresh")]) == [b"fresh"]


async def test_more_callers_than_connections_wait_for_their_turn(
    node: Node, admin: redis.Redis
) -> None:
    before = admin.info("clients")["connected_clients"]
    calls = (node.send([("BLPOP", "never", 0.02)]) for _ in range(CONNECTIONS * 4))
    assert await asyncio.gather(*calls) == [[None]] * CONNECTIONS * 4
    assert admin.info("clients")["connected_clients"] <= before + CONNECTIONS


async def test_nothing_is_sent_twice(server: RedisServer, admin: redis.Redis) -> None:
    """A connection breaks when the server has done a part, and would take the whole again."""
    async with faulty_proxy(server.port) as proxy:
        node = Node(Address(LOOPBACK, proxy.port), login=Login())
        call = asyncio.ensure_future(node.send([("INCR", "count"), ("BLPOP", "never", 0.5)]))
        await until(lambda: admin.get("count") is not None)
        proxy.cut_all()
        with pytest.raises((RedisError, OSError)):
            await call
        assert admin.get("count") == b"1"
        await node.close()


async def test_a_connection_that_the_server_closed_is_not_used(
    node: Node, admin: redis.Redis
) -> None:
    await asyncio.gather(*(node.send([("PING",)]) for _ in range(10)))
    for _ in range(3):
        admin.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.02)  # for the event loop to hear of it
        assert await node.send([("ECHO", "on")]) == [b"on"]


async def test_no_connection_is_left_behind_after_200_cuts(
    server: RedisServer, admin: redis.Redis
) -> None:
    before = admin.info("clients")["connected_clients"]
    async with faulty_proxy(server.port) as proxy:
        node = Node(Address(LOOPBACK, proxy.port), login=Login())
        for number in range(200):
            await proxy.become(Fault.CUT if number % 2 else Fault.RESET)
            with pytest.raises((RedisError, OSError)):
                await node.send([("ECHO", "x" * 100)])
        await proxy.become(Fault.NONE)
        assert await node.send([("PING",)]) == [b"PONG"]
        assert proxy.open == 1
        await node.close()
    assert admin.info("clients")["connected_clients"] <= before + 1


async def test_a_closed_node_lets_go_of_its_connections(node: Node, admin: redis.Redis) -> None:
    before = admin.info("clients")["connected_clients"]
    await asyncio.gather(*(node.send([("PING",)]) for _ in range(10)))
    assert admin.info("clients")["connected_clients"] > before
    await node.close()
    await until(lambda: admin.info("clients")["connected_clients"] <= before)


def test_nothing_that_is_printed_tells_the_password() -> None:
    node = Node(Address(LOOPBACK, 1), login=Login("me", "5ecret"))
    assert "5ecret" not in f"{node!r} {node._pool!r}"
