"""What is left of a whole server's requests: ``python -m benchmarks.whole_server``.

The application only answers: what stands before it can't weigh more anywhere else. All forms run
side by side, on one core; whoever asks sits on another. The share that is left counts processor
time: what a request takes the server without a form, over what it takes with it, in rounds of some
hundredths of a second that take turns. So neither the client, nor the network, nor what else the
machine does counts for much. ``requests_s`` is what wrk gets, for a figure that people know.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import statistics
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from ._asgi import request
from ._client import Client, on_core
from ._measure import spread
from ._report import Table, command, tell
from ._served import FORMS, PEERS, environment, prepare, token_for
from ._servers import folder
from ._serving import CLIENT_CORE, SERVERS, cpu_ns, family, pinned, serve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Asked", "Share", "measure", "wrk"]

CONNECTIONS: Final = 16
_WORKERS: Final = (2, 4)
_ROUND_SECONDS: Final = 0.02
_WARM: Final = 400  # requests before the first round
_WRK_ROUNDS: Final = 3
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_OTHERS: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True, slots=True)
class Share:
    """What was measured of one form behind one server.

    Attributes:
        name: Of the form.
        requests_s: That wrk gets, a median.
        cpu_us: Of the server, a request: a median.
        share: Bare's processor time over the form's, in the same round: a median,
        low: and its lower
        high: and its upper quartile.
        of_floor: The same with the floor's processor time instead of bare's,
        of_floor_low: and its lower
        of_floor_high: and its upper quartile.
    """

    name: str
    requests_s: int
    cpu_us: float
    share: float
    low: float
    high: float
    of_floor: float
    of_floor_low: float
    of_floor_high: float


class Asked:
    """A server with one form, and who asks it."""

    def __init__(
        self, server: str, form: str, token: str, env: Mapping[str, str], workers: int
    ) -> None:
        self.token: Final = token
        self.cpu: Final[list[float]] = []  # nanoseconds a request, a round each
        self.rates: Final[list[float]] = []  # requests a second
        self._stack: Final = ExitStack()
        self.port, pid = self._stack.enter_context(serve(server, dict(env), workers=workers))
        self.form: Final = form
        self._pids: Final = family(pid)
        client = Client(self.port, request(token), connections=CONNECTIONS)
        self._client: Final = self._stack.enter_context(client)
        self._count = _WARM

    def close(self) -> None:
        self._stack.close()

    def warm(self) -> None:
        """Settle how many requests make a round."""
        self._client.ask(_WARM)
        begun = time.perf_counter()
        self._client.ask(_WARM)
        rate = _WARM / (time.perf_counter() - begun)
        self._count = max(CONNECTIONS, round(rate * _ROUND_SECONDS))

    def round(self) -> None:
        before = cpu_ns(*self._pids)
        self._client.ask(self._count)
        self.cpu.append((cpu_ns(*self._pids) - before) / self._count)

    def wrk(self) -> None:
        self.rates.append(wrk(self.port, self.token, 1))


def wrk(port: int, token: str, seconds: int) -> float:
    """Requests a second, all answered with success."""
    fields = [f"{n.decode()}: {v.decode()}" for n, v in request(token) if n != b"host"]
    headers = [part for field in fields for part in ("-H", field)]
    size = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    url = f"http://127.0.0.1:{port}/v4/jobGroups"
    command = [*pinned(CLIENT_CORE), "wrk", *size, *headers, url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    refused = _OTHERS.search(done.stdout)
    assert refused is None, done.stdout
    rate = _RATE.search(done.stdout)
    assert rate is not None, done.stdout
    return float(rate[1])


def measure(server: str, forms: Sequence[str], rounds: int, *, workers: int = 1) -> list[Share]:
    """All forms behind one server, interleaved."""
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        known = asyncio.run(prepare(place))
        asked: list[Asked] = []
        for form in forms:
            if token := token_for(form, known):
                one = Asked(server, form, token, environment(form, place), workers)
                stack.callback(one.close)
                asked.append(one)
        with on_core():
            _take_turns(asked, rounds)
        for _ in range(min(_WRK_ROUNDS, max(1, rounds // 4))):
            for one in asked:
                one.wrk()
    return [_share(one, asked) for one in asked]


def _take_turns(asked: Sequence[Asked], rounds: int) -> None:
    order, shuffled = list(asked), random.Random(1)  # noqa: S311 - an order, the same each time
    for one in asked:
        one.warm()
    for _ in range(rounds):
        shuffled.shuffle(order)
        for one in order:
            one.round()


def _share(one: Asked, asked: Sequence[Asked]) -> Share:
    cpu = {other.form: other.cpu for other in asked}
    of_bare, of_floor = (
        spread([limit / own for limit, own in zip(cpu[name], one.cpu, strict=True)])
        for name in ("bare", "floor")
    )
    return Share(
        one.form,
        round(statistics.median(one.rates)),
        round(statistics.median(one.cpu) / 1000, 1),
        *(of_bare.median, of_bare.low, of_bare.high),
        *(of_floor.median, of_floor.low, of_floor.high),
    )


@command(rounds=400)
@click.option("--server", "servers", multiple=True, default=list(SERVERS), help="Only this one.")
@click.option(
    "--peers/--no-peers", default=True, help="Behind the first server, other libraries too."
)
@click.option("--workers/--no-workers", default=True, help="Several workers of uvicorn, too.")
def main(
    rounds: int,
    *,
    as_json: bool,
    out: Path | None,
    servers: Sequence[str],
    peers: bool,
    workers: bool,
) -> None:
    """Measure whole servers: the share of the bare application's requests that is left."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed: apt-get install wrk")
    own = [form for form in FORMS if form not in PEERS]
    forms = list(FORMS) if peers else own
    tables = [
        Table(f"{server}: share of bare", measure(server, own if i else forms, rounds))
        for i, server in enumerate(servers)
    ]
    for count in _WORKERS if workers else ():
        rows = measure("uvicorn", own, max(1, rounds // 2), workers=count)
        tables.append(Table(f"uvicorn, {count} workers: share of bare", rows))
    tell("whole server", tables, rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
