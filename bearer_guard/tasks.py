"""Background work of one event loop: started, bounded in time, and stopped together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from .errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

__all__ = ["ANSWER_SECONDS", "Tasks", "time_limit"]

ANSWER_SECONDS: Final = 0.8  # for a read; with what else a request needs, a 503 is out in one


class Tasks:
    """Tasks that are kept from the garbage collector, and can be stopped."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run this in the background of the running event loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """Cancel all of them, and wait until they have ended."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def abandon(self) -> None:
        """Forget them: their event loop is gone, or belongs to the parent process."""
        self._running = set()


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Give up after so many seconds.

    Raises:
        StoreUnavailable: It took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(f"no answer from the store within {seconds:.2g} s") from error
