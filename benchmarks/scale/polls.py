"""What the polls of many processes take a server: its processor time, idle otherwise."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bearer_guard.testing import a_record
from benchmarks._servers import opened
from benchmarks._serving import cpu_ns, family

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bearer_guard import Store
    from bearer_guard.store import Cursor
    from benchmarks._servers import Place

__all__ = ["Polls", "measure"]

POLLERS: Final = (1, 10, 100)
QUICK: Final = (10,)
_READS: Final = 500
_INTERVAL: Final = 1.0  # seconds: that of the guard, by default


@dataclass(frozen=True, slots=True)
class Polls:
    """What so many processes that poll once a second take.

    Attributes:
        store: Which.
        pollers: How many.
        core_percent: Of a core of the server's, at one poll a second each, less what it takes
            when nobody polls.
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
        stores: list[Store] = []
        for _ in range(count):
            stores.append(await opened(place.url))
            stack.push_async_callback(stores[-1].close)
        cursors = [(await store.changes(None)).cursor for store in stores]
        idle = await _cpu_used(place.pid, asyncio.sleep(seconds / 2)) / (seconds / 2)
        taken: list[float] = []
        begun = time.monotonic()
        polling = (
            _poll(store, cursors[n], n / count, seconds, taken) for n, store in enumerate(stores)
        )
        used = await _cpu_used(place.pid, asyncio.gather(*polling))
        used = max(0.0, used - idle * (time.monotonic() - begun))
        reading = await _cpu_of_reads(place.pid, stores[0])
    taken.sort()
    each = used / len(taken)
    return Polls(
        place.name,
        count,
        round(100 * each * count / _INTERVAL, 2),
        round(each * 1e6),
        round(reading / 1000),
        round(taken[len(taken) // 2] * 1000, 2),
        round(taken[-1] * 1000, 2),
    )


async def _cpu_of_reads(pid: int, store: Store) -> float:
    """Nanoseconds of a server's processor time for a look-up."""
    record = a_record()
    await store.add(record)
    before = cpu_ns(*family(pid))
    for _ in range(_READS):
        await store.fetch((record.id,))
    return (cpu_ns(*family(pid)) - before) / _READS


async def _cpu_used(pid: int, work: Awaitable[object]) -> float:
    """Seconds of processor time that a server takes while this goes on."""
    before = cpu_ns(*family(pid))
    await work
    return (cpu_ns(*family(pid)) - before) / 1e9


async def _poll(
    store: Store, cursor: Cursor, delay: float, seconds: float, taken: list[float]
) -> None:
    """Poll once a second for so long, as a process would that began a moment after others."""
    await asyncio.sleep(delay * _INTERVAL)
    for _ in range(max(1, round(seconds / _INTERVAL))):
        begun = time.monotonic()
        cursor = (await store.changes(cursor)).cursor
        taken.append(time.monotonic() - begun)
        await asyncio.sleep(max(0.0, begun + _INTERVAL - time.monotonic()))
