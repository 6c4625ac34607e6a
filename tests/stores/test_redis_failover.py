"""Another server takes over: fail-overs by Sentinels, slots that move, primaries that are none."""

import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.record import TokenRecord
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record
from tests.stores.redis_servers import (
    SERVICE,
    Cluster,
    Move,
    Watched,
    a_cluster,
    until,
    watched,
)
from tests.stores.sql_support import until_it_answers
from tests.support import within

LIMIT = 1.0  # seconds, for an answer that there is no answer


async def served(call: Callable[[], Awaitable[object]]) -> None:
    """Soon, and until then each try has an answer within a second."""

    async def ask() -> None:
        with within(LIMIT):
            await call()

    await until_it_answers(ask)


# Sentinels


@pytest.fixture
def group() -> Iterator[Watched]:
    with watched("--appendonly", "yes") as group:
        yield group


@pytest.fixture
async def store(group: Watched) -> AsyncIterator[RedisStore]:
    store = RedisStore(group.url())
    await store.open()
    yield store
    await store.close()


async def test_after_a_fail_over_everything_acknowledged_is_there(
    group: Watched, store: RedisStore
) -> None:
    records = [a_record() for _ in range(20)]
    for record in records:
        await store.add(record)
    for record in records[::2]:
        await store.end(record.id, 5)
    cursor = (await store.changes(None)).cursor
    old = group.primary()
    old.kill()
    with pytest.raises(StoreUnavailable):
        await store.fetch([records[0].id])
    await until(lambda: group.took_over(old))
    await served(lambda: store.fetch([records[0].id]))
    found = await store.fetch([record.id for record in records])
    assert [found[r.id] for r in records] == [
        r.end(5, "deleted") if n % 2 == 0 else r for n, r in enumerate(records)
    ]
    news = await store.changes(cursor)  # the replica had it all: the log goes on
    assert (news.reset, news.ids) == (False, set())
    await store.end(records[1].id, 5)  # without a replica there is nobody to wait for
    assert (await store.changes(news.cursor)).ids == {records[1].id}


async def test_an_old_primary_that_comes_back_is_not_asked(
    group: Watched, store: RedisStore
) -> None:
    """It hangs, another takes over, a token is ended there, and it wakes as if nothing was."""
    record = a_record()
    await store.add(record)
    old = group.primary()
    other = RedisStore(group.url())
    await other.open()  # with a connection to the old one, and idle from now on
    os.kill(old.pid, signal.SIGSTOP)
    await until(lambda: group.took_over(old))
    await served(lambda: store.end(record.id, 5))
    os.kill(old.pid, signal.SIGCONT)
    for _ in range(20):
        try:
            found = await other.fetch([record.id])
        except StoreUnavailable:
            continue
        assert found[record.id].ended_ms == 5
    await other.close()


async def test_a_switched_over_primary_is_followed(group: Watched, store: RedisStore) -> None:
    """As for maintenance: nobody dies, but the old one becomes a replica."""
    record = a_record()
    await store.add(record)
    old = group.primary()
    group.sentinels[0].client().execute_command("SENTINEL", "FAILOVER", SERVICE)
    await until(lambda: group.took_over(old))
    await served(lambda: store.end(record.id, 5))
    assert (await store.fetch([record.id]))[record.id].ended_ms == 5


# A cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture
async def in_cluster(cluster: Cluster) -> AsyncIterator[RedisStore]:
    cluster.flush()
    store = RedisStore(cluster.url())
    await store.open()
    yield store
    await store.close()


async def filled(store: RedisStore, shard: int) -> list[TokenRecord]:
    """Three tokens in a shard."""
    records = list[TokenRecord]()
    while len(records) < 3:
        record = a_record()
        if store._db.shard_of(record.id) == shard:
            records.append(record)
            await store.add(record)
    return records


async def test_a_slot_that_moved_is_followed_at_once(
    cluster: Cluster, in_cluster: RedisStore
) -> None:
    store = in_cluster
    records = await filled(store, 3)
    cursor = (await store.changes(None)).cursor
    move = Move(cluster, store._db.log_key(3))
    move.begin()
    move.finish()
    assert await store.fetch([r.id for r in records]) == {r.id: r for r in records}
    await store.end(records[0].id, 5)
    news = await store.changes(cursor)
    assert (news.reset, news.ids) == (False, {records[0].id})


@pytest.mark.parametrize("first", ["log", "token"])
async def test_while_a_slot_moves_nobody_is_told_half_of_it(
    cluster: Cluster, in_cluster: RedisStore, first: str
) -> None:
    """No node has all then: a token must not be unknown, and an end not unlogged."""
    store = in_cluster
    records = await filled(store, 5)
    cursor = (await store.changes(None)).cursor
    move = Move(cluster, store._db.log_key(5))
    move.begin()
    key = f"bearer_guard:{{s5}}:token:{records[0].id.hex}"
    move.carry(store._db.log_key(5) if first == "log" else key)
    for call in (
        lambda: store.fetch([records[0].id]),
        lambda: store.end(records[0].id, 5),
        lambda: store.end_all("alice", 5),
    ):
        with pytest.raises(StoreUnavailable):
            await call()
    move.finish()
    await served(lambda: store.fetch([records[0].id]))
    found = await store.fetch([r.id for r in records])
    assert set(found) == {r.id for r in records}
    told = (await store.changes(cursor)).ids
    assert {id for id, record in found.items() if record.ended_ms is not None} <= told
    assert await store.end_all("alice", 5) + len(told) >= len(records)


async def test_without_a_node_its_shards_don_t_answer_and_the_others_do() -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(a_cluster())
        for node in cluster.nodes:
            node.client().config_set("cluster-require-full-coverage", "no")
        store = RedisStore(cluster.url())
        await store.open()
        records = [a_record() for _ in range(60)]
        for record in records:
            await store.add(record)
        dead = cluster.nodes[2]
        lost = {
            r.id
            for r in records
            if cluster.node_with(store._db.log_key(store._db.shard_of(r.id))) is dead
        }
        dead.kill()
        began = time.monotonic()
        answered = set()
        while time.monotonic() < began + 1:
            for record in records[::5]:
                try:
                    answered |= set(await store.fetch([record.id]))
                except StoreUnavailable:
                    assert record.id in lost
        assert answered == {record.id for record in records[::5]} - lost
        with pytest.raises(StoreUnavailable):
            await store.changes(None)
        await store.close()


async def test_a_cluster_that_was_flushed_serves_again(
    cluster: Cluster, in_cluster: RedisStore
) -> None:
    cursor = (await in_cluster.changes(None)).cursor
    cluster.flush()
    news = await in_cluster.changes(cursor)
    assert news.reset
    await filled(in_cluster, 2)


async def test_one_node_that_was_flushed_is_a_reset(
    cluster: Cluster, in_cluster: RedisStore
) -> None:
    cursor = (await in_cluster.changes(None)).cursor
    node = next(n for n in cluster.nodes if n is not cluster.node_with(in_cluster._db.log_key(0)))
    node.client().flushall()
    assert (await in_cluster.changes(cursor)).reset


def test_the_key_of_a_log_says_its_slot(cluster: Cluster) -> None:
    store = RedisStore(cluster.url("?prefix=x:"))
    admin = cluster.nodes[0].client()
    slots = {admin.cluster("KEYSLOT", store._db.log_key(n)) for n in range(16)}
    assert len(slots) == 16
