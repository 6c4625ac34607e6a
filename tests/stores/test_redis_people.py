"""Accounts and notes of a Redis store, above all where they are told to several shards."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import redis

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Account, AccountChange, Note
from bearer_guard.stores import _redis_scripts as scripts
from bearer_guard.stores._redis_database import Database
from bearer_guard.stores._redis_rows import Reply
from bearer_guard.stores._redis_scripts import NOTE_MS, Arg, Script
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import ManualClock, a_record
from tests.stores.redis_servers import RedisServer, a_redis, patience

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

SHARDS = 4
ALICE = Account(name="alice", password_hash="$h", created_ms=5, password_ms=6)
DISABLE, ENABLE = AccountChange(disabled=True), AccountChange(disabled=False)


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
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(
    server: RedisServer, admin: redis.Redis, clock: ManualClock
) -> AsyncIterator[RedisStore]:
    """With one token of Alice's in each shard."""
    assert admin.dbsize() == 0
    store = RedisStore(server.url(), clock=clock, shards=SHARDS)
    await store.open()
    shards: set[int] = set()
    while len(shards) < SHARDS:
        record = a_record()
        if store._db.shard_of(record.id) not in shards:
            shards.add(store._db.shard_of(record.id))
            await store.add(record)
    await store.add_account(ALICE)
    yield store
    await store.close()


async def refused(store: RedisStore) -> set[int]:
    """The shards in which Alice's token is refused."""
    records = (await store.page("alice", None, SHARDS)).records
    return {store._db.shard_of(record.id) for record in records if record.owner_disabled}


def break_off(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let some writing calls through, and cut off the rest."""
    write, left = Database.write, iter(range(after))

    async def some(database: Database, script: Script, shard: int, *args: Arg) -> Reply:
        if next(left, None) is None:
            raise StoreUnavailable("cut off")
        return await write(database, script, shard, *args)

    monkeypatch.setattr(Database, "write", some)


@pytest.mark.parametrize("calls", range(SHARDS + 1))
async def test_disabling_that_breaks_off_errs_on_the_side_of_refusing(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """No account is shown as disabled while a token of its works."""
    with monkeypatch.context() as patch:
        break_off(patch, calls)
        with pytest.raises(StoreUnavailable):
            await store.change_account("alice", DISABLE)
    account = await store.account("alice")
    assert account is not None
    assert not account.disabled
    assert await store.change_account("alice", DISABLE) == replace(ALICE, disabled=True)
    assert await refused(store) == set(range(SHARDS))


@pytest.mark.parametrize("calls", range(SHARDS + 1))
async def test_enabling_that_breaks_off_errs_on_the_side_of_refusing(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    await store.change_account("alice", DISABLE)
    with monkeypatch.context() as patch:
        break_off(patch, calls)
        with pytest.raises(StoreUnavailable):
            await store.change_account("alice", ENABLE)
    account = await store.account("alice")
    assert account is not None
    if account.disabled:
        assert await refused(store) == set(range(SHARDS))
    assert await store.change_account("alice", ENABLE) == ALICE
    assert await refused(store) == set()


async def test_adding_a_disabled_account_that_breaks_off_is_completed_by_repeating(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = replace(ALICE, name="bob", disabled=True)
    records = [a_record(owner="bob") for _ in range(40)]
    for record in records:
        await store.add(record)
    with monkeypatch.context() as patch:
        break_off(patch, 2)
        with pytest.raises(StoreUnavailable):
            await store.add_account(bob)
    assert await store.add_account(bob) is False
    found = await store.fetch([record.id for record in records])
    assert all(record.owner_disabled for record in found.values())


async def test_of_many_changes_at_once_one_holds_everywhere(store: RedisStore) -> None:
    for _ in range(10):
        changes = [DISABLE, ENABLE] * 4
        await asyncio.gather(*(store.change_account("alice", change) for change in changes))
        account = await store.account("alice")
        assert account is not None
        assert await refused(store) == (set(range(SHARDS)) if account.disabled else set())


async def test_old_news_that_come_late_change_nothing(store: RedisStore) -> None:
    await store.change_account("alice", DISABLE)
    await store.change_account("alice", ENABLE)
    for shard in range(1, SHARDS):
        await store._db.run(scripts.TELL, shard, "alice", 1, "1", 5, "tag")
    assert await refused(store) == set()


async def test_news_are_new_also_where_a_part_of_the_store_was_lost(
    store: RedisStore, admin: redis.Redis, clock: ManualClock
) -> None:
    for _ in range(3):
        await store.change_account("alice", DISABLE)
    admin.delete("bearer_guard:{s0}:account:alice", "bearer_guard:{s0}:owners")
    clock.advance(1)
    await store.add_account(ALICE)
    await store.change_account("alice", ENABLE)
    assert await refused(store) == set()


async def test_a_change_that_broke_off_is_found_by_a_check(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await store.diagnose())[-1].level == "ok"
    await store.change_account("alice", DISABLE)
    assert (await store.diagnose())[-1].level == "ok"
    with monkeypatch.context() as patch:
        break_off(patch, 2)
        with pytest.raises(StoreUnavailable):
            await store.change_account("alice", ENABLE)
    finding = (await store.diagnose())[-1]
    assert finding.level == "warning"
    assert "'alice'" in finding.text
    await store.change_account("alice", ENABLE)
    assert (await store.diagnose())[-1].level == "ok"


async def test_every_shard_logs_that_an_account_is_disabled(store: RedisStore) -> None:
    cursor = (await store.changes(None)).cursor
    await store.change_account("alice", DISABLE)
    news = await store.changes(cursor)
    assert {store._db.shard_of(id) for id in news.ids} == set(range(SHARDS))


async def test_what_has_ended_is_not_logged_again(store: RedisStore, clock: ManualClock) -> None:
    first, *rest = (await store.page("alice", None, SHARDS)).records
    await store.end(first.id, clock.now_ms())
    cursor = (await store.changes(None)).cursor
    await store.change_account("alice", DISABLE)
    assert (await store.changes(cursor)).ids == {record.id for record in rest}


async def test_an_unknown_account_is_told_to_nobody(store: RedisStore, admin: redis.Redis) -> None:
    before = admin.dbsize()
    for change in (DISABLE, ENABLE, AccountChange(admin=True)):
        assert await store.change_account("nobody", change) is None
    assert admin.dbsize() == before


async def test_an_account_that_can_not_be_read_is_no_answer(
    store: RedisStore, admin: redis.Redis
) -> None:
    admin.hdel("bearer_guard:{s0}:account:alice", "admin")
    with pytest.raises(StoreUnavailable, match="account in the store"):
        await store.account("alice")
    with pytest.raises(StoreUnavailable, match="account in the store"):
        await store.accounts()


# Notes


async def test_whether_a_note_has_expired_is_not_the_servers_to_say(
    store: RedisStore, admin: redis.Redis
) -> None:
    now = 1_000_000_000_000  # long ago, by the server's clock
    await store.add_note("k", Note("me", "", now + 1), now)
    assert await store.note("k", now) is not None
    assert NOTE_MS - 1_000 < admin.pttl("bearer_guard:{s0}:note:k") <= NOTE_MS + 1


async def test_redis_removes_notes_that_nobody_wants(store: RedisStore, admin: redis.Redis) -> None:
    await store.add_note("short", Note("me", "", 10), 5)
    await store.add_note("long", Note("me", "", 10_000_000), 5)
    assert admin.pttl("bearer_guard:{s0}:note:short") <= NOTE_MS + 5
    assert admin.pttl("bearer_guard:{s0}:notes:me") > 10_000_000
    await store.add_note("later", Note("me", "", 10_000_001), 20 + 2 * NOTE_MS)
    assert admin.zrange("bearer_guard:{s0}:notes:me", 0, -1) == [b"long", b"later"]


async def test_a_note_that_another_overwrote_is_not_the_first_owners_to_drop(
    store: RedisStore,
) -> None:
    await store.add_note("k", Note("me", "", 10), 5)
    other = Note("other", "", 30)
    await store.add_note("k", other, 20)
    assert await store.drop_notes("me") == 0
    assert await store.note("k", 20) == other


async def test_a_dropped_note_leaves_nothing(store: RedisStore, admin: redis.Redis) -> None:
    before = sorted(admin.keys())
    for _ in range(2):
        await store.add_note("k", Note("me", "", 10), 5)
        await store.drop_note("k")
        await store.add_note("k", Note("me", "", 10), 5)
        await store.drop_notes("me")
    assert sorted(key for key in admin.scan_iter() if b"fence" not in key) == before
