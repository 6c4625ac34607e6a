"""Requests at times that were settled before, whether or not the answers have come.

A client that waits for an answer before it asks again never sees what a pause does to those who
would have asked meanwhile. Here a latency counts from when a request was due, not from when a
connection was free for it. The loop spins, for timers are far too coarse: let it have a core.
"""

from __future__ import annotations

import gc
import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._client import Client

__all__ = ["fire"]

_PATIENCE: Final = 5.0  # seconds, after the last one was due


def fire(client: Client, rate: float, seconds: float, *, seed: int = 1) -> list[float]:
    """Latencies in seconds of requests that come at random, ``rate`` a second on average."""
    client.latencies.clear()
    gc.collect()
    gc.disable()
    try:
        _spin(client, list(_arrivals(rate, seconds, seed)), seconds)
    finally:
        gc.enable()
    return client.latencies.copy()


def _spin(client: Client, times: Sequence[float], seconds: float) -> None:
    begun, i = time.perf_counter(), 0
    while len(client.latencies) < len(times):
        now = time.perf_counter() - begun
        while i < len(times) and times[i] <= now:
            client.waiting.append(begun + times[i])
            i += 1
        client.send()
        client.receive()
        assert now < seconds + _PATIENCE, "the server does not keep up"


def _arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Seconds after the start, as independent callers would come; the same for a seed."""
    chance, at = random.Random(seed), 0.0  # noqa: S311 - moments
    while (at := at + chance.expovariate(rate)) < seconds:
        yield at
