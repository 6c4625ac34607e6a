"""The tokens of a Redis store: many of them, and those that somebody has been at."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
import redis

from bearer_guard.keyring import Keyring
from bearer_guard.record import TokenRecord, Use
from bearer_guard.store import KeyUsage
from bearer_guard.stores import _redis_tokens
from bearer_guard.stores._redis_rows import TOKEN_FIELDS
from bearer_guard.stores._rows import LOG_IDS, tampered
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record, a_token
from tests.stores.redis_servers import RedisServer, a_redis, patience

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

BASE = "bearer_guard:{s0}:"
LOG = f"{BASE}log"


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


def key_of(record: TokenRecord) -> str:
    return f"{BASE}token:{record.id.hex}"


def fill(admin: redis.Redis, owner: str, count: int) -> None:
    """Many tokens, faster than by `add`."""
    step = 20_000
    for first in range(1, count + 1, step):
        admin.eval(
            """
            for n = tonumber(ARGV[2]), tonumber(ARGV[3]) do
              local id = string.format('%032x', n)
              local place = string.format('%016d', n) .. id
              redis.call('HSET', KEYS[1] .. 'token:' .. id, 'o', ARGV[1], 'c', n, 'k', 'key', 'x',
                2000000000000, 'h', string.rep('h', 32), 'z', string.rep('z', 32))
              redis.call('ZADD', KEYS[1] .. 'all', 0, place)
              redis.call('ZADD', KEYS[1] .. 'owner:' .. ARGV[1], 0, place)
              redis.call('ZADD', KEYS[1] .. 'key:key', 2000000000000, id)
            end
            redis.call('SADD', KEYS[1] .. 'keys', 'key')
            """,
            1,
            BASE,
            owner,
            first,
            min(count, first + step - 1),
        )


# Many


async def test_a_bulk_is_ended_in_parts_that_a_log_entry_can_tell(
    store: RedisStore, admin: redis.Redis
) -> None:
    fill(admin, "bob", 2 * LOG_IDS + 1)
    start = admin.xlen(LOG)
    assert await store.end_all("bob", 5) == 2 * LOG_IDS + 1
    assert admin.xlen(LOG) == start + 3
    ids = [UUID(int=n) for n in range(1, 2 * LOG_IDS + 2)]
    assert {r.ended_ms for r in (await store.fetch(ids)).values()} == {5}
    assert await store.end_all("bob", 5) == 0
    assert admin.xlen(LOG) == start + 3  # what changes nothing is not told


async def test_a_large_family_ends_together(store: RedisStore, admin: redis.Redis) -> None:
    fill(admin, "bob", LOG_IDS + 5)
    for n in range(2, LOG_IDS + 6):
        admin.sadd(f"{BASE}family:{UUID(int=1).hex}", UUID(int=n).hex)
    cursor = (await store.changes(None)).cursor
    assert await store.end_all("bob", 5, family=UUID(int=1)) == LOG_IDS + 5
    assert (await store.changes(cursor)).reset


async def test_pages_are_found_behind_many_that_have_ended(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis_tokens, "LOOK_TOKENS", 3)
    live = [a_record(created_ms=at_ms) for at_ms in (1, 2, 20)]
    gone = [a_record(created_ms=at_ms, ended_ms=5, end_reason="deleted") for at_ms in range(3, 19)]
    for record in (*live, *gone):
        await store.add(record)
    first = await store.page("alice", None, 2, now_ms=10)
    assert first.records == [live[2], live[1]]
    last = await store.page("alice", first.next, 2, now_ms=10)
    assert (last.records, last.next) == ([live[0]], None)


@pytest.mark.parametrize("shards", [1, 5])
@pytest.mark.parametrize("limit", [1, 4, 30])
async def test_pages_of_several_shards_are_one_listing(
    server: RedisServer, admin: redis.Redis, shards: int, limit: int
) -> None:
    assert admin.dbsize() == 0
    store = RedisStore(server.url(f"?shards={shards}"))
    await store.open()
    records = [a_record(created_ms=n // 4) for n in range(25)]
    for record in records:
        await store.add(record)
    walked, after = [], None
    while True:
        page = await store.page(None, after, limit)
        walked += page.records
        if (after := page.next) is None:
            break
    assert walked == sorted(records, key=lambda r: (r.created_ms, r.id), reverse=True)
    await store.close()


@pytest.mark.parametrize("shards", [1, 3])
async def test_purges_go_on_until_all_is_gone(
    server: RedisServer, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    assert admin.dbsize() == 0
    monkeypatch.setattr(_redis_tokens, "PURGE_TOKENS", 3)
    store = RedisStore(server.url(f"?shards={shards}"))
    await store.open()
    before = sorted(admin.keys())
    for n in range(25):
        await store.add(a_record(expires_ms=n, key_id=f"k{n % 3}", family=uuid4()))
    assert [await store.purge(100, limit=7), await store.purge(100)] == [7, 18]
    assert sorted(admin.keys()) == before  # nothing is left of them
    await store.close()


async def test_many_uses_are_noted_in_parts(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis_tokens, "TOUCH_TOKENS", 4)
    records = [a_record() for _ in range(10)]
    for record in records:
        await store.add(record)
    uses = {record.id: Use(n, f"192.0.2.{n}") for n, record in enumerate(records, start=1)}
    await store.touch(uses)
    assert await store.fetch(list(uses)) == {r.id: r.use(uses[r.id]) for r in records}


@pytest.mark.parametrize("shards", [1, 5])
async def test_keys_are_counted_over_all_shards(
    server: RedisServer, admin: redis.Redis, shards: int
) -> None:
    assert admin.dbsize() == 0
    store = RedisStore(server.url(f"?shards={shards}"))
    await store.open()
    for n in range(20):
        await store.add(a_record(expires_ms=1000 + n, key_id="k"))
        await store.add(a_record(expires_ms=None if n == 3 else 2, key_id="other"))
    assert await store.key_usage(5) == {"k": KeyUsage(20, 1019), "other": KeyUsage(1, None)}
    await store.close()


async def test_what_a_look_up_costs_does_not_grow_with_the_store(
    store: RedisStore, admin: redis.Redis
) -> None:
    """By the server's own count of what it did for one: no scan of anything."""
    record = a_record()
    await store.add(record)
    for count in (10, 20_000):
        fill(admin, "bob", count)
        admin.config_resetstat()
        await store.fetch([record.id])
        await store.page("bob", None, 5)
        await store.purge(5)
        await store.key_usage(5)
        await store.end(record.id, 2**53 - count)
        calls = {
            name.removeprefix("cmdstat_"): stat["calls"]
            for name, stat in admin.info("commandstats").items()
        }
        assert not {"keys", "scan", "hgetall", "zrange"} & set(calls)
        assert sum(calls.values()) < 80, calls


# Tampered


@pytest.mark.parametrize("field", list(TOKEN_FIELDS)[:12])  # the rest only ever moves one way
async def test_each_changed_field_is_a_record_that_no_seal_fits(
    store: RedisStore, admin: redis.Redis, field: str
) -> None:
    keyring = Keyring.generate()
    whole = a_record(
        scopes=["a"], networks=["10.0.0.0/8"], family=uuid4(), parent=uuid4(), binding=b"x"
    )
    _, record = a_token(keyring, whole)
    await store.add(record)
    letter = TOKEN_FIELDS[field]
    for change in (
        lambda: admin.hset(key_of(record), letter, "5"),
        lambda: admin.hset(key_of(record), letter, b"\xff\0"),
        lambda: admin.hdel(key_of(record), letter),
    ):
        kept = admin.dump(key_of(record))
        change()
        found = (await store.fetch([record.id]))[record.id]
        assert not keyring.sealed(found)
        admin.restore(key_of(record), 0, kept, replace=True)
    assert keyring.sealed((await store.fetch([record.id]))[record.id])


async def test_another_kind_of_key_under_a_tokens_name_is_a_tampered_one(
    store: RedisStore, admin: redis.Redis
) -> None:
    record = a_record()
    await store.add(record)
    admin.delete(key_of(record))
    admin.set(key_of(record), "no hash")
    assert await store.fetch([record.id]) == {record.id: tampered(record.id)}
    assert (await store.page("alice", None, 5)).records == [tampered(record.id)]
    assert await store.end(record.id, 5) == tampered(record.id)
    assert await store.end_all("alice", 5) == 0
    await store.touch({record.id: Use(5)})


async def test_a_hash_without_what_a_token_has_is_a_tampered_one(
    store: RedisStore, admin: redis.Redis
) -> None:
    record = a_record()
    admin.hset(key_of(record), "unknown", "1")
    assert await store.fetch([record.id]) == {record.id: tampered(record.id)}


async def test_a_tampered_token_can_be_purged(store: RedisStore, admin: redis.Redis) -> None:
    record = a_record(expires_ms=5)
    await store.add(record)
    admin.delete(key_of(record))
    admin.set(key_of(record), "no hash")
    assert await store.purge(10) == 1
    assert await store.fetch([record.id]) == {}
    assert (await store.page("alice", None, 5)).records == []


@pytest.mark.parametrize("damage", ["no hash", "another key"])
async def test_a_tampered_token_that_was_ended_can_be_purged(
    store: RedisStore, admin: redis.Redis, damage: str
) -> None:
    record = a_record(expires_ms=None)
    await store.add(record)
    await store.add(a_record(key_id="another", expires_ms=None))
    cursor = (await store.changes(None)).cursor
    if damage == "no hash":
        admin.delete(key_of(record))
        admin.set(key_of(record), damage)
    else:
        admin.hset(key_of(record), TOKEN_FIELDS["key_id"], "another")
    assert await store.purge(10) == 0
    assert await store.end(record.id, 5) is not None
    assert (await store.changes(cursor)).ids == {record.id}
    assert await store.purge(10) == 1
    assert await store.fetch([record.id]) == {}


async def test_an_owner_who_was_swapped_ends_with_nobody_elses(
    store: RedisStore, admin: redis.Redis
) -> None:
    record = a_record()
    await store.add(record)
    admin.hset(key_of(record), "o", "mallory")
    assert await store.end_all("alice", 5) == 0
    assert await store.end_all("mallory", 5) == 0
    assert await store.end(record.id, 5) == replace(record, owner="mallory").end(5, "deleted")
