"""How long requests wait for a server at half load, with and without the guard.

Half load is half of what wrk gets through the guarded server; both get the same requests at the
same times. Rounds alternate, and percentiles are those of all rounds together.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks._asgi import request
from benchmarks._open_loop import fire
from benchmarks._served import environment, prepare
from benchmarks._servers import folder
from benchmarks._serving import serve
from benchmarks.whole_server import wrk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Latency", "measure"]

SERVERS: Final = ("uvicorn", "granian")
FORMS: Final = ("bare", "guard")
_PERMILLE: Final = {"p50": 500, "p99": 990, "p99.9": 999}


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one percentile behind one server, at the same rate: microseconds, and their ratio."""

    percentile: str
    server: str
    requests_s: int
    bare_us: int
    guard_us: int
    ratio: float


def measure(
    rounds: int, *, seconds: float = 2.0, servers: Sequence[str] = SERVERS
) -> list[Latency]:
    """All percentiles behind each server."""
    return [row for server in servers for row in _measure(server, rounds, seconds)]


def _measure(server: str, rounds: int, seconds: float) -> list[Latency]:
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        token: str = asyncio.run(prepare(place))["token"]
        ports = {
            form: stack.enter_context(serve(server, environment(form, place)))[0] for form in FORMS
        }
        rate = min(wrk(port, token, 1) for port in ports.values()) / 2
        pooled: dict[str, list[float]] = {form: [] for form in FORMS}
        order, shuffled = list(FORMS), random.Random(1)  # noqa: S311 - an order, the same each time
        for _ in range(rounds):
            shuffled.shuffle(order)
            for form in order:
                pooled[form] += fire(ports[form], request(token), rate, seconds)
    bare, guard = (_percentiles(pooled[form]) for form in FORMS)
    return [
        Latency(name, server, round(rate), bare[i], guard[i], round(guard[i] / bare[i], 3))
        for i, name in enumerate(_PERMILLE)
    ]


def _percentiles(latencies: list[float]) -> list[int]:
    cuts = statistics.quantiles(latencies, n=1000, method="inclusive")
    return [round(cuts[permille - 1] * 1e6) for permille in _PERMILLE.values()]
