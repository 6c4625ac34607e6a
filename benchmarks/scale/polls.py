"""What the polls of many processes take a server: its processor time, idle otherwise."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bearer_guard import open_store
from bearer_guard.testing import a_record
from benchmarks._serving import cpu_ns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bearer_guard import Store
    from benchmarks._servers import Place

__all__ = ["Polls", "measure"]

POLLERS: Final = (1, 10, 100)
_READS: Final = 500
_INTERVAL: Final = 1.0  # seconds: that of the guard, by default


@dataclass(frozen=True, slots=True)
class Polls:
    """What so many processes that poll once a second take.

    Attributes:
        store: Which.
        pollers: How many.
        core_percent: Of a core of the server's, less what it takes when nobody polls.
        us_a_poll: Of the server's processor time.
        us_a_read: The same for a look-up of one token.
        p50_ms: How long a poll takes, half of them.
        worst_ms: The longest.
    """

    store: str
    pollers: int
    core_percent: float
    us_a_poll: int
    us_a_read: int
    p50_ms: float
    worst_ms: float


def measure(
    places: Sequence[Place], *, seconds: float = 4.0, pollers: Sequence[int] = POLLERS
) -> list[Polls]:
    """All servers, one after the other."""
    return [
        asyncio.run(_measure(place, count, seconds))
        for place in places
        if place.pid is not None
        for count in pollers
    ]


async def _measure(place: Place, count: int, seconds: float) -> Polls:
    assert place.pid is not None
    async with AsyncExitStack() as stack:
        stores = [open_store(place.url) for _ in range(count)]
        for store in stores:
            await store.open()
            stack.push_async_callback(store.close)
            await store.changes(None)
        idle = await _cpu_share(place.pid, asyncio.sleep(seconds / 2))
        taken: list[float] = []
        polling = (_poll(store, n / count, seconds, taken) for n, store in enumerate(stores))
        busy = await _cpu_share(place.pid, asyncio.gather(*polling))
        reading = await _cpu_of_reads(place.pid, stores[0])
    taken.sort()
    share = max(0.0, busy - idle)
    return Polls(
        place.name,
        count,
        round(share * 100, 2),
        round(share * 1e6 * _INTERVAL / count),
        round(reading / 1000),
        round(taken[len(taken) // 2] * 1000, 2),
        round(taken[-1] * 1000, 2),
    )


async def _cpu_of_reads(pid: int, store: Store) -> float:
    """Nanoseconds of a server's processor time for a look-up."""
    record = a_record()
    await store.add(record)
    before = cpu_ns(pid)
    for _ in range(_READS):
        await store.fetch((record.id,))
    return (cpu_ns(pid) - before) / _READS


async def _cpu_share(pid: int, work: Awaitable[object]) -> float:
    """How much of a core a server takes while this goes on."""
    before, begun = cpu_ns(pid), time.monotonic_ns()
    await work
    return (cpu_ns(pid) - before) / (time.monotonic_ns() - begun)


async def _poll(store: Store, delay: float, seconds: float, taken: list[float]) -> None:
    """Poll once a second for so long, as a process would that began a moment after others."""
    cursor = (await store.changes(None)).cursor
    await asyncio.sleep(delay * _INTERVAL)
    for _ in range(max(1, round(seconds / _INTERVAL))):
        begun = time.monotonic()
        cursor = (await store.changes(cursor)).cursor
        taken.append(time.monotonic() - begun)
        await asyncio.sleep(max(0.0, begun + _INTERVAL - time.monotonic()))
