"""The change logs of a Redis store, when servers lose them, and when they lose everything."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
import redis

from bearer_guard.errors import StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.store import Cursor
from bearer_guard.stores._redis_log import SCHEMA
from bearer_guard.stores._rows import LOG_IDS, LOG_MS
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record
from tests.stores.redis_servers import RedisServer, a_redis, patience

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

LOG = "bearer_guard:{s0}:log"
ABOUT = "bearer_guard:{s0}:about"
SHARDS = 4


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
async def store(server: RedisServer, admin: redis.Redis) -> AsyncIterator[RedisStore]:
    assert admin.dbsize() == 0
    store = RedisStore(server.url())
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def sharded(server: RedisServer, admin: redis.Redis) -> AsyncIterator[RedisStore]:
    """In parts, on one server."""
    assert admin.dbsize() == 0
    store = RedisStore(server.url(f"?shards={SHARDS}"))
    await store.open()
    yield store
    await store.close()


async def head(store: RedisStore) -> Cursor:
    return (await store.changes(None)).cursor


async def ended(store: RedisStore, shard: int | None = None) -> UUID:
    """A token that ended just now."""
    record = a_record()
    while shard is not None and store._db.shard_of(record.id) != shard:
        record = a_record()
    await store.add(record)
    await store.end(record.id, 5)
    return record.id


async def test_another_entry_with_the_id_of_a_lost_one_is_a_reset(
    store: RedisStore, admin: redis.Redis
) -> None:
    """A promoted replica whose clock is behind can come to use an id again."""
    await ended(store)
    cursor = await head(store)
    (last, fields), *_ = admin.xrevrange(LOG, count=1)
    admin.delete(LOG)
    admin.xadd(LOG, fields | {b"tag": b"01234567"}, id=last)
    await ended(store)
    assert (await store.changes(cursor)).reset


async def test_a_log_that_went_back_is_a_reset(store: RedisStore, admin: redis.Redis) -> None:
    await ended(store)
    old = admin.xrange(LOG)
    await ended(store)
    cursor = await head(store)
    admin.delete(LOG)
    for entry, fields in old:
        admin.xadd(LOG, fields, id=entry)
    news = await store.changes(cursor)
    assert news.reset
    token = await ended(store)
    assert (await store.changes(news.cursor)).ids == {token}


async def test_a_lost_log_is_a_reset_and_a_new_one_begins(
    store: RedisStore, admin: redis.Redis
) -> None:
    cursor = await head(store)
    admin.delete(LOG)
    news = await store.changes(cursor)
    assert news.reset
    assert not (await store.changes(news.cursor)).reset


async def test_a_lost_log_is_a_reset_also_after_somebody_wrote_to_a_new_one(
    store: RedisStore, admin: redis.Redis
) -> None:
    cursor = await head(store)
    admin.delete(LOG)
    await ended(store)
    assert (await store.changes(cursor)).reset


async def test_an_entry_that_is_none_of_ours_is_a_reset(
    store: RedisStore, admin: redis.Redis
) -> None:
    for fields in ({"x": "y"}, {"tag": "t", "ids": "nonsense"}, {"tag": "t", "ids": "\xff" * 32}):
        cursor = await head(store)
        admin.xadd(LOG, fields)
        assert (await store.changes(cursor)).reset


async def test_a_flushed_server_is_a_reset_and_serves_again(
    store: RedisStore, admin: redis.Redis
) -> None:
    token = await ended(store)
    cursor = await head(store)
    admin.flushall()
    news = await store.changes(cursor)
    assert news.reset
    assert news.cursor.epoch != cursor.epoch
    assert await store.fetch([token]) == {}
    token = await ended(store)
    assert (await store.changes(news.cursor)).ids == {token}


async def test_a_thousand_ids_are_told_and_one_more_is_a_reset(
    store: RedisStore, admin: redis.Redis
) -> None:
    cursor = await head(store)
    ids = [a_record().id for _ in range(LOG_IDS)]
    admin.xadd(LOG, {"tag": "t", "ids": "".join(id.hex for id in ids[1:])})
    admin.xadd(LOG, {"tag": "t", "ids": ids[0].hex})
    assert (await store.changes(cursor)).ids == set(ids)
    await ended(store)
    assert (await store.changes(cursor)).reset


async def test_many_revisions_are_read_in_one_poll(store: RedisStore) -> None:
    cursor = await head(store)
    tokens = {await ended(store) for _ in range(250)}
    assert (await store.changes(cursor)).ids == tokens


async def test_old_entries_go_but_not_the_one_where_a_reader_stands(
    store: RedisStore, admin: redis.Redis
) -> None:
    now = int(admin.time()[0] * 1000)
    admin.delete(LOG)
    for number in range(1000):
        old = now - LOG_MS - 5_000 + number
        admin.xadd(LOG, {"tag": b"01234567", "ids": ""}, id=f"{old}-0")
    cursor = await head(store)
    token = await ended(store)
    assert admin.xlen(LOG) <= 101  # a block of the stream goes or stays
    news = await store.changes(cursor)
    assert (news.reset, news.ids) == (False, {token})


async def test_what_is_not_old_stays(store: RedisStore, admin: redis.Redis) -> None:
    for _ in range(300):
        await store.set_policy(Policy())
    assert admin.xlen(LOG) == 301


# Several shards


async def test_an_end_in_any_shard_is_told(sharded: RedisStore) -> None:
    cursor = await head(sharded)
    tokens = {await ended(sharded, shard) for shard in range(SHARDS)}
    news = await sharded.changes(cursor)
    assert (news.reset, news.ids) == (False, tokens)
    again = await sharded.changes(news.cursor)
    assert (again.reset, again.ids) == (False, set())


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_a_log_lost_in_any_shard_is_a_reset(
    sharded: RedisStore, admin: redis.Redis, shard: int
) -> None:
    cursor = await head(sharded)
    admin.delete(f"bearer_guard:{{s{shard}}}:log")
    assert (await sharded.changes(cursor)).reset


async def test_a_store_keeps_the_shards_that_it_was_made_with(
    sharded: RedisStore, server: RedisServer
) -> None:
    token = await ended(sharded)
    other = RedisStore(server.url(), shards=7)
    await other.open()
    assert token in await other.fetch([token])
    await other.close()


async def test_a_store_that_was_made_anew_with_other_shards_is_followed(
    sharded: RedisStore, server: RedisServer, admin: redis.Redis
) -> None:
    cursor = await head(sharded)
    admin.flushall()
    other = RedisStore(server.url(), shards=2)
    await other.open()
    token = await ended(other)
    news = await sharded.changes(cursor)
    assert news.reset
    assert token in await sharded.fetch([token])
    await other.close()


async def test_settings_that_are_lost_while_tokens_are_not_are_no_answer(
    sharded: RedisStore, server: RedisServer, admin: redis.Redis
) -> None:
    """A cluster can lose the part that says that tokens are switched off."""
    await sharded.set_policy(Policy(enabled=False))
    await ended(sharded, shard=2)
    cursor = await head(sharded)
    for key in admin.scan_iter("bearer_guard:{s0}:*"):
        admin.delete(key)
    new = RedisStore(server.url("?shards=9"))  # others know better
    for _ in range(2):
        for call in (sharded.changes(cursor), sharded.policy(), new.open()):
            with pytest.raises(StoreUnavailable, match="store upgrade"):
                await call
    assert "switched off" in await new.upgrade()
    assert (await sharded.changes(cursor)).policy == Policy(enabled=False)
    await new.open()
    assert await new.policy() == Policy(enabled=False)
    assert new._db.shards == SHARDS
    await new.close()
    assert "already" in await new.upgrade()


async def test_settings_of_one_shard_that_are_lost_while_tokens_are_not_are_no_answer(
    store: RedisStore, admin: redis.Redis
) -> None:
    await ended(store)
    admin.delete(ABOUT)
    with pytest.raises(StoreUnavailable, match="store upgrade"):
        await store.policy()
    assert "switched off" in await store.upgrade()
    assert await store.policy() == Policy(enabled=False)


async def test_settings_that_are_changed_in_a_flushed_store_are_kept(
    store: RedisStore, admin: redis.Redis
) -> None:
    admin.flushall()
    await store.set_policy(Policy(enabled=False))
    assert await store.policy() == Policy(enabled=False)


# What is known about the store


async def test_a_store_of_a_newer_version_is_not_opened(
    store: RedisStore, server: RedisServer, admin: redis.Redis
) -> None:
    admin.hset(ABOUT, "schema", SCHEMA + 1)
    with pytest.raises(StoreUnavailable, match=f"schema {SCHEMA + 1}"):
        await RedisStore(server.url()).open()
    with pytest.raises(StoreUnavailable, match=f"schema {SCHEMA + 1}"):
        await store.changes(None)


async def test_settings_that_can_not_be_read_are_no_answer(
    store: RedisStore, admin: redis.Redis
) -> None:
    admin.hset(ABOUT, "policy", "{}")
    with pytest.raises(StoreUnavailable):
        await store.policy()
    with pytest.raises(StoreUnavailable):
        await store.changes(None)


async def test_two_stores_with_two_prefixes_don_t_know_of_each_other(
    store: RedisStore, server: RedisServer
) -> None:
    other = RedisStore(server.url("?prefix=other:"))
    await other.open()
    record = a_record()
    await store.add(record)
    await store.set_policy(Policy(enabled=False))
    assert await other.fetch([record.id]) == {}
    assert await other.policy() == Policy()
    await other.add(record)
    await other.close()
