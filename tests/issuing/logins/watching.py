"""Looks over a log-in's shoulder: what it asks a directory, and for how long it holds the loop."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bearer_guard.issuing.logins._ldap_link import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bearer_guard.issuing.logins._ldap_link import Entry, Link, Scope, Server


@dataclass
class Gap:
    """The longest time that the event loop was held.

    Attributes:
        seconds: Until another task had its turn; a busy machine adds to it.
        cpu: Seconds of it that were spent computing, of this thread alone.
    """

    seconds: float = 0.0
    cpu: float = 0.0


@asynccontextmanager
async def longest_gap() -> AsyncIterator[Gap]:
    """Watch the event loop while the block runs."""
    gap = Gap()

    async def tick() -> None:
        while True:
            last, last_cpu = time.monotonic(), time.thread_time()
            await asyncio.sleep(0.001)
            gap.seconds = max(gap.seconds, time.monotonic() - last)
            gap.cpu = max(gap.cpu, time.thread_time() - last_cpu)

    task = asyncio.create_task(tick())
    gc.disable()  # what a whole test run has left to collect is not the log-in's
    try:
        yield gap
    finally:
        gc.enable()
        task.cancel()


class Questions(list[str]):
    """What is asked of a directory, in order; to be given to ``LdapLogin`` as ``connect``."""

    @asynccontextmanager
    async def connect(self, server: Server) -> AsyncIterator[Link]:
        async with connect(server) as link:
            yield _Noting(link, self)


class _Noting:
    def __init__(self, link: Link, questions: Questions) -> None:
        self._link = link
        self._questions = questions

    async def bind(self, name: str, password: str) -> bool:
        self._questions.append("bind")
        return await self._link.bind(name, password)

    async def whoami(self) -> str | None:
        self._questions.append("whoami")
        return await self._link.whoami()

    async def search(
        self, base: str, scope: Scope, query: str, attributes: Sequence[str], *, most: int = 0
    ) -> list[Entry]:
        self._questions.append("search")
        return await self._link.search(base, scope, query, attributes, most=most)
