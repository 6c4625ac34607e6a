"""Stores to measure: SQLite, and real servers on loopback with throw-away data.

The servers are those of the tests, set up to keep what they acknowledge. Their data are in memory
where the machine has a place for it, so that what is measured is the programs and not a disk.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import pytest

from bearer_guard import StoreUnavailable, open_store
from tests.stores.redis_servers import a_redis, redis_program, valkey_program
from tests.stores.servers import Database, a_mariadb, a_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bearer_guard import Store

__all__ = ["STORES", "Place", "folder", "opened", "places"]

_TRIES: Final = 5
_KEEP: Final = ("--appendonly", "yes", "--appendfsync", "always")


class Place(NamedTuple):
    """A store that can be opened.

    Attributes:
        name: Of the kind.
        url: An empty one.
        pid: Of the server; ``None``: there is none.
    """

    name: str
    url: str
    pid: int | None


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is deleted at the end, in memory where the machine has a place for it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder is made in it with a name of its own
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def _sqlite(stack: ExitStack) -> Place:
    return Place("SQLite", f"sqlite:///{stack.enter_context(folder())}/tokens.db", None)


def _postgresql(stack: ExitStack) -> Place:
    server = stack.enter_context(a_postgresql())
    return Place("PostgreSQL", Database(server, "tokens").url(), server.pid)


def _mariadb(stack: ExitStack) -> Place:
    server = stack.enter_context(a_mariadb())
    return Place("MariaDB", Database(server, "tokens").url(), server.pid)


def _redis(stack: ExitStack) -> Place:
    server = stack.enter_context(a_redis(*_KEEP, program=redis_program()))
    return Place("Redis", server.url(), server.pid)


def _valkey(stack: ExitStack) -> Place:
    server = stack.enter_context(a_redis(*_KEEP, program=valkey_program()))
    return Place("Valkey", server.url(), server.pid)


STORES: Final[dict[str, Callable[[ExitStack], Place]]] = {
    "SQLite": _sqlite,
    "PostgreSQL": _postgresql,
    "MariaDB": _mariadb,
    "Redis": _redis,
    "Valkey": _valkey,
}


async def opened(url: str) -> Store:
    """A store, open; a server that has just begun, on a busy machine, is given some time."""
    store = open_store(url)
    for left in reversed(range(_TRIES)):
        try:
            await store.open()
        except StoreUnavailable:
            if not left:
                raise
        else:
            break
    return store


@contextmanager
def places(names: Sequence[str] = tuple(STORES)) -> Iterator[list[Place]]:
    """One of each kind, all at once; what is not installed is left out, and said to be."""
    with ExitStack() as stack:
        found = []
        for name in names:
            try:
                found.append(STORES[name](stack))
            except pytest.skip.Exception as missing:
                click.echo(f"{name}: left out, {missing.msg}", err=True)
        yield found
