"""What a token costs that no process has seen yet: ``python -m benchmarks.cold_path [URL …]``.

The limit is the adapter's own ``fetch`` of one id, in the same rounds and of the same number at
once. *Alone*: one request after the other; *fifty* and *a thousand at once*: distinct tokens that
arrive together, which the guard reads in batches; *herd*: a thousand requests for one token, which
make one read.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from bearer_guard import Keyring, StoreUnavailable, Verifier, open_store
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import a_record, a_token
from bearer_guard.testing.records import DAY_MS

from ._measure import costs, interleave, ratios
from ._report import Table, command, tell
from ._servers import places

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from bearer_guard import Store
    from bearer_guard.record import TokenRecord

    from ._measure import Cost, Form

TOKENS: Final = 1000
ALONE: Final = 200  # enough, where each waits for the one before
AT_ONCE: Final = {"alone": 1, "fifty at once": 50, "a thousand at once": 1000}
RAW_AT_ONCE: Final = 50  # more calls wait for connections until they fail: the adapter has no queue
HERD: Final = 1000


class Bench:
    """A store with tokens, and a verifier that can be made to forget them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keyring = Keyring.generate()
        self.verifier = Verifier(store, self.keyring, listeners=())
        self.texts: list[bytes] = []
        self.records: list[TokenRecord] = []

    async def fill(self) -> None:
        """Add the tokens."""
        now_ms = SYSTEM_CLOCK.now_ms()
        for _ in range(TOKENS):
            bare = a_record(created_ms=now_ms, expires_ms=now_ms + DAY_MS)
            text, record = a_token(self.keyring, bare)
            await self.store.add(record)
            self.texts.append(text.encode())
            self.records.append(record)

    async def raw(self, at_once: int) -> float:
        """A round of the adapter's own."""
        calls = [partial(self.store.fetch, (record.id,)) for record in self.records]
        return await _time(calls, min(at_once, RAW_AT_ONCE))

    async def guard(self, at_once: int) -> float:
        """A round of the guard's."""
        self.forget()
        return await _time([partial(self.verifier.find, text) for text in self.texts], at_once)

    def forget(self) -> None:
        """As if this process had just begun."""
        self.verifier._cache.invalidate(None)  # noqa: SLF001 - what is measured is a cold cache

    async def herd(self) -> float:
        """A round of many for one, for each of them."""
        self.forget()
        return await _time([partial(self.verifier.find, self.texts[0])] * HERD, HERD)


async def _time(calls: Sequence[Callable[[], Awaitable[object]]], at_once: int) -> float:
    """Nanoseconds a call, of so many at once."""
    calls = calls[:ALONE] if at_once == 1 else calls
    begun = time.perf_counter_ns()
    if at_once == 1:
        for call in calls:
            await call()
    else:
        for i in range(0, len(calls), at_once):
            await asyncio.gather(*(call() for call in calls[i : i + at_once]))
    return (time.perf_counter_ns() - begun) / len(calls)


async def measure(url: str, rounds: int) -> list[Cost]:
    """All forms on one store, interleaved."""
    store = open_store(url)
    await store.open()
    bench = Bench(store)
    await bench.fill()
    await bench.verifier.open()
    forms: dict[str, Form] = {}
    limits = {"guard, a herd of 1,000": "raw, alone"}
    for words, at_once in AT_ONCE.items():
        forms |= {f"raw, {words}": partial(bench.raw, at_once)}
        forms |= {f"guard, {words}": partial(bench.guard, at_once)}
        limits |= dict.fromkeys((f"raw, {words}", f"guard, {words}"), f"raw, {words}")
    forms["guard, a herd of 1,000"] = bench.herd
    try:
        return costs(ratios(await interleave(forms, rounds), limit=limits))
    finally:
        await store.end_all("alice", 0)
        await store.purge(2**53)
        await bench.verifier.close()


def _table(name: str, url: str, rounds: int) -> Table:
    title = f"{name}: ratio to the adapter alone"
    try:
        return Table(title, asyncio.run(measure(url, rounds)))
    except StoreUnavailable as error:
        return Table(title, (), [f"failed: {error}"])


@command(rounds=12)
@click.argument("urls", nargs=-1)
@click.option("--servers", is_flag=True, help="Start a server of each kind, and measure it too.")
def main(
    urls: Sequence[str], rounds: int, *, as_json: bool, out: Path | None, servers: bool
) -> None:
    """Measure cold look-ups on stores: memory, and those whose URLs are given.

    A store must be one of your own to spoil: tokens of its owner "alice" are ended and purged.
    """
    named = {"memory": "memory://"} | {url.partition("://")[0]: url for url in urls}
    with places() if servers else places(()) as found:
        named |= {place.name: place.url for place in found}
        tables = [_table(name, url, rounds) for name, url in named.items()]
    tell("cold look-up", tables, rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
