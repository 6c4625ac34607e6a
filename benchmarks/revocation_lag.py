"""How long an ended token lives on in another process: ``python -m benchmarks.revocation_lag``.

One process ends tokens at random moments; another verifies them all the time, some hundred times a
second each, and notes when it refuses each first. A lag counts from when ``end`` has returned: in
the process that called it, the token is refused from then on. A hint may come before: a negative
lag. The bound is 5 s, with hints and without, come what may; this is what happens when nothing goes
wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bearer_guard import Keyring, Policy
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.issuing import Issuer, Principal

from ._measure import spread
from ._report import Table, command, tell
from ._servers import STORES, opened, places

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from bearer_guard import Store

    from ._servers import Place

__all__ = ["Lag", "measure"]

_ROOT: Final = Path(__file__).parents[1]
_MEAN_PAUSE: Final = 0.05  # seconds between two ends
_PATIENCE: Final = 10.0
_CONFIG: Final = "BEARER_GUARD_KEYS"
_HINTING: Final = frozenset({"PostgreSQL", "Redis", "Valkey"})


@dataclass(frozen=True, slots=True)
class Lag:
    """Milliseconds until another process refused tokens that had ended.

    Attributes:
        store: Which.
        hints: Whether the store pushed; SQLite and MariaDB can't.
        ends: How many tokens.
        sorted_ms: All of them, for the plots.
    """

    store: str
    hints: bool
    ends: int
    p50_ms: float
    p90_ms: float
    worst_ms: float
    sorted_ms: tuple[float, ...]


async def measure(place: Place, key: str, ends: int, *, hints: bool) -> Lag:
    """The lag on one store, made with this key."""
    store = await opened(place.url)
    await store.set_policy(Policy(users_may_generate=True))
    issuer = Issuer(store, Keyring.from_text(key), listeners=())
    issued = [
        await issuer.create(Principal("alice"), lifetime=timedelta(days=1)) for _ in range(ends)
    ]
    order = {
        "url": place.url,
        "hints": hints,
        "tokens": {str(one.record.id): one.value for one in issued},
        "seconds": _PATIENCE + 3 * ends * _MEAN_PAUSE,
    }
    child = await _start(key, json.dumps(order))
    ended = await _end_all(store, [one.record.id for one in issued])
    assert child.stdout is not None
    refused = json.loads(await child.stdout.readline())
    await child.wait()
    await store.close()
    lags = tuple(sorted(round(1000 * (refused[str(one)] - at), 1) for one, at in ended.items()))
    p90 = lags[int(0.9 * len(lags))]
    return Lag(place.name, hints, ends, spread(lags, 1).median, p90, lags[-1], lags)


async def _start(key: str, order: str) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks._follower"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT), _CONFIG: key},
        limit=2**20,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(order.encode() + b"\n")
    await child.stdin.drain()
    assert await child.stdout.readline() == b"ready\n"
    return child


async def _end_all(store: Store, ids: list[UUID]) -> dict[UUID, float]:
    """When each end had returned, in monotonic seconds."""
    chance, ended = random.Random(1), {}  # noqa: S311 - moments, the same for all
    for one in ids:
        await asyncio.sleep(chance.uniform(0, 2 * _MEAN_PAUSE))
        await store.end(one, SYSTEM_CLOCK.now_ms())
        ended[one] = time.monotonic()
    return ended


def _measure_place(place: Place, ends: int) -> list[Lag]:
    ways, key = (True, False) if place.name in _HINTING else (False,), Keyring.new_key()
    return [asyncio.run(measure(place, key, ends, hints=hints)) for hints in ways]


@command(rounds=100)
@click.option("--store", "stores", multiple=True, default=list(STORES), help="Only this one.")
def main(rounds: int, *, as_json: bool, out: Path | None, stores: Sequence[str]) -> None:
    """Measure how long ended tokens live on in another process. A round is one end."""
    with places(stores) as found:
        lags = [lag for place in found for lag in _measure_place(place, rounds)]
    table = Table("lag of an end in another process", lags)
    tell("revocation lag", [table], rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
