"""Running scripts on shards: where to, for how long, and what counts as written."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores import _redis_scripts as scripts
from bearer_guard.stores._redis_database import Database
from bearer_guard.stores._redis_url import parse
from bearer_guard.testing import a_record
from tests.stores.redis_servers import RedisServer, a_pair, a_redis, valkey_program


def a_database(url: str, *, shards: int = 1) -> Database:
    database = Database(parse(url)[0], prefix="t:", shards=shards, clock=SYSTEM_CLOCK)
    database.open()
    return database


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with a_redis() as server:
        yield server


@pytest.fixture
async def database(server: RedisServer) -> AsyncIterator[Database]:
    server.client().flushall()
    database = a_database(server.url(), shards=3)
    yield database
    await database.close()


async def test_shards_are_asked_together(database: Database) -> None:
    calls = {shard: (f"note {shard}", "me", "v", 9, 1) for shard in range(3)}
    assert await database.run_each(scripts.ADD_NOTE, calls) == {0: 1, 1: 1, 2: 1}
    notes = await database.run_each(scripts.NOTE, {n: (f"note {n}",) for n in (2, 0)})
    assert notes == {2: [b"me", b"v", b"9"], 0: [b"me", b"v", b"9"]}


async def test_nobody_is_asked_for_nothing(database: Database) -> None:
    assert await database.run_each(scripts.NOTE, {}) == {}


async def test_all_keys_have_the_prefix_and_the_tag_of_their_shard(
    database: Database, server: RedisServer
) -> None:
    await database.run(scripts.ADD_NOTE, 2, "k", "me", "v", 9, 1)
    assert sorted(server.client().keys()) == [b"t:{s2}:note:k", b"t:{s2}:notes:me"]


def test_tokens_are_spread_over_the_shards(server: RedisServer) -> None:
    database = a_database(server.url(), shards=4)
    counts = [0] * 4
    for _ in range(400):
        counts[database.shard_of(a_record().id)] += 1
    assert min(counts) > 50


async def test_a_store_that_is_not_open_does_not_answer(database: Database) -> None:
    await database.close()
    for call in (database.run(scripts.NOTE, 0, "k"), database.write(scripts.DROP_NOTE, 0, "k")):
        with pytest.raises(StoreUnavailable, match="not open"):
            await call
    await database.close()
    database.open()
    await database.run(scripts.NOTE, 0, "k")


async def test_an_error_in_one_shard_is_an_error(database: Database, server: RedisServer) -> None:
    server.client().set("t:{s1}:note:k", "no hash")
    with pytest.raises(StoreUnavailable, match="refuses the call"):
        await database.run_each(scripts.NOTE, dict.fromkeys(range(3), ("k",)))


# Event loops and processes


# Each in a process of its own: of what an event loop leaves open, Python warns later.

LOOPS = """
import asyncio, sys
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record

record = a_record()
store = RedisStore(sys.argv[1])

async def first():
    await store.open()
    await store.add(record)

async def other():
    assert await store.fetch([record.id]) == {record.id: record}

async def last():
    await other()
    await store.close()

for step in (first, other, last):
    asyncio.run(step())
"""

FORK = """
import asyncio, os, sys
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import a_record

record = a_record()
store = RedisStore(sys.argv[1])

async def begin():
    await store.open()
    await store.add(record)

async def go_on():
    for _ in range(100):  # both at once: over one connection their answers would mix
        assert await store.fetch([record.id]) == {record.id: record}
    await store.close()

loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
child = os.fork()
if child:
    loop.run_until_complete(go_on())
    loop.close()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
else:
    asyncio.run(go_on())
"""


@pytest.mark.parametrize("code", [LOOPS, FORK], ids=["event loops", "fork"])
def test_each_event_loop_and_process_has_connections_of_its_own(
    server: RedisServer, code: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, server.url()],
        check=False,
        timeout=30,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# Replicas


@pytest.fixture(scope="module", params=["redis", "valkey"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[RedisServer, RedisServer]]:
    program = valkey_program() if request.param == "valkey" else None
    with a_pair(program=program) as servers:
        yield servers


@pytest.fixture
async def copied(pair: tuple[RedisServer, RedisServer]) -> AsyncIterator[Database]:
    database = a_database(pair[0].url())
    yield database
    await database.close()


async def test_what_was_written_is_on_the_replica(
    copied: Database, pair: tuple[RedisServer, RedisServer]
) -> None:
    replica = pair[1].client()
    for number in range(20):
        await copied.write(scripts.ADD_NOTE, 0, f"k{number}", "me", "v", 2**53, 1)
        assert replica.exists(f"t:{{s0}}:note:k{number}")


async def test_what_no_replica_confirms_is_not_acknowledged_however_often(
    copied: Database, pair: tuple[RedisServer, RedisServer]
) -> None:
    """Repeating finds it done and writes nothing, which must not pass for confirmed."""
    os.kill(pair[1].pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="no replica confirms"):
                await copied.write(scripts.DROP_NOTE, 0, "k")
        assert await copied.run(scripts.NOTE, 0, "k") == [None] * 3  # reading goes on
    finally:
        os.kill(pair[1].pid, signal.SIGCONT)
    await copied.write(scripts.DROP_NOTE, 0, "k")


async def test_who_may_not_ask_for_replicas_writes_without(
    pair: tuple[RedisServer, RedisServer],
) -> None:
    admin = pair[0].client()
    admin.acl_setuser(
        "nobody", enabled=True, passwords=["+x"], keys=["t:*"], commands=["+@all", "-role"]
    )
    database = a_database(pair[0].url(login="nobody:x@"))
    await database.write(scripts.DROP_NOTE, 0, "k")
    await database.close()


async def test_a_replica_is_no_place_to_read(pair: tuple[RedisServer, RedisServer]) -> None:
    database = a_database(pair[1].url())
    with pytest.raises(StoreUnavailable, match="is a replica"):
        await database.run(scripts.NOTE, 0, "k")
    await database.close()


async def test_a_write_to_a_server_that_is_demoted_then_is_not_acknowledged(
    database: Database, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = database.link()
    node = await link.node_of(0)
    send = node.send

    async def demote_first(commands: list[tuple[object, ...]]) -> object:
        if commands == [("ROLE",)]:
            server.client().replicaof("127.0.0.1", "1")
        return await send(commands)  # type: ignore[arg-type]

    monkeypatch.setattr(node, "send", demote_first)
    try:
        with pytest.raises(StoreUnavailable, match="not the primary now"):
            await database.write(scripts.DROP_NOTE, 0, "k")
    finally:
        server.client().replicaof("NO", "ONE")
