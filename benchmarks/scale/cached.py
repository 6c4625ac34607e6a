"""From a hundred tokens in the cache to a hundred thousand: memory, and the collector's pause."""

from __future__ import annotations

import gc
import pickle
import statistics
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bearer_guard import BearerGuard, Keyring
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.hot_path import MOST_REMEMBERED
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import a_record, a_token
from bearer_guard.testing.records import DAY_MS
from benchmarks._asgi import bare, http_scope, request, status_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from uuid import UUID

    from bearer_guard.record import TokenRecord

__all__ = ["Cached", "measure"]

SIZES: Final = (100, 1_000, 10_000, 100_000)
_COLLECTIONS: Final = 7
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Cached:
    """What so many tokens that are remembered cost.

    Attributes:
        tokens: How many.
        entry_bytes: Of each in the verifier's cache.
        note_bytes: Of each whose last use waits for the next flush, besides.
        front_tokens: How many of them the hit path's own memory holds: the latest, 8,192 at most,
        front_bytes: of each of those, besides,
        front_mib: and all of those: the part that grows no more.
        all_mib: Everything, if all have been used since the last flush.
        pause_ms: A full collection with all of them, less one without.
        pause_bare_ms: One without.
    """

    tokens: int
    entry_bytes: int
    note_bytes: int
    front_tokens: int
    front_bytes: int
    front_mib: float
    all_mib: float
    pause_ms: float
    pause_bare_ms: float


class FreshStore(MemoryStore):
    """Each read makes objects of its own, as one from a database does."""

    def __init__(self) -> None:
        super().__init__()
        self._pickled: Final[dict[UUID, bytes]] = {}

    async def add(self, record: TokenRecord) -> None:
        await super().add(record)
        self._pickled[record.id] = pickle.dumps(record)

    def fetch_now(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        return {one: pickle.loads(self._pickled[one]) for one in ids}  # noqa: S301 - our own


async def measure(sizes: Sequence[int] = SIZES) -> list[Cached]:
    """All sizes, one after the other."""
    keyring = Keyring.generate()
    store = FreshStore()
    await store.open()
    texts = await _fill(store, keyring, sizes[-1])
    return [await _measure(store, keyring, texts[:size]) for size in sizes]


async def _fill(store: MemoryStore, keyring: Keyring, count: int) -> list[str]:
    now_ms = SYSTEM_CLOCK.now_ms()
    texts = []
    for n in range(count):
        record = a_record(
            owner=f"user{n // 10}@example.com", created_ms=now_ms, expires_ms=now_ms + DAY_MS
        )
        text, sealed = a_token(keyring, record)
        await store.add(sealed)
        texts.append(text)
    return texts


async def _measure(store: MemoryStore, keyring: Keyring, texts: Sequence[str]) -> Cached:
    guard = BearerGuard(bare, store=store, keyring=keyring, listeners=())
    await guard.verifier.open()
    uses, latest = guard.verifier.last_used.uses, texts[:MOST_REMEMBERED]

    async def verify(text: str) -> None:
        await guard.verifier.find(text.encode())

    async def ask(text: str) -> None:
        assert await status_of(guard, request(text), http_scope) == 200

    gc.collect()
    gc.freeze()  # what is there already is no part of a collection
    without = _pause_ms()
    tracemalloc.start()
    begun = _traced()
    await _each(verify, texts)
    assert guard.verifier.remembered == len(texts)
    cached = _traced()
    await _each(ask, latest)
    asked = _traced()
    assert len(uses) == len(latest)
    uses.clear()
    noted = _traced()
    tracemalloc.stop()
    with_all = _pause_ms()
    gc.unfreeze()
    guard.verifier.feed.abandon()
    guard.verifier.last_used.abandon()
    entry, note = (cached - begun) / len(texts), (asked - noted) / len(latest)
    front = noted - cached
    return Cached(
        len(texts),
        round(entry),
        round(note),
        len(latest),
        round(front / len(latest)),
        round(front / _MIB, 2),
        round(((entry + note) * len(texts) + front) / _MIB, 2),
        round(with_all - without, 2),
        round(without, 2),
    )


async def _each(use: Callable[[str], Awaitable[None]], texts: Sequence[str]) -> None:
    gc.disable()
    for text in texts:
        await use(text)
    gc.enable()


def _traced() -> int:
    """Bytes that Python holds."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _pause_ms() -> float:
    pauses = []
    for _ in range(_COLLECTIONS):
        begun = time.perf_counter_ns()
        gc.collect()
        pauses.append((time.perf_counter_ns() - begun) / 1e6)
    return statistics.median(pauses)
