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


@dataclass(frozen=True, slots=True)
class Cached:
    """What so many tokens that are remembered cost.

    Attributes:
        tokens: How many.
        bytes_verifier: Of each in the verifier's cache.
        bytes_guard: Of each once a request has used it: the cache, the guard's own memory of the
            8,192 latest, and the note when it was used, which the next flush drops. Of more tokens
            than those 8,192, the rest cost what they cost the verifier.
        pause_ms: A full collection with all of them, less one without.
        pause_bare_ms: One without.
    """

    tokens: int
    bytes_verifier: int
    bytes_guard: int
    pause_ms: float
    pause_bare_ms: float


class FreshStore(MemoryStore):
    """Each read makes objects of its own, as one from a database does."""

    def fetch_now(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        found: dict[UUID, TokenRecord] = pickle.loads(pickle.dumps(super().fetch_now(ids)))  # noqa: S301 - our own
        return found


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

    async def verify(text: str) -> None:
        await guard.verifier.find(text.encode())

    async def ask(text: str) -> None:
        assert await status_of(guard, request(text), http_scope) == 200

    gc.collect()
    gc.freeze()  # what is there already is no part of a collection
    without = _pause_ms()
    verifier = await _bytes_each(verify, texts)
    assert guard.verifier.remembered == len(texts)
    more = await _bytes_each(ask, texts[:MOST_REMEMBERED])
    with_all = _pause_ms()
    gc.unfreeze()
    guard.verifier.last_used.uses.clear()
    guard.verifier.feed.abandon()
    guard.verifier.last_used.abandon()
    return Cached(
        len(texts),
        round(verifier),
        round(verifier + more),
        round(with_all - without, 2),
        round(without, 2),
    )


async def _bytes_each(use: Callable[[str], Awaitable[None]], texts: Sequence[str]) -> float:
    gc.collect()
    tracemalloc.start()
    for text in texts:
        await use(text)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(texts)


def _pause_ms() -> float:
    pauses = []
    for _ in range(_COLLECTIONS):
        begun = time.perf_counter_ns()
        gc.collect()
        pauses.append((time.perf_counter_ns() - begun) / 1e6)
    return statistics.median(pauses)
