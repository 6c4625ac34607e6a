"""The Lua scripts: where they run, where they don't, and that they do all or nothing."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import redis

from bearer_guard.errors import StoreUnavailable
from bearer_guard.record import Use
from bearer_guard.store import Account, Note
from bearer_guard.stores import _redis_scripts as scripts
from bearer_guard.stores._redis_scripts import Script
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record
from tests.stores.redis_servers import (
    RedisServer,
    a_pair,
    a_redis,
    patience,
    valkey_program,
)

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

ALL = {name: script for name, script in vars(scripts).items() if isinstance(script, Script)}
GROW = {"ADD", "ADD_ACCOUNT", "ADD_NOTE", "TOUCH"}
LOG = "bearer_guard:{s0}:log"


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with a_redis(program=valkey_program() if request.param == "valkey" else None) as server:
        yield server


@pytest.fixture
def admin(server: RedisServer) -> redis.Redis:
    client = server.client()
    client.flushall()
    client.config_set("maxmemory", 0)
    return client


@pytest.fixture
async def store(server: RedisServer, admin: redis.Redis) -> AsyncIterator[RedisStore]:
    assert admin.dbsize() == 0
    store = RedisStore(server.url())
    await store.open()
    yield store
    await store.close()


@pytest.mark.parametrize("name", ALL)
def test_a_server_knows_a_script_by_the_name_that_we_use(admin: redis.Redis, name: str) -> None:
    assert admin.script_load(ALL[name].text) == ALL[name].sha


@pytest.fixture(scope="module")
def replica() -> Iterator[redis.Redis]:
    with a_pair() as (_, replica):
        yield replica.client()


@pytest.mark.parametrize("name", ALL)
def test_a_replica_runs_no_script(replica: redis.Redis, name: str) -> None:
    with pytest.raises(redis.exceptions.ReadOnlyError):
        replica.execute_command(*ALL[name].in_full(LOG, [""] * 9))


@pytest.mark.parametrize("name", ALL)
def test_a_primary_that_lost_its_replicas_runs_no_script(admin: redis.Redis, name: str) -> None:
    admin.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(redis.exceptions.ResponseError, match="NOREPLICAS"):
            admin.execute_command(*ALL[name].in_full(LOG, [""] * 9))
    finally:
        admin.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("name", ALL)
def test_a_full_server_runs_what_does_not_grow(admin: redis.Redis, name: str) -> None:
    admin.config_set("maxmemory", 1)
    try:
        admin.execute_command(*ALL[name].in_full(LOG, [""] * 9))
    except redis.exceptions.OutOfMemoryError:
        assert name in GROW
    except redis.exceptions.ResponseError:
        assert name not in GROW  # it ran, and did not like its arguments
    else:
        assert name not in GROW


async def test_where_memory_is_full_nothing_is_half_written_and_tokens_still_end(
    store: RedisStore, admin: redis.Redis
) -> None:
    record, new = a_record(), a_record()
    await store.add(record)
    before = sorted(admin.keys())
    admin.config_set("maxmemory", 1)
    for call in (
        store.add(new),
        store.add_account(Account(name="a", password_hash=None, created_ms=1, password_ms=1)),
        store.add_note("k", Note("a", "", 5), 1),
        store.touch({record.id: Use(5)}),
    ):
        with pytest.raises(StoreUnavailable, match="no memory left"):
            await call
    assert await store.fetch([record.id, new.id]) == {record.id: record}
    assert await store.end(record.id, 5) == record.end(5, "deleted")
    assert sorted(admin.keys()) == before
    assert await store.purge(10) == 1


async def test_a_token_that_can_not_be_logged_does_not_end(
    store: RedisStore, admin: redis.Redis
) -> None:
    records = [a_record(), a_record()]
    for record in records:
        await store.add(record)
    admin.rename(LOG, "elsewhere")
    admin.set(LOG, "no stream")
    for call in (store.end(records[0].id, 5), store.end_all("alice", 5)):
        with pytest.raises(StoreUnavailable):
            await call
    admin.rename("elsewhere", LOG)
    assert await store.fetch([r.id for r in records]) == {r.id: r for r in records}


async def test_the_settings_do_not_change_unlogged(store: RedisStore, admin: redis.Redis) -> None:
    policy = await store.policy()
    admin.rename(LOG, "elsewhere")
    admin.set(LOG, "no stream")
    with pytest.raises(StoreUnavailable):
        await store.set_policy(type(policy)(enabled=False))
    admin.rename("elsewhere", LOG)
    assert await store.policy() == policy


@pytest.mark.parametrize("broken", ["all", "owner:alice", "key:0123456789abcdef", "keys"])
async def test_a_token_that_can_not_be_listed_is_not_added(
    store: RedisStore, admin: redis.Redis, broken: str
) -> None:
    admin.set(f"bearer_guard:{{s0}}:{broken}", "no set")
    record = a_record()
    with pytest.raises(StoreUnavailable):
        await store.add(record)
    assert await store.fetch([record.id]) == {}


async def test_an_end_that_the_index_refuses_is_none(store: RedisStore, admin: redis.Redis) -> None:
    record = a_record()
    await store.add(record)
    start = (await store.changes(None)).cursor
    admin.set(f"bearer_guard:{{s0}}:key:{record.key_id}", "no set")
    with pytest.raises(StoreUnavailable):
        await store.end(record.id, 5)
    assert await store.fetch([record.id]) == {record.id: record}
    assert (await store.changes(start)).ids == set()


@pytest.mark.parametrize("reasons", [["owner-gone", "owner_gone"], ["B", "a"], ["é", "z"]])
async def test_reasons_are_compared_as_their_characters_are(
    store: RedisStore, reasons: list[str]
) -> None:
    for order in (reasons, reasons[::-1]):
        record = a_record()
        await store.add(record)
        for reason in order:
            await store.end(record.id, 5, reason=reason)
        found = (await store.fetch([record.id]))[record.id]
        assert found.end_reason == min(reasons)


async def test_unknown_scripts_are_sent_in_full(store: RedisStore, admin: redis.Redis) -> None:
    record = a_record()
    await store.add(record)
    admin.script_flush()
    assert await store.fetch([record.id, uuid4()]) == {record.id: record}
    admin.script_flush()
    assert await store.end(record.id, 5) == record.end(5, "deleted")
