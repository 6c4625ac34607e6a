"""What a token costs that no process has seen yet: ``python -m benchmarks.cold_path [URL …]``.

The limit is the adapter's own ``fetch`` of one id: the same tokens, by the same open store with its
pool and its loop, in the same rounds and as many at once. *Alone*: one request after the other;
*fifty* and *a thousand at once*: distinct tokens that arrive together, which the guard reads in
batches; *herd*: a thousand requests for one token, which make one read. Each round begins with as
many that are not counted: the round before may have left the pool new connections, on which a
driver has to prepare what it sends for the first time. Polls and hints go on beside both; last uses
are told for neither. The store's server has one core, and whoever asks
another. Where the store is in this process, time is the processor's: nothing else is waited for.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from bearer_guard import Keyring, StoreUnavailable, Verifier
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import a_record, a_token
from bearer_guard.testing.records import DAY_MS

from ._client import on_core
from ._measure import interleave, spread
from ._report import Table, command, tell
from ._servers import STORES, opened, places
from ._serving import SERVER_CORE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias
    from uuid import UUID

    from bearer_guard import Store

    from ._measure import Form

    _Calls: TypeAlias = Sequence[Callable[[], Awaitable[object]]]

TOKENS: Final = 1000
AT_ONCE: Final = {"alone": 1, "fifty at once": 50, "a thousand at once": 1000}
CALLS: Final = {1: 100, 50: 200, 1000: 1000}  # in a round
RAW_AT_ONCE: Final = 50  # more calls wait for connections until they fail: the adapter has no queue
HERD: Final = 1000
_HERD_FORM: Final = "guard, a herd of 1,000"
_EMBEDDED: Final = ("memory:", "sqlite:")
_SINGLE: Final = "raw, alone"


@dataclass(frozen=True, slots=True)
class Look:
    """What a look-up takes.

    Attributes:
        name: How it is made.
        us: Of time, or, where the store is in this process, of its processor: a median.
        cpu_us: Of this process's processor, a median.
        added_us: Time over that of the adapter alone, in the same round: a median.
        ratio: The same as a ratio,
        low: its lower
        high: and its upper quartile.
        per_raw: How many of these are made while the adapter makes one alone: a median.
    """

    name: str
    us: float
    cpu_us: float
    added_us: float
    ratio: float
    low: float
    high: float
    per_raw: float


class Bench:
    """A store with tokens, and a verifier that can be made to forget them."""

    def __init__(self, url: str, store: Store) -> None:
        self.store = store
        self.keyring = Keyring.generate()
        self.verifier = Verifier(store, self.keyring, listeners=())
        self.texts: list[bytes] = []
        self.ids: list[UUID] = []
        self.cpu: dict[str, list[float]] = {}  # nanoseconds a call, a round each
        self._clock = time.process_time_ns if url.startswith(_EMBEDDED) else time.perf_counter_ns

    async def fill(self) -> None:
        """Add the tokens."""
        now_ms = SYSTEM_CLOCK.now_ms()
        for _ in range(TOKENS):
            bare = a_record(created_ms=now_ms, expires_ms=now_ms + DAY_MS)
            text, record = a_token(self.keyring, bare)
            await self.store.add(record)
            self.texts.append(text.encode())
            self.ids.append(record.id)

    def forms(self) -> dict[str, Form]:
        """All, by name."""
        forms: dict[str, Form] = {}
        for words, at_once in AT_ONCE.items():
            for kind, form in ("raw", self.raw), ("guard", self.guard):
                forms[f"{kind}, {words}"] = partial(form, f"{kind}, {words}", at_once)
        return forms | {_HERD_FORM: self.herd}

    async def raw(self, name: str, at_once: int) -> float:
        """A round of the adapter's own."""
        calls = [partial(self.store.fetch, (one,)) for one in self.ids[: CALLS[at_once]]]
        at_once = min(at_once, RAW_AT_ONCE)
        await _call(calls[:at_once], at_once)
        return await self._time(name, calls, at_once)

    async def guard(self, name: str, at_once: int) -> float:
        """A round of the guard's."""
        calls = [partial(self.verifier.find, text) for text in self.texts[: CALLS[at_once]]]
        self.forget()
        await _call(calls[:at_once], at_once)
        self.forget()
        return await self._time(name, calls, at_once)

    def forget(self) -> None:
        """As if this process had just begun."""
        self.verifier._cache.invalidate(None)  # noqa: SLF001 - what is measured is a cold cache

    async def herd(self) -> float:
        """A round of many for one, for each of them."""
        self.forget()
        return await self._time(
            _HERD_FORM, [partial(self.verifier.find, self.texts[0])] * HERD, HERD
        )

    async def _time(self, name: str, calls: _Calls, at_once: int) -> float:
        """Nanoseconds a call, of so many at once."""
        begun, used = self._clock(), time.process_time_ns()
        await _call(calls, at_once)
        self.cpu.setdefault(name, []).append((time.process_time_ns() - used) / len(calls))
        return (self._clock() - begun) / len(calls)


async def _call(calls: _Calls, at_once: int) -> None:
    if at_once == 1:
        for call in calls:
            await call()
    else:
        for i in range(0, len(calls), at_once):
            await asyncio.gather(*(call() for call in calls[i : i + at_once]))


async def measure(url: str, rounds: int) -> list[Look]:
    """All forms on one store, interleaved."""
    bench = Bench(url, await opened(url))
    await bench.fill()
    await bench.verifier.open()
    try:
        times = await interleave(bench.forms(), rounds)
        return [_look(name, times, bench.cpu[name]) for name in times]
    finally:
        await bench.store.end_all("alice", 0)
        await bench.store.purge(2**53)
        await bench.verifier.close()


def _look(name: str, times: Mapping[str, Sequence[float]], cpu: Sequence[float]) -> Look:
    own = times[name]
    limit = times[_SINGLE if name == _HERD_FORM else name.replace("guard", "raw")]
    ratio = spread([mine / least for mine, least in zip(own, limit, strict=True)])
    return Look(
        name,
        _us(own),
        _us(cpu),
        _us([mine - least for mine, least in zip(own, limit, strict=True)]),
        *(ratio.median, ratio.low, ratio.high),
        spread([single / mine for single, mine in zip(times[_SINGLE], own, strict=True)], 2).median,
    )


def _us(values: Sequence[float]) -> float:
    return round(statistics.median(values) / 1000, 1)


def _table(name: str, url: str, rounds: int) -> Table:
    title = f"{name}: ratio to the adapter alone"
    try:
        with on_core():
            return Table(title, asyncio.run(measure(url, rounds)))
    except StoreUnavailable as error:
        return Table(title, (), [f"failed: {error}"])


@command(rounds=20)
@click.argument("urls", nargs=-1)
@click.option("--servers", is_flag=True, help="SQLite too, and a server of each kind.")
@click.option("--store", "stores", multiple=True, type=click.Choice(list(STORES)), help="One only.")
def main(
    urls: Sequence[str],
    rounds: int,
    *,
    as_json: bool,
    out: Path | None,
    servers: bool,
    stores: Sequence[str],
) -> None:
    """Measure cold look-ups on stores: memory, and those whose URLs are given.

    A store must be one of your own to spoil: tokens of its owner "alice" are ended and purged.
    """
    named = {"memory": "memory://"} | {url.partition("://")[0]: url for url in urls}
    with on_core(SERVER_CORE), places(tuple(STORES) if servers else stores) as found:
        named |= {place.name: place.url for place in found}
        tables = [_table(name, url, rounds) for name, url in named.items()]
    tell("cold look-up", tables, rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
