"""Requests a second of a whole server, by wrk: ``python -m benchmarks.whole_server``.

The application only answers: what stands before it can't weigh more anywhere else. All forms run
side by side, and wrk asks one after the other in interleaved rounds. What counts is the share of
the bare application's requests that is left, and the floor's share beside it; ``cpu_us`` is the
processor time that a request takes the server, and ``cpu_share`` what the same share is by that.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from ._asgi import request
from ._measure import spread
from ._report import Table, command, tell
from ._served import FORMS, PEERS, environment, prepare, token_for
from ._servers import folder
from ._serving import CLIENT_CORE, SERVERS, cpu_ns, pinned, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Load", "Share", "measure", "wrk"]

CONNECTIONS: Final = 16
_WORKERS: Final = (2, 4)
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_OTHERS: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one round.

    Attributes:
        rate: Requests a second.
        cpu_ns: Of the server, a request.
    """

    rate: float
    cpu_ns: float


@dataclass(frozen=True, slots=True)
class Share:
    """What was measured of one form behind one server."""

    name: str
    requests_s: int
    share: float
    low: float
    high: float
    cpu_us: float
    cpu_share: float


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


def measure(
    server: str, forms: Sequence[str], rounds: int, *, seconds: int = 1, workers: int = 1
) -> list[Share]:
    """All forms behind one server, interleaved."""
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        known = asyncio.run(prepare(place))
        tokens = {form: token for form in forms if (token := token_for(form, known))}
        running = {
            form: stack.enter_context(serve(server, environment(form, place), workers=workers))
            for form in tokens
        }
        loads: dict[str, list[Load]] = {form: [] for form in tokens}
        order, shuffled = list(tokens), random.Random(1)  # noqa: S311 - an order, the same each time
        for form in order:  # to warm up
            wrk(running[form][0], tokens[form], 1)
        for _ in range(rounds):
            shuffled.shuffle(order)
            for form in order:
                loads[form].append(_round(*running[form], tokens[form], seconds))
    return [_share(form, loads) for form in loads]


def _round(port: int, pid: int, token: str, seconds: int) -> Load:
    before = cpu_ns(pid)
    rate = wrk(port, token, seconds)
    return Load(rate, (cpu_ns(pid) - before) / (rate * seconds))


def _share(form: str, loads: dict[str, list[Load]]) -> Share:
    pairs = list(zip(loads[form], loads["bare"], strict=True))
    share = spread([one.rate / bare.rate for one, bare in pairs])
    return Share(
        form,
        round(spread([load.rate for load in loads[form]]).median),
        share.median,
        share.low,
        share.high,
        spread([load.cpu_ns / 1000 for load in loads[form]], 1).median,
        spread([bare.cpu_ns / one.cpu_ns for one, bare in pairs]).median,
    )


@command(rounds=7)
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
        rows = measure("uvicorn", own, max(2, rounds // 3), workers=count)
        tables.append(Table(f"uvicorn, {count} workers: share of bare", rows))
    tell("whole server", tables, rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
