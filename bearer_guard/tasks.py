"""Background work of one event loop: started, bounded in time, and stopped together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from .errors import ConfigurationError, KeyringError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

__all__ = ["ANSWER_SECONDS", "Faults", "Tasks", "time_limit"]

ANSWER_SECONDS: Final = 0.8  # for a read; with what else a request needs, a 503 is out in one

_AGAIN_SECONDS: Final = 1.0
_ANSWERS: Final = (StoreUnavailable, KeyringError, ConfigurationError)  # no fault of an adapter
_log: Final = logging.getLogger("bearer_guard")


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
        tasks = waiting = set(self._running)
        while waiting:
            for task in waiting:
                task.cancel()
            # And again: drivers lose a cancellation that comes together with an answer.
            _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_SECONDS)
        await asyncio.gather(*tasks, return_exceptions=True)  # so that their errors are seen

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


class Faults:
    """Within it, a fault of a store's adapter is logged, and is no answer. It can be used again.

    Args:
        what: What fails then, for the log.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what: Final = what

    def __enter__(self) -> None:
        """Nothing has failed yet."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Turn a fault into an answer that did not come.

        Raises:
            StoreUnavailable: It was one.
        """
        if isinstance(error, Exception) and not isinstance(error, _ANSWERS):
            _log.error("%s failed", self._what, exc_info=error)
            raise StoreUnavailable("the store's adapter failed") from error
