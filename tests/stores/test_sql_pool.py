"""Connections belong to one process and one event loop."""

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores.sql import SqlStore
from tests.stores.servers import Database
from tests.stores.sql_support import opened, until_it_answers

ROOT: Final = Path(__file__).resolve().parents[2]

LOOPS: Final = """
import asyncio, gc, sys
from uuid import uuid4
from bearer_guard.stores.sql import SqlStore

store = SqlStore.from_url(sys.argv[1])
asyncio.run(store.open())
for _ in range(5):
    assert asyncio.run(store.fetch([uuid4()])) == {}
    assert asyncio.run(store.end(uuid4(), 5)) is None
gc.collect()

async def last():
    await store.fetch([uuid4()])
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await store.close()

asyncio.run(last())
"""
FORK: Final = """
import asyncio, gc, os, sys
from uuid import uuid4
from bearer_guard.stores.sql import SqlStore

async def main():
    store = SqlStore.from_url(sys.argv[1])
    await store.open()
    await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(3)))
    if (child := os.fork()) == 0:
        os._exit(in_child(store))
    _, status = os.waitpid(child, 0)
    await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(3)))
    assert await store.end(uuid4(), 5) is None
    assert store._gateway._pool.generation == 0  # none of them was lost
    await store.close()
    return status

def in_child(store):
    asyncio._set_running_loop(None)  # as after a fork that is not made from within the loop
    async def ask():
        await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(3)))
        await store.end(uuid4(), 5)
        await store.close()
    asyncio.run(ask())
    gc.collect()
    return 0

sys.exit(asyncio.run(main()))
"""


async def test_a_store_goes_on_in_another_event_loop(database: Database) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOOPS, database.url()),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    ready = await program.stdout.readline()
    left = database.clients()
    _, errors = await program.communicate(b"\n")
    assert (ready, program.returncode, errors) == (b"ready\n", 0, b"")
    assert left <= 2  # of the last loop: the others were let go


async def test_a_child_leaves_its_parents_connections_alone(database: Database) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FORK, database.url()), cwd=ROOT, stderr=subprocess.PIPE
    )
    _, errors = await program.communicate()
    assert (program.returncode, errors) == (0, b"")


async def test_a_connection_that_is_known_to_be_gone_is_not_lent(database: Database) -> None:
    async with opened(database.url()) as store:
        await store.fetch([uuid4()])
        pool = store._gateway._current()
        for connection in pool._open.values():
            store._gateway.driver.cut(connection)
        await asyncio.sleep(0.05)
        if "psycopg" in database.url():  # libpq finds out when it is next asked
            pool.distrust(pool.generation)
        await store.fetch([uuid4()])


async def test_no_more_connections_than_allowed(database: Database) -> None:
    async with opened(database.url(tail="?pool_size=2")) as store:
        await asyncio.gather(*(store.fetch([uuid4()]) for _ in range(30)))
        await asyncio.gather(*(store.account("alice") for _ in range(30)))
        assert len(store._gateway._current()._open) <= 2  # those beyond were closed again
        await until_it_answers(partial(at_most, 2, database))


async def at_most(count: int, database: Database) -> None:
    if database.clients() > count:
        raise StoreUnavailable("there are more")


@pytest.mark.parametrize("generation", [3, 5])
async def test_old_news_change_nothing(database: Database, generation: int) -> None:
    async with opened(database.url()) as store:
        pool = store._gateway._current()
        pool.generation = 4
        pool.distrust(generation)
        assert pool.generation == 4
        pool.distrust(4)
        assert pool.generation == 5


async def test_a_store_that_is_not_open_does_not_connect(database: Database) -> None:
    store = SqlStore.from_url(database.url())
    with pytest.raises(Exception, match="not open"):
        await store.fetch([uuid4()])
    assert store._gateway._pool is None
