"""Connections that may outlive their token: WebSockets, and responses that stream.

The application runs in a task of its own, and that of the connection watches. It is stopped within
the revocation bound of the token's end or expiry, or once the store has not vouched for the token
for longer than that. Short requests never come here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .errors import StoreUnavailable
from .verdict import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from .verify import Found, Verifier

__all__ = ["LongLived"]

# Where nothing is cached there is no bound to go by: an end is noticed within this.
_UNBOUNDED_SECONDS: Final = 1.0
_STOPPING_SECONDS: Final = 1.0  # for a client that does not read
_PARTING_SECONDS: Final = 5.0  # for an application that does not want to go


class LongLived:
    """Watches over the tokens of open connections.

    Args:
        verifier: Who is asked again when a token may have changed.
        bound: The revocation bound in seconds.
    """

    def __init__(self, verifier: Verifier, bound: float) -> None:
        self._verifier: Final = verifier
        self._every: Final = bound or _UNBOUNDED_SECONDS
        self._elapsed: Final = verifier.clock.elapsed
        self._changed: Final[dict[int, set[asyncio.Event]]] = {}
        self._vouched = float("-inf")
        verifier.follow(self)

    def forget(self, numbers: Collection[int] | None, /) -> None:
        """These tokens may have ended: whoever watches over them asks again."""
        for number in tuple(self._changed) if numbers is None else numbers:
            for event in self._changed.get(number, ()):
                event.set()

    def vouch(self, until: float, /) -> None:
        """What was vouched for is good until then, in elapsed seconds."""
        self._vouched = until

    async def run(
        self, serving: Awaitable[None], found: Found, stop: Callable[[Refusal], Awaitable[None]]
    ) -> None:
        """Serve a connection for as long as its token is good.

        Args:
            serving: The application, at work on the connection.
            found: The token that let it in.
            stop: Ends the connection. It is called before the application is cancelled, which an
                application may take its time over.
        """
        work = asyncio.ensure_future(serving)
        try:
            refusal = await self._watch(found, work)
            if refusal is None or work.done():
                await work
            else:
                await self._part(work, asyncio.ensure_future(stop(refusal)))
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait((work,), timeout=_PARTING_SECONDS)

    async def _part(self, work: asyncio.Future[None], stopping: asyncio.Future[None]) -> None:
        """A client that does not read, or never answers, keeps no application alive."""
        try:
            await asyncio.wait((stopping,), timeout=_STOPPING_SECONDS)
            work.cancel()
            await asyncio.wait((stopping,), timeout=_PARTING_SECONDS)
            if stopping.done():
                await stopping
        finally:
            stopping.cancel()

    async def _watch(self, found: Found, work: asyncio.Future[None]) -> Refusal | None:
        """Wait until the token is not good any more; ``None``: the work was done before."""
        woken = asyncio.Event()
        work.add_done_callback(lambda _: woken.set())
        watchers = self._changed.setdefault(found.number, set())
        watchers.add(woken)
        until = found.until
        try:
            while not work.done():
                now = self._elapsed()
                if woken.is_set() or now >= until or now >= self._vouched:
                    woken.clear()
                    again = await self._again(found)
                    if isinstance(again, Refusal):
                        return again
                    until = again
                await self._pause(woken, until)
            return None
        finally:
            watchers.discard(woken)
            if not watchers:
                self._changed.pop(found.number, None)

    async def _pause(self, woken: asyncio.Event, until: float) -> None:
        """Until it must be looked at again: its own end, or that of what the polls vouch for."""
        left = min(until, self._vouched) - self._elapsed()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._every, left) if left > 0 else self._every):
                await woken.wait()

    async def _again(self, found: Found) -> float | Refusal:
        try:
            return await self._verifier.still(found)
        except StoreUnavailable:
            return Refusal(Reason.UNAVAILABLE, found.token)
