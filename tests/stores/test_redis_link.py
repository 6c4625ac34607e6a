"""Who has what: asked of Sentinels and of the nodes of a cluster."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest
from redis.exceptions import AuthenticationError, RedisError

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.stores import _redis_link
from bearer_guard.stores._redis_link import SENTINEL_SECONDS, Link
from bearer_guard.stores._redis_url import Address, parse
from bearer_guard.testing import ManualClock
from tests.faults import Fault, FaultyProxy, faulty_proxy
from tests.stores.redis_servers import (
    SERVICE,
    SLOTS,
    Cluster,
    Watched,
    a_cluster,
    a_redis,
    a_sentinel,
    patience,
    watched,
)
from tests.support import LOOPBACK, free_port, within

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

SOON = 0.5  # seconds: one that answers is not kept waiting by those that don't


def a_link(url: str, clock: ManualClock | None = None) -> Link:
    return Link(parse(url)[0], clock or SYSTEM_CLOCK)


async def test_one_server_is_where_its_url_says() -> None:
    link = a_link("redis://here:7")
    assert (await link.node_of(SLOTS - 1)).address == ("here", 7)
    assert [node.address for node in await link.primaries()] == [("here", 7)]
    assert await link.node_of(0) is await link.node_of(1)
    await link.close()


# Sentinels


@pytest.fixture(scope="module")
def group() -> Iterator[Watched]:
    with watched() as group:
        yield group


@pytest.fixture
async def proxies(group: Watched) -> AsyncIterator[list[FaultyProxy]]:
    """One before each Sentinel."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(faulty_proxy(sentinel.port))
            for sentinel in group.sentinels
        ]


def url_of(proxies: list[FaultyProxy], service: str = SERVICE) -> str:
    hosts = ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in proxies)
    return f"redis+sentinel://{hosts}/{service}"


async def test_sentinels_say_who_is_the_primary(group: Watched, proxies: list[FaultyProxy]) -> None:
    link = a_link(url_of(proxies))
    assert (await link.node_of(5)).address == (LOOPBACK, group.primary().port)
    await link.close()


@pytest.mark.parametrize("fault", [Fault.BLACK_HOLE, Fault.REFUSE, Fault.RESET])
@pytest.mark.parametrize("good", range(3))
async def test_one_sentinel_that_answers_is_enough(
    proxies: list[FaultyProxy], fault: Fault, good: int
) -> None:
    for number, proxy in enumerate(proxies):
        if number != good:
            await proxy.become(fault)
    link = a_link(url_of(proxies))
    with within(SOON):
        await link.node_of(5)
    await link.close()


@pytest.mark.parametrize("newest", [0, 1])
async def test_the_newest_word_counts_and_not_the_first(newest: int) -> None:
    """One may not have heard of a fail-over; each has a higher epoch than the one before."""
    with ExitStack() as stack:
        servers = [stack.enter_context(a_redis()) for _ in range(2)]
        epochs = [5, 4] if newest == 0 else [4, 5]
        sentinels = [
            stack.enter_context(a_sentinel(server, f"config-epoch {SERVICE} {epoch}"))
            for server, epoch in zip(servers, epochs, strict=True)
        ]
        for _ in range(10):
            link = a_link(Watched(servers, sentinels).url())
            assert (await link.node_of(5)).address.port == servers[newest].port
            await link.close()


async def test_without_any_sentinel_there_is_no_answer(proxies: list[FaultyProxy]) -> None:
    for proxy in proxies:
        await proxy.become(Fault.REFUSE)
    link = a_link(url_of(proxies))
    with pytest.raises((RedisError, OSError)):
        await link.node_of(5)
    for proxy in proxies:
        await proxy.become(Fault.NONE)
    await link.node_of(5)
    await link.close()


async def test_an_unknown_service_is_no_answer(proxies: list[FaultyProxy]) -> None:
    link = a_link(url_of(proxies, "other"))
    with pytest.raises(RedisError, match="the Sentinels know no such service"):
        await link.node_of(5)
    await link.close()


async def test_what_sentinels_said_stands_when_they_are_gone(
    proxies: list[FaultyProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary may be well without them."""
    monkeypatch.setattr(_redis_link, "FIND_SECONDS", 0.3)
    link = a_link(url_of(proxies))
    node = await link.node_of(5)
    for proxy in proxies:
        await proxy.become(Fault.BLACK_HOLE)
    link.forget()
    assert await link.node_of(5) is node
    await link.close()


async def test_sentinels_are_asked_again_after_a_second(
    proxies: list[FaultyProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    link = a_link(url_of(proxies), clock)
    ask, asked = link._ask_sentinels, list[int]()

    async def counted() -> list[_redis_link._Range]:
        asked.append(1)
        return await ask()

    monkeypatch.setattr(link, "_ask_sentinels", counted)
    for wait in (0, SENTINEL_SECONDS - 0.01, 0.01, 0, SENTINEL_SECONDS):
        clock.advance(wait)
        await asyncio.gather(*(link.node_of(5) for _ in range(5)))
    assert len(asked) == 3
    await link.close()


async def test_sentinels_that_ask_who_one_is_are_told(group: Watched) -> None:
    for sentinel in group.sentinels:
        rules = ["+sentinel|get-master-addr-by-name", "+sentinel|master"]  # as documented
        sentinel.client().execute_command("ACL", "SETUSER", "asker", "on", ">pw", *rules)
    link = a_link(group.url("?sentinel_username=asker&sentinel_password=pw"))
    assert (await link.node_of(5)).address.port == group.primary().port
    await link.close()
    link = a_link(group.url("?sentinel_username=asker&sentinel_password=wrong"))
    with pytest.raises(AuthenticationError):
        await link.node_of(5)
    await link.close()


# A cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as cluster:
        yield cluster


async def test_the_nodes_say_who_has_a_slot(cluster: Cluster) -> None:
    link = a_link(cluster.url())
    ports = [(await link.node_of(slot)).address.port for slot in (0, SLOTS // 2, SLOTS - 1)]
    assert ports == [node.port for node in cluster.nodes]
    assert {node.address.port for node in await link.primaries()} == set(ports)
    await link.close()


async def test_one_node_of_the_url_that_answers_is_enough(cluster: Cluster) -> None:
    async with faulty_proxy(cluster.nodes[0].port) as mute:
        await mute.become(Fault.BLACK_HOLE)
        dead, well = free_port(), cluster.nodes[2].port
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in (mute.port, dead, well))
        link = a_link(f"redis+cluster://{hosts}")
        with within(SOON):
            await link.node_of(5)
        await link.close()


async def test_without_any_node_there_is_no_answer() -> None:
    link = a_link(f"redis+cluster://{LOOPBACK}:{free_port()}")
    with pytest.raises((RedisError, OSError)):
        await link.node_of(5)
    await link.close()


async def test_a_node_that_does_not_know_its_name_is_where_it_was_asked() -> None:
    with a_redis("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as lone:
        admin = lone.client()
        link = a_link(f"redis+cluster://{LOOPBACK}:{lone.port}")
        with pytest.raises(RedisError, match="no node of the cluster has the slot"):
            await link.node_of(5)
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 2)
        assert (await link.node_of(5)).address == (LOOPBACK, lone.port)
        with pytest.raises(RedisError, match="no node of the cluster has the slot"):
            await link.node_of(SLOTS - 1)
        await link.close()


async def test_nodes_that_have_nothing_any_more_are_let_go(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = a_link(cluster.url())
    await link.node_of(5)
    old = link.node(Address(LOOPBACK, cluster.nodes[1].port))
    await old.send([("PING",)])
    ranges = await link._ask_cluster()

    async def without_the_second() -> list[_redis_link._Range]:
        return [owner for owner in ranges if owner.address != old.address]

    monkeypatch.setattr(link, "_ask_cluster", without_the_second)
    link.forget()
    await link.node_of(5)
    assert link.node(old.address) is not old
    await asyncio.gather(*link._tasks._running)
    assert not [c for c in old._pool._available_connections if c.is_connected]
    await link.close()
