"""How long requests wait for a server at half load, with and without the guard.

Half load is half of what the guarded server can do; both get the same requests at the same times.
Slices of a quarter of a second alternate, so that a slow second of the machine is everybody's. A
block is as many slices of each as hold 10,000 requests, so that ten of them are beyond p99.9; the
ratio is taken block by block.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from benchmarks._asgi import request
from benchmarks._client import Client, on_core
from benchmarks._measure import spread
from benchmarks._open_loop import fire
from benchmarks._served import environment, prepare
from benchmarks._servers import folder
from benchmarks._serving import cpu_ns, family, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Latency", "measure"]

SERVERS: Final = ("uvicorn", "granian")
FORMS: Final = ("bare", "guard")
BLOCK: Final = 10_000  # requests
_CONNECTIONS: Final = 32
_SECONDS: Final = 0.25  # of a slice
_TRIALS: Final = 9
_TRIAL: Final = 1_000  # requests
_PERMILLE: Final = {"p50": 500, "p99": 990, "p99.9": 999}

_Times = dict[str, list[list[float]]]


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one percentile behind one server, at the same rate.

    Attributes:
        percentile: Which.
        server: Which.
        requests_s: That came.
        samples: Requests to each form.
        bare_us: Microseconds, of all blocks together.
        guard_us: The same.
        ratio: The guard's over bare's, block by block: a median,
        low: and its lower
        high: and its upper quartile.
    """

    percentile: str
    server: str
    requests_s: int
    samples: int
    bare_us: int
    guard_us: int
    ratio: float
    low: float
    high: float


def measure(
    blocks: int, servers: Sequence[str] = SERVERS, *, requests: int = BLOCK
) -> list[Latency]:
    """All percentiles behind each server."""
    return [row for server in servers for row in _measure(server, blocks, requests)]


def _measure(server: str, blocks: int, requests: int) -> list[Latency]:
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        headers = request(asyncio.run(prepare(place))["token"])
        clients, pids = {}, {}
        for form in FORMS:
            port, pid = stack.enter_context(serve(server, environment(form, place)))
            client = Client(port, headers, connections=_CONNECTIONS)
            clients[form], pids[form] = stack.enter_context(client), family(pid)
        stack.enter_context(on_core())
        rate = _capacity(clients["guard"], pids["guard"]) / 2
        clients["bare"].ask(_TRIAL)
        slices = max(1, round(requests / (rate * _SECONDS)))
        times = _alternate(clients, rate, blocks, slices)
    return [_row(name, server, rate, times) for name in _PERMILLE]


def _capacity(client: Client, pids: Sequence[int]) -> float:
    """Requests a second that take the server the whole of a core."""
    client.ask(_TRIAL)
    taken = []
    for _ in range(_TRIALS):
        before = cpu_ns(*pids)
        client.ask(_TRIAL)
        taken.append((cpu_ns(*pids) - before) / _TRIAL)
    return 1e9 / statistics.median(taken)


def _alternate(clients: Mapping[str, Client], rate: float, blocks: int, slices: int) -> _Times:
    """The latencies of each form, a list a block."""
    order, shuffled = list(clients), random.Random(1)  # noqa: S311 - an order, the same each time
    times: _Times = {form: [] for form in clients}
    for block in range(blocks):
        for form in clients:
            times[form].append([])
        for n in range(slices):
            shuffled.shuffle(order)
            for form in order:
                seed = block * slices + n
                times[form][-1] += fire(clients[form], rate, _SECONDS, seed=seed)
    return times


def _row(name: str, server: str, rate: float, times: _Times) -> Latency:
    permille = _PERMILLE[name]
    bare, guard = (list(_each(times[form], permille)) for form in FORMS)
    ratio = spread([over / under for under, over in zip(bare, guard, strict=True)])
    together = [list(chain.from_iterable(times[form])) for form in FORMS]
    bare_us, guard_us = (round(us) for us in _each(together, permille))
    sizes = round(rate), len(together[0])
    return Latency(name, server, *sizes, bare_us, guard_us, ratio.median, ratio.low, ratio.high)


def _each(lists: Sequence[Sequence[float]], permille: int) -> Iterator[float]:
    """A percentile of each, in microseconds."""
    for latencies in lists:
        yield statistics.quantiles(latencies, n=1000, method="inclusive")[permille - 1] * 1e6
