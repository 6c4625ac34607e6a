"""A copy from one store to another: complete, repeatable, and of nothing that was altered."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.keyring import Keyring
from bearer_guard.policy import Policy
from bearer_guard.record import TokenRecord, Use
from bearer_guard.store import Account, open_store
from bearer_guard.stores.copying import (
    CopyStore,
    Tally,
    _records,
    copy_accounts,
    copy_settings,
    copy_tokens,
    count_accounts,
    count_tokens,
)
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.stores.sql import SqlStore
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import a_record, a_token
from tests.stores.files import folder
from tests.stores.redis_servers import RedisServer, a_redis
from tests.stores.servers import Mariadb, Postgresql, a_database
from tests.stores.sql_support import PATIENCE
from tests.stores.sql_support import opened as patient

ROOT = Path(__file__).resolve().parents[2]
KEY = Keyring.new_key()
KEYRING = Keyring.from_text(KEY)
POLICY = Policy(users_may_generate=True, allow_non_expiring=True)
KINDS = ["sqlite", "postgresql", "mariadb", "redis"]


def sealed(record: TokenRecord | None = None) -> TokenRecord:
    return a_token(KEYRING, record)[1]


def many(count: int) -> list[TokenRecord]:
    """Tokens of every kind."""
    kinds = [
        a_record(),
        a_record(owner="jos\u00e9", scopes=["a", "b"], networks=["10.0.0.0/8"], expires_ms=None),
        a_record(ended_ms=7, end_reason="leaked"),
        a_record(ended_ms=2**53, end_reason="renewed", last_used_ms=5, last_used_from="192.0.2.1"),
        a_record(created_ms=1, expires_ms=2, last_used_ms=1),
    ]
    records = []
    for number in range(count):
        id = UUID(int=number + 1)
        records.append(sealed(replace(kinds[number % len(kinds)], id=id, family=id)))
    return records


def account(name: str, *, disabled: bool = False) -> Account:
    return Account(name=name, password_hash="$x", disabled=disabled, created_ms=5, password_ms=6)


def no_step(_: float) -> None:
    """Nobody watches."""


async def copied(source: CopyStore, target: CopyStore, *, dry: bool = False) -> dict[str, Tally]:
    return {
        "settings": await copy_settings(source, target, dry=dry),
        "accounts": await copy_accounts(source, target, dry=dry),
        "tokens": await copy_tokens(source, target, KEYRING, no_step, dry=dry),
    }


async def everything(store: CopyStore) -> tuple[object, ...]:
    """What there is to compare."""
    records = [record async for records in _records(store) for record in records]
    return await store.policy(), await store.accounts(), records


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with a_redis() as server:
        yield server


@pytest.fixture
def urls(
    postgresql: Postgresql, mariadb: Mariadb, redis_server: RedisServer
) -> Iterator[dict[str, str]]:
    """Where an empty store of each kind is."""
    redis_server.client().flushall()
    with ExitStack() as stack:
        where = stack.enter_context(folder())
        yield {
            "sqlite": f"sqlite:///{where / 'target.db'}",
            "postgresql": stack.enter_context(a_database(postgresql)).url(),
            "mariadb": stack.enter_context(a_database(mariadb)).url(),
            "redis": redis_server.url(),
        }


async def opened(store: CopyStore, stack: AsyncExitStack) -> CopyStore:
    """Until the test ends."""
    await store.open()
    stack.push_async_callback(store.close)
    return store


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def source(stack: AsyncExitStack) -> CopyStore:
    """With some of everything."""
    store = SqliteStore(stack.enter_context(folder()) / "source.db")
    await opened(store, stack)
    await store.set_policy(POLICY)
    for name in ("alice", "bob"):
        await store.add_account(account(name, disabled=name == "bob"))
    for record in many(60):
        await store.add(record)
    return store


@pytest.fixture
async def target(stack: AsyncExitStack) -> CopyStore:
    return await opened(MemoryStore(), stack)


@pytest.mark.parametrize("kind", KINDS)
async def test_all_is_copied_to_every_kind_of_store_and_back(
    source: CopyStore, urls: dict[str, str], stack: AsyncExitStack, kind: str
) -> None:
    there = cast("CopyStore", open_store(urls[kind]))
    if isinstance(there, SqlStore):
        there._gateway.seconds = PATIENCE
    await opened(there, stack)
    tallies = await copied(source, there)
    assert [tally.copied for tally in tallies.values()] == [1, 2, 60]
    assert await everything(there) == await everything(source)
    back = await opened(MemoryStore(), stack)
    await copied(there, back)
    assert await everything(back) == await everything(source)


async def test_what_is_there_and_equal_is_passed_over(source: CopyStore, target: CopyStore) -> None:
    await copied(source, target)
    before = (await target.changes(None)).cursor
    tallies = await copied(source, target)
    assert tallies == {
        "settings": Tally(equal=1),
        "accounts": Tally(equal=2),
        "tokens": Tally(equal=60),
    }
    assert (await target.changes(before)).cursor == before


async def test_what_ended_since_ends_there_too_and_is_in_the_targets_log(
    source: CopyStore, target: CopyStore
) -> None:
    """A process that works on the target may have the token in its cache."""
    await copied(source, target)
    before = (await target.changes(None)).cursor
    ended, used = UUID(int=1), UUID(int=6)
    await source.end(ended, 3, reason="leaked")
    await source.touch({used: Use(9, "192.0.2.9")})
    tally = await copy_tokens(source, target, KEYRING, no_step)
    assert (tally.updated, tally.equal) == (2, 58)
    assert await everything(target) == await everything(source)
    assert (await target.changes(before)).ids == {ended}


async def test_what_the_target_knows_better_stays(source: CopyStore, target: CopyStore) -> None:
    await copied(source, target)
    known = await target.end(UUID(int=1), 3)
    await target.touch({UUID(int=6): Use(9)})
    assert (await copy_tokens(source, target, KEYRING, no_step)).equal == 60
    assert (await target.fetch([UUID(int=1)]))[UUID(int=1)] == known


async def test_what_differs_is_a_conflict_and_stays(source: CopyStore, target: CopyStore) -> None:
    other = sealed(a_record(id=UUID(int=1), owner="mallory"))
    await target.add(other)
    await target.add_account(account("alice", disabled=True))
    tallies = await copied(source, target)
    assert tallies["settings"] == Tally(conflicts=["settings"])
    assert tallies["accounts"] == Tally(copied=1, conflicts=["alice"])
    assert tallies["tokens"] == Tally(copied=59, conflicts=[str(other.id)])
    assert await target.fetch([other.id]) == {other.id: replace(other, owner_disabled=False)}
    assert await target.policy() == Policy()


async def test_an_altered_record_is_not_copied(source: CopyStore, target: CopyStore) -> None:
    altered = replace(sealed(), owner="root")
    of_another_key = a_token(Keyring.generate())[1]
    await source.add(altered)
    await source.add(of_another_key)
    tally = await copy_tokens(source, target, KEYRING, no_step)
    assert set(tally.unsealed) == {str(altered.id), str(of_another_key.id)}
    assert (tally.copied, tally.seen) == (60, 62)
    assert await target.fetch([altered.id, of_another_key.id]) == {}
    assert await count_tokens(target) == 60


async def test_two_copies_at_once_end_well(source: CopyStore, target: CopyStore) -> None:
    tallies = await asyncio.gather(
        *(copy_tokens(source, target, KEYRING, no_step) for _ in range(2))
    )
    assert sum(tally.copied for tally in tallies) == 60
    assert sum(tally.equal for tally in tallies) == 60
    assert await count_tokens(target) == 60


async def test_a_rehearsal_writes_nothing(source: CopyStore, target: CopyStore) -> None:
    tallies = await copied(source, target, dry=True)
    assert [tally.copied for tally in tallies.values()] == [1, 2, 60]
    assert await everything(target) == (Policy(), [], [])


async def test_a_store_that_does_not_answer_ends_the_copy_and_another_goes_on(
    source: CopyStore, stack: AsyncExitStack
) -> None:
    class Breaking(MemoryStore):
        left = 20

        async def add(self, record: TokenRecord) -> None:
            if not self.left:
                raise StoreUnavailable("gone")
            self.left -= 1
            await super().add(record)

    target = Breaking()
    await opened(target, stack)
    with pytest.raises(StoreUnavailable):
        await copied(source, target)
    assert await count_tokens(target) == 20
    target.left = 100
    tallies = await copied(source, target)
    assert (tallies["tokens"].copied, tallies["tokens"].equal) == (40, 20)
    assert await count_accounts(target) == 2


async def test_a_copy_that_was_killed_goes_on_where_it_was(
    postgresql: Postgresql, stack: AsyncExitStack
) -> None:
    """The whole command, by ``kill -9``, in the middle of what it writes."""
    where = stack.enter_context(folder())
    source = await opened(SqliteStore(where / "source.db"), stack)
    await source.remember_keys(KEYRING.ids)
    for record in many(300):
        await source.add(record)
    database = stack.enter_context(a_database(postgresql))
    target = await stack.enter_async_context(patient(database.url()))
    args = ["store", "copy", f"sqlite:///{where / 'source.db'}", database.url()]
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bearer_guard", *args),
        cwd=ROOT,
        env={**os.environ, "BEARER_GUARD_KEYS": KEY},
    )
    while (got_so_far := await count_tokens(target)) < 20:
        assert killed.returncode is None
        await asyncio.sleep(0.02)
    killed.kill()
    await killed.wait()
    assert got_so_far < 300
    tally = await copy_tokens(source, target, KEYRING, no_step)
    assert tally.copied + tally.equal == await count_tokens(target) == 300
    assert tally.equal >= got_so_far
    assert await everything(target) == await everything(source)
