"""What a token costs that no process has seen yet: ``python -m benchmarks.cold_path [URL …]``.

The limit is the adapter's own ``fetch`` of one id, in the same rounds. *Alone*: one request
after the other; *fifty at once*: distinct tokens that arrive together, which the guard reads in
batches; *herd*: a thousand requests for one token, which make one read.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import click

from bearer_guard import Keyring, Verifier, open_store
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import a_record, a_token
from bearer_guard.testing.records import DAY_MS

from ._measure import interleave, ratios, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearer_guard import Store
    from bearer_guard.record import TokenRecord

    from ._measure import Form, Row

TOKENS: Final = 500
AT_ONCE: Final = 50
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

    def forget(self) -> None:
        """As if this process had just begun."""
        self.verifier._cache.invalidate(None)  # noqa: SLF001 - what is measured is a cold cache

    async def raw_alone(self) -> float:
        begun = time.perf_counter_ns()
        for record in self.records:
            await self.store.fetch((record.id,))
        return (time.perf_counter_ns() - begun) / TOKENS

    async def guard_alone(self) -> float:
        self.forget()
        begun = time.perf_counter_ns()
        for text in self.texts:
            await self.verifier.find(text)
        return (time.perf_counter_ns() - begun) / TOKENS

    async def raw_at_once(self) -> float:
        begun = time.perf_counter_ns()
        for i in range(0, TOKENS, AT_ONCE):
            ids = [record.id for record in self.records[i : i + AT_ONCE]]
            await asyncio.gather(*(self.store.fetch((token_id,)) for token_id in ids))
        return (time.perf_counter_ns() - begun) / TOKENS

    async def guard_at_once(self) -> float:
        self.forget()
        begun = time.perf_counter_ns()
        for i in range(0, TOKENS, AT_ONCE):
            texts = self.texts[i : i + AT_ONCE]
            await asyncio.gather(*(self.verifier.find(text) for text in texts))
        return (time.perf_counter_ns() - begun) / TOKENS

    async def herd(self) -> float:
        self.forget()
        begun = time.perf_counter_ns()
        await asyncio.gather(*(self.verifier.find(self.texts[0]) for _ in range(HERD)))
        return (time.perf_counter_ns() - begun) / HERD


async def measure(url: str, rounds: int) -> list[Row]:
    """All forms on one store, interleaved."""
    store = open_store(url)
    await store.open()
    bench = Bench(store)
    await bench.fill()
    await bench.verifier.open()
    forms: dict[str, Form] = {
        "raw, alone": bench.raw_alone,
        "guard, alone": bench.guard_alone,
        "raw, fifty at once": bench.raw_at_once,
        "guard, fifty at once": bench.guard_at_once,
        "guard, a herd of 1,000 for one": bench.herd,
    }
    try:
        return ratios(await interleave(forms, rounds), limit="raw, alone")
    finally:
        await store.end_all("alice", 0)
        await store.purge(2**53)
        await bench.verifier.close()


@click.command()
@click.argument("urls", nargs=-1)
@click.option("--rounds", default=15, show_default=True, help="Of each form.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(urls: Sequence[str], rounds: int, *, as_json: bool) -> None:
    """Measure cold look-ups on stores: memory, and those whose URLs are given.

    A store must be one of your own to spoil: tokens of its owner "alice" are ended and purged.
    """
    for url in ("memory://", *urls):
        rows = asyncio.run(measure(url, rounds))
        scheme = url.partition("://")[0]
        tell(f"cold look-up, {scheme}: ratio to raw, alone", rows, rounds=rounds, as_json=as_json)


if __name__ == "__main__":
    main()
