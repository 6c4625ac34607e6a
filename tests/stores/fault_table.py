"""The table fault by store: seen, and written to ``docs/store-faults.md``.

python -m tests.stores.fault_table
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.keyring import Keyring
from bearer_guard.store import Store, open_store
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record, a_token
from bearer_guard.verdict import Accepted
from bearer_guard.verify import Verifier
from tests.faults import Fault, faulty_proxy
from tests.stores.redis_servers import RedisServer, a_redis, until
from tests.stores.servers import (
    Database,
    Mariadb,
    Postgresql,
    Server,
    a_database,
    a_mariadb,
    a_postgresql,
)
from tests.stores.sql_support import PATIENCE, until_it_answers
from tests.support import within

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "store-faults.md"
BOUND: Final = 1.0  # seconds, of the guards here
LIMIT: Final = 1.0  # seconds, for an answer that there is none
RECOVERY: Final = 2.0  # seconds, until it serves again by itself
_TICK: Final = 0.05
_MARGIN: Final = 0.3  # seconds, of looking on after the bound
_PREPARING: Final = 10.0  # seconds: a busy machine is no fault
_DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always")
_STORES: Final = ("PostgreSQL", "MariaDB", "Redis")
_KEYRING: Final = Keyring.generate()
_HEAD: Final = """\
# What was seen when stores fail

Seen: `python -m tests.stores.fault_table` writes this page, and a test fails when it is no longer
so. Between a guard and a real server something breaks; the guard is asked all the time. *Passes*
and *401* are what it answers; *503 in time* is an answer within a second that there is none.
*Within the bound* is no later than `staleness` after the fault; so long, at most, a deleted token
passes too, where no hint tells of it.

"""
_COLUMNS: Final = (
    "fault",
    "store",
    "a token not asked for before",
    "a token in use",
    "a token deleted then",
    "afterwards",
)
_NETWORK: Final = {
    Fault.REFUSE: "connections refused",
    Fault.RESET: "connections reset",
    Fault.BLACK_HOLE: "black hole: nothing flows",
    Fault.DELAY: "answers 3 s late",
    Fault.CUT: "cut in the middle of an answer",
    Fault.HALF_OPEN: "half open: the other end is gone, unnoticed",
}

_FAULTS: Final = (
    *_NETWORK.values(),
    "server killed, and started again",
    "became a standby (in recovery)",
    "became read-only",
    "disk full (MISCONF)",
    "no connection left",
    "change log lost",
    "counter went back",
    "FLUSHALL",
)

Step = Callable[[], Awaitable[object]]


class Row(NamedTuple):
    """What was seen of one fault in one store."""

    fault: str
    store: str
    cold: str
    known: str
    ended: str
    after: str


class Case(NamedTuple):
    """A fault.

    Attributes:
        fault: Its name.
        store: Whose; its name.
        url: Where the guard finds the store.
        direct: Where it is found past the fault.
        begin: Makes the fault.
        stop: Heals it; the store can be reached again when it returns.
        deletes: Whether a token is deleted just before, or after, and no hint of that arrives.
    """

    fault: str
    store: str
    url: str
    direct: str
    begin: Step
    stop: Step
    deletes: str = ""


async def observe(case: Case, turn: asyncio.Lock) -> Row:
    """Break it, look, heal it, look again; one at a time until it breaks."""
    store, other = open_store(case.url), open_store(case.direct)
    if case.deletes:
        store.hints = lambda: None  # type: ignore[method-assign] # they would be quicker
    if isinstance(other, SqlStore):
        other._gateway.seconds = PATIENCE
    verifier = Verifier(store, _KEYRING, staleness=BOUND)
    async with turn:
        await other.open()
        known, ended, cold, later, first = [await _token(other) for _ in range(5)]
        await until_it_answers(verifier.open, _PREPARING)
        for text, _ in (known, ended, first):
            await until_it_answers(partial(verifier.verify, text), _PREPARING)
    if case.deletes:
        await _end(other, first)
        # Until it knows the latest revision.
        while await _ask(verifier, first[0]) == "passes":  # noqa: ASYNC110 - a client asks
            await asyncio.sleep(_TICK)
    enough = asyncio.Event()
    watched = [known, ended] if case.deletes else [known]
    watching = [asyncio.create_task(_watch(verifier, text, enough)) for text, _ in watched]
    if case.deletes == "before":
        await _end(other, ended)
    await case.begin()
    if case.deletes == "after":
        await _end(other, ended)
    broken = time.monotonic()
    at_first = await _first(verifier, cold[0])
    await asyncio.sleep(max(0.0, broken + BOUND + _MARGIN - time.monotonic()))
    enough.set()
    seen = [_sentence(await watch, broken + BOUND) for watch in watching]
    await case.stop()
    after = await _back(verifier, later[0])
    await verifier.close()
    await other.close()
    gone = seen[1].removeprefix("passes within the bound, then ") if case.deletes else ""
    return Row(case.fault, case.store, at_first, seen[0], gone, after)


async def _token(store: Store) -> tuple[str, UUID]:
    record = a_record(created_ms=SYSTEM_CLOCK.now_ms(), expires_ms=None)
    text, record = a_token(_KEYRING, record)
    await store.add(record)
    return text, record.id


async def _end(store: Store, token: tuple[str, UUID]) -> None:
    await store.end(token[1], SYSTEM_CLOCK.now_ms())


async def _ask(verifier: Verifier, text: str) -> str:
    try:
        verdict = await verifier.verify(text)
    except StoreUnavailable:
        return "503"
    return "passes" if isinstance(verdict, Accepted) else "401"


async def _first(verifier: Verifier, text: str) -> str:
    with within(LIMIT):
        said = await _ask(verifier, text)
    return f"{said} in time" if said == "503" else said


async def _watch(verifier: Verifier, text: str, enough: asyncio.Event) -> list[tuple[float, str]]:
    """When it was asked, and what was answered; once more when it is enough."""
    answers, last = list[tuple[float, str]](), False
    while not last:
        last = enough.is_set()
        asked = time.monotonic()
        answers.append((asked, await _ask(verifier, text)))
        await asyncio.sleep(_TICK)
    return answers


def _sentence(answers: Sequence[tuple[float, str]], end: float) -> str:
    """Each change of the answer; ``end``: the bound's."""
    changes = [said for said, _ in groupby(said for _, said in answers)]
    if changes == ["passes"]:
        return "passes"
    too_long = any(said == "passes" and asked >= end for asked, said in answers)
    when = "TOO LONG" if too_long else "within the bound"
    return ", then ".join(f"passes {when}" if said == "passes" else said for said in changes)


async def _back(verifier: Verifier, text: str) -> str:
    began = time.monotonic()
    while (said := await _ask(verifier, text)) == "503":
        if time.monotonic() > began + RECOVERY:
            return "503"
        await asyncio.sleep(_TICK)
    return f"{said} within {RECOVERY:g} s"


# Which faults there are


async def _nothing() -> None:
    """It goes on as it is."""


@asynccontextmanager
async def _on_the_way(name: str, url: str, port: int, fault: Fault) -> AsyncIterator[Case]:
    """A fault of the network."""
    async with faulty_proxy(port) as proxy:
        yield Case(
            _NETWORK[fault],
            name,
            url.replace(f":{port}/", f":{proxy.port}/"),
            url,
            partial(proxy.become, fault),
            partial(proxy.become, Fault.NONE),
        )


def _killed(name: str, url: str, server: Server) -> Case:
    begin, stop = partial(asyncio.to_thread, server.kill), partial(asyncio.to_thread, server.start)
    return Case("server killed, and started again", name, url, url, begin, stop)


def _sql(name: str, database: Database) -> Iterator[Case]:
    """What is wrong in a database itself."""
    url = database.url()
    for fault, (deletes, statement) in _LOST.items():
        spoil = partial(asyncio.to_thread, database.sql, statement)
        yield Case(fault, name, url, url, spoil, _nothing, deletes)


_LOST: Final = {
    "change log lost": ("before", "DELETE FROM bearer_guard_log"),
    "counter went back": (
        "after",
        "UPDATE bearer_guard_meta SET revision = revision - 1, tag = '87654321'",
    ),
}


def _postgresql(server: Postgresql, url: str) -> Iterator[Case]:
    signal = server.folder / "data" / "standby.signal"

    def restart(change: Callable[[], None]) -> None:
        server.stop()
        change()
        server.start()

    yield _killed("PostgreSQL", url, server)
    yield Case(
        "became a standby (in recovery)",
        "PostgreSQL",
        url,
        url,
        partial(asyncio.to_thread, restart, signal.touch),
        partial(asyncio.to_thread, restart, signal.unlink),
    )


def _mariadb(server: Mariadb, url: str) -> Iterator[Case]:
    yield _killed("MariaDB", url, server)
    yield Case(
        "became read-only",
        "MariaDB",
        url,
        url,
        partial(asyncio.to_thread, server.sql, "SET GLOBAL read_only = 1"),
        partial(asyncio.to_thread, server.sql, "SET GLOBAL read_only = 0"),
    )


def _redis(server: RedisServer) -> Iterator[Case]:
    url = server.url()
    yield _killed("Redis", url, server)
    yield Case("disk full (MISCONF)", "Redis", url, url, *_full_disk(server))
    yield Case("no connection left", "Redis", url, url, *_no_room(server))


def _redis_log(server: RedisServer) -> Iterator[Case]:
    url, admin, log = server.url(), server.client(), "bearer_guard:{s0}:log"

    async def forget() -> None:
        admin.delete(log)

    async def go_back() -> None:
        entries: Any = admin.xrange(log)
        admin.delete(log)
        for entry, fields in entries[:-1]:
            admin.xadd(log, fields, id=entry)

    async def flush() -> None:
        admin.flushall()

    yield Case("change log lost", "Redis", url, url, forget, _nothing, "before")
    yield Case("counter went back", "Redis", url, url, go_back, _nothing, "after")
    yield Case("FLUSHALL", "Redis", url, url, flush, _nothing, "before")


def _full_disk(server: RedisServer) -> tuple[Step, Step]:
    """Redis takes no writes while it can't save."""

    def saved(status: str) -> bool:
        admin = server.client()
        state = admin.info("persistence")
        if not state["rdb_bgsave_in_progress"] and state["rdb_last_bgsave_status"] != status:
            admin.bgsave()
        return bool(state["rdb_last_bgsave_status"] == status)

    async def fill() -> None:
        server.client().config_set("save", "3600 1")
        server.folder.chmod(0o500)
        await until(lambda: saved("err"))

    async def free() -> None:
        server.folder.chmod(0o700)
        await until(lambda: saved("ok"))

    return fill, free


def _no_room(server: RedisServer) -> tuple[Step, Step]:
    admin = server.client()  # it is the one that has a place

    async def crowd() -> None:
        admin.config_set("maxclients", 1)
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def leave() -> None:
        admin.config_set("maxclients", 1000)

    return crowd, leave


@asynccontextmanager
async def _groups(postgresql: Postgresql, mariadb: Mariadb) -> AsyncIterator[list[list[Case]]]:
    """Cases; those of one group follow each other, since they break one server."""
    groups = list[list[Case]]()
    async with AsyncExitStack() as stack:
        enter = stack.enter_context
        own_postgresql, own_mariadb = enter(a_postgresql()), enter(a_mariadb())
        durable, volatile, shared = enter(a_redis(*_DURABLE)), enter(a_redis()), enter(a_redis())
        groups.append(list(_postgresql(own_postgresql, Database(own_postgresql, "own").url())))
        groups.append(list(_mariadb(own_mariadb, Database(own_mariadb, "own").url())))
        groups += [list(_redis(durable)), list(_redis_log(volatile))]
        reached = [("Redis", shared.url("/0"), shared.port)]
        for name, server in (("PostgreSQL", postgresql), ("MariaDB", mariadb)):
            groups.append(list(_sql(name, enter(a_database(server)))))
            reached.append((name, enter(a_database(server)).url(), server.port))
        for name, url, port in reached:
            for fault in _NETWORK:
                groups.append(
                    [await stack.enter_async_context(_on_the_way(name, url, port, fault))]
                )
        yield groups


async def measure(postgresql: Postgresql, mariadb: Mariadb) -> list[Row]:
    """All of it."""

    turn, rows = asyncio.Lock(), list[Row]()

    async def one_by_one(cases: Sequence[Case]) -> None:
        for case in cases:
            rows.append(await observe(case, turn))

    async with _groups(postgresql, mariadb) as groups, asyncio.TaskGroup() as side_by_side:
        for group in groups:
            side_by_side.create_task(one_by_one(group))
    return sorted(rows, key=lambda row: (_FAULTS.index(row.fault), _STORES.index(row.store)))


# The page


def render(rows: Sequence[Row]) -> str:
    """It, whole."""
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *map(_line, rows)]
    return _HEAD + "\n".join(lines) + "\n"


def read() -> list[Row]:
    """The rows of the page that is checked in."""
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("| ")]
    return [Row(*(cell.strip() for cell in line[1:-1].split("|"))) for line in lines[2:]]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    with a_postgresql() as one, a_mariadb() as other:
        FILE.write_text(render(asyncio.run(measure(one, other))))
