"""Who was used when, told to the store in batches. The only thing that validating writes.

The hit path stores one number in ``uses`` and no more. A flush follows every 45 s, give or take a
third, so that processes don't flush together; what can't be told is kept for the next one. A crash
loses the uses of one interval.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final
from uuid import UUID

from .errors import StoreUnavailable
from .record import Use
from .tasks import Tasks, time_limit

if TYPE_CHECKING:
    from .clock import ForwardClock
    from .store import TokenReader

__all__ = ["LastUsed"]

FLUSH_SECONDS: Final = 45.0  # with its third, one minute at most: what ``lastUsed`` promises
FLUSH_ROWS: Final = 1000
MOST_USES: Final = 100_000
LAST_FLUSH_SECONDS: Final = 5.0

_log: Final = logging.getLogger("bearer_guard")


class LastUsed:
    """The latest use of each token since the last flush.

    Args:
        store: Who is told.
        clock: Time.
    """

    def __init__(self, store: TokenReader, clock: ForwardClock) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._tasks: Final = Tasks()
        self._full = asyncio.Event()
        #: Token id as an integer to elapsed seconds. The hit path writes here, by itself.
        self.uses: Final[dict[int, float]] = {}
        #: Where from; told where a token is looked up, not on each hit.
        self._sources: Final[dict[int, str]] = {}
        self._told_at = float("-inf")  # when there were uses to tell of

    @property
    def idle(self) -> float:
        """Seconds since tokens were last seen to be in use: at a flush, or now."""
        return 0.0 if self.uses else self._clock.elapsed() - self._told_at

    def note(self, number: int, now: float, source: str | None) -> None:
        """This token was used at ``now``, in elapsed seconds."""
        self.uses[number] = now
        if source is not None:
            self._sources[number] = source
        if len(self.uses) >= MOST_USES:
            self._full.set()

    def open(self) -> None:
        """Flush in the background of the running event loop."""
        self._tasks.spawn(self._keep_flushing())

    async def close(self) -> None:
        """Stop, and flush what is left, for five seconds at most."""
        await self._tasks.stop()
        try:
            async with time_limit(LAST_FLUSH_SECONDS):
                await self.flush()
        except StoreUnavailable as error:
            _log.warning("the last uses of %d tokens are lost: %s", len(self.uses), error)

    def abandon(self) -> None:
        """Forget the task of an event loop that is gone."""
        self._tasks.abandon()
        self._full = asyncio.Event()

    async def flush(self) -> None:
        """Tell the store now.

        Raises:
            StoreUnavailable: It does not answer; nothing is forgotten.
        """
        if self.uses:
            self._told_at = self._clock.elapsed()
        numbers = sorted(self.uses)  # flushes of several processes in one order can't deadlock
        for begin in range(0, len(numbers), FLUSH_ROWS):
            rows = {
                number: (self.uses.pop(number), self._sources.pop(number, None))
                for number in numbers[begin : begin + FLUSH_ROWS]
            }
            try:
                await self._store.touch(
                    {
                        UUID(int=n): Use(self._clock.wall_ms(at), source)
                        for n, (at, source) in rows.items()
                    }
                )
            except BaseException:
                for number, (at, source) in rows.items():
                    self._put_back(number, at, source)
                raise

    def _put_back(self, number: int, at: float, source: str | None) -> None:
        self.uses.setdefault(number, at)  # what is there now is later
        if source is not None:
            self._sources.setdefault(number, source)

    async def _keep_flushing(self) -> None:
        await self._pause(random.uniform(0, FLUSH_SECONDS))  # noqa: S311 - spreads the processes
        while True:
            try:
                await self.flush()
            except StoreUnavailable as error:
                _log.warning("last uses wait for the store: %s", error)
            except Exception:  # noqa: BLE001 - a fault of the adapter must not end the flushes
                _log.exception("last uses could not be told")
            await self._pause(FLUSH_SECONDS * random.uniform(2 / 3, 4 / 3))  # noqa: S311

    async def _pause(self, seconds: float) -> None:
        self._full.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._full.wait()
        except TimeoutError:
            pass
