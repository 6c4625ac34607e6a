"""Which faults there are: of the network, of SQL databases; ``fault_cases_redis`` has Redis's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from bearer_guard.stores.sql import SqlStore
from tests.faults import Fault, FaultyProxy, faulty_proxy
from tests.stores import fault_cases_redis
from tests.stores.fault_watch import Case, killed, nothing
from tests.stores.full_disk import SMALL_LOG, fill_to_the_brim, limit_files
from tests.stores.redis_servers import a_cluster, a_redis, watched
from tests.stores.servers import (
    Database,
    Mariadb,
    Postgresql,
    a_database,
    a_mariadb,
    a_postgresql,
)

NETWORK: Final = {
    Fault.REFUSE: "connections refused",
    Fault.RESET: "connections reset",
    Fault.BLACK_HOLE: "black hole: nothing flows",
    Fault.DELAY: "answers 3 s late",
    Fault.CUT: "cut in the middle of an answer",
    Fault.HALF_OPEN: "half open: the other end is gone, unnoticed",
}
FAULTS: Final = (
    *NETWORK.values(),
    "server killed, and started again",
    "became a standby (in recovery)",
    "became read-only",
    "fail-over: the primary is killed",
    "slot on the move, key by key",
    "slot moved",
    "disk full: tables can't grow",
    "disk full (MISCONF)",
    "no connection left",
    "change log lost",
    "counter went back",
    "FLUSHALL",
)
STORES: Final = ("PostgreSQL", "MariaDB", "Redis", "Redis, Sentinels", "Redis Cluster")
_DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always")
_FEW: Final = 20  # connections that a server of its own accepts


@asynccontextmanager
async def groups(postgresql: Postgresql, mariadb: Mariadb) -> AsyncIterator[list[list[Case]]]:
    """Cases; those of one group follow each other, since they break one server."""
    async with AsyncExitStack() as stack:
        enter, enter_async = stack.enter_context, stack.enter_async_context
        found = [
            list(fault_cases_redis.alone(enter(a_redis(*_DURABLE)))),
            list(fault_cases_redis.log(enter(a_redis()))),
            list(fault_cases_redis.sentinels(enter(watched(*_DURABLE)))),
            list(fault_cases_redis.cluster(enter(a_cluster()))),
        ]
        for own, faults in (
            (enter(a_postgresql(f"max_connections={_FEW}")), _postgresql),
            (enter(a_mariadb(f"--max-connections={_FEW}", SMALL_LOG)), _mariadb),
        ):
            proxy = await enter_async(faulty_proxy(own.port))
            found.append(list(faults(Database(own, "own"), proxy)))
        shared = enter(a_redis())
        reached = [("Redis", shared.url("/0"), shared.port)]
        for name, server in (("PostgreSQL", postgresql), ("MariaDB", mariadb)):
            found.append(list(_sql(name, enter(a_database(server)))))
            reached.append((name, enter(a_database(server)).url(), server.port))
        for name, url, port in reached:
            found += [[await enter_async(_on_the_way(name, url, port, f))] for f in NETWORK]
        yield found


@asynccontextmanager
async def _on_the_way(name: str, url: str, port: int, fault: Fault) -> AsyncIterator[Case]:
    """A fault of the network."""
    async with faulty_proxy(port) as proxy:
        yield Case(
            NETWORK[fault],
            name,
            url.replace(f":{port}/", f":{proxy.port}/"),
            partial(proxy.become, fault),
            partial(proxy.become, Fault.NONE),
            direct=url,
        )


def _sql(name: str, database: Database) -> Iterator[Case]:
    """What is wrong in a database itself."""
    url = database.url()
    for fault, (deletes, statement) in _LOST.items():
        spoil = partial(asyncio.to_thread, database.sql, statement)
        yield Case(fault, name, url, spoil, nothing, deletes)


_LOST: Final = {
    "change log lost": ("before", "DELETE FROM bearer_guard_log"),
    "counter went back": (
        "after",
        "UPDATE bearer_guard_meta SET revision = revision - 1, tag = '87654321'",
    ),
}


def _postgresql(database: Database, proxy: FaultyProxy) -> Iterator[Case]:
    server, url = database.server, database.url()
    signal = server.folder / "data" / "standby.signal"

    def restart(change: Callable[[], None]) -> None:
        server.stop()
        change()
        server.start()

    yield killed("PostgreSQL", url, server)
    yield Case(
        "became a standby (in recovery)",
        "PostgreSQL",
        url,
        partial(asyncio.to_thread, restart, signal.touch),
        partial(asyncio.to_thread, restart, signal.unlink),
    )
    yield _crowded("PostgreSQL", database, proxy)
    yield _full("PostgreSQL", database)


def _mariadb(database: Database, proxy: FaultyProxy) -> Iterator[Case]:
    server, url = database.server, database.url()
    yield killed("MariaDB", url, server)
    yield Case(
        "became read-only",
        "MariaDB",
        url,
        partial(asyncio.to_thread, server.sql, "SET GLOBAL read_only = 1"),
        partial(asyncio.to_thread, server.sql, "SET GLOBAL read_only = 0"),
    )
    yield _crowded("MariaDB", database, proxy)
    yield _full("MariaDB", database)


_REFUSALS: Final = 5  # in a row: there is none left


def _crowded(name: str, database: Database, proxy: FaultyProxy) -> Case:
    """Others have all connections that there may be."""
    driver = SqlStore.from_url(database.url())._gateway.driver
    crowd = list[Any]()

    async def come() -> None:
        await proxy.become(Fault.REFUSE)  # the guard's own connections become free, by and by
        refused = 0
        while refused < _REFUSALS:
            try:
                crowd.append(await driver.connect())
                refused = 0
            except (OSError, *driver.errors):
                refused += 1
                await asyncio.sleep(0.05)
        await proxy.become(Fault.NONE)

    async def leave() -> None:
        for connection in crowd:
            driver.cut(connection)

    url = database.url(port=proxy.port)
    return Case("no connection left", name, url, come, leave, direct=database.url())


def _full(name: str, database: Database) -> Case:
    url = database.url()
    fill = partial(asyncio.to_thread, fill_to_the_brim, database)
    free = partial(asyncio.to_thread, limit_files, database.server)
    return Case("disk full: tables can't grow", name, url, fill, free)
