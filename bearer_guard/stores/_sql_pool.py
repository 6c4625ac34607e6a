"""SQLAlchemy's pool of one process and one event loop, and which of its connections are trusted.

The engine is in autocommit, which is set once and for all: to set it with each loan would cost
round trips. Nothing is said to the server when a connection is given back, so no snapshot stays.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ._sql_driver import RECYCLE_SECONDS

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry

    from ._sql_driver import Connection, Driver

__all__ = ["Pool", "new_engine"]

# Of a parent process: never let go of, since what a driver does when one of its connections is
# collected would reach the parent's sockets.
_INHERITED: Final[list[object]] = []


class Pool:
    """Connections.

    Args:
        driver: Makes them.
        size: How many are kept, and half of how many there are at most.
        seconds: How long to wait for one.

    Attributes:
        engine: Lends them.
        turn: Held by whoever locks the counter.
        generation: Connections of an earlier one are not used again.
    """

    def __init__(self, driver: Driver, *, size: int, seconds: float) -> None:
        self._driver: Final = driver
        self._pid: Final = os.getpid()
        self._loop: Final = asyncio.get_running_loop()
        self._open: Final[dict[ConnectionPoolEntry, Connection]] = {}
        self.turn: Final = asyncio.Lock()
        self.generation = 0
        self.engine: Final = new_engine(
            driver,
            pool_reset_on_return=None,
            pool_size=size,
            max_overflow=size,
            pool_timeout=seconds,
            pool_recycle=RECYCLE_SECONDS,
            pool_use_lifo=True,  # the quiet ones grow old, and are replaced
        )
        pool = self.engine.sync_engine.pool
        event.listen(pool, "connect", self._connected)
        event.listen(pool, "checkout", self._lent)
        event.listen(pool, "close", self._closing)

    def is_here(self) -> bool:
        """Whether it belongs to this process and this event loop."""
        return self._loop is asyncio.get_running_loop() and self._pid == os.getpid()

    def distrust(self, generation: int) -> None:
        """Use none of a generation again: one did not answer, or led to the wrong server.

        What is of an earlier one tells nothing new.
        """
        if self.generation == generation:
            self.generation += 1

    def abandon(self) -> None:
        """Never use it again: another process, or another event loop, goes on."""
        if self._pid != os.getpid():
            _INHERITED.append(self)
        elif self._loop.is_closed():
            for connection in self._open.values():
                with suppress(RuntimeError):  # the loop can't be told, and need not be
                    self._driver.cut(connection)

    def _connected(self, _: object, entry: ConnectionPoolEntry) -> None:
        entry.info["generation"] = self.generation
        self._open[entry] = entry.driver_connection

    def _lent(self, _: object, entry: ConnectionPoolEntry, __: object) -> None:
        known_gone = self._driver.closed(entry.driver_connection)
        if known_gone or entry.info["generation"] != self.generation:
            raise DisconnectionError  # the pool then makes another

    def _closing(self, _: object, entry: ConnectionPoolEntry) -> None:
        self._driver.hang_up(self._open.pop(entry))


def new_engine(driver: Driver, **options: object) -> AsyncEngine:
    """An engine in autocommit.

    Args:
        driver: Makes its connections.
        options: More of ``create_async_engine``.
    """

    def create() -> object:
        dbapi = engine.sync_engine.dialect.loaded_dbapi
        return dbapi.connect(async_creator_fn=driver.connect, **driver.adapted)

    engine = create_async_engine(
        f"{driver.dialect}://",
        creator=create,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,  # a round trip, where nothing can be rolled back
        hide_parameters=True,  # errors tell of no digest and no password hash
        **options,
    )
    return engine
