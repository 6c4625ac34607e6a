"""The time that a call has, and what happens at its end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._sql_driver import Connection, Driver

__all__ = ["Limit"]

_GRACE_SECONDS: Final = 0.05  # for the driver to notice that its connection was cut


class Limit:
    """Cuts the connection that a call holds when its time is over, then cancels what waits.

    Args:
        driver: Of the connection.
        seconds: From the moment it is entered.
    """

    def __init__(self, driver: Driver, seconds: float) -> None:
        self._driver: Final = driver
        self.seconds: Final = seconds
        self._timeout: Final = asyncio.timeout(None)
        self._cutter: asyncio.TimerHandle | None = None
        self._held = False
        #: The connection that was held last, and which generation it is of.
        self.connection: Connection = None
        self.generation = -1
        #: Whether the time is over.
        self.over = False

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self.renew()
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._cutter is not None:
            self._cutter.cancel()
        await self._timeout.__aexit__(*raised)  # type: ignore[arg-type] # passed on as it came

    def renew(self) -> None:
        """Begin anew: for calls of several steps, each of which shows that the server answers."""
        loop = asyncio.get_running_loop()
        if self._cutter is not None:
            self._cutter.cancel()
        end = loop.time() + self.seconds
        self._cutter = loop.call_at(end, self._cut)
        self._timeout.reschedule(end + _GRACE_SECONDS)

    @contextmanager
    def holding(self, connection: Connection, generation: int = -1) -> Iterator[None]:
        """Within the block the connection is the call's own, and may be cut."""
        self.connection, self.generation, self._held = connection, generation, True
        try:
            yield
        finally:
            self._held = False

    def _cut(self) -> None:
        self.over = True
        if self._held:
            self._driver.cut(self.connection)
