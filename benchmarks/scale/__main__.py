"""How figures change with size: ``python -m benchmarks.scale``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click

from benchmarks._report import Table, command, tell
from benchmarks._servers import STORES, places

from . import cached, latency, polls, stored
from .model import Measured, model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .cached import Cached
    from .polls import Polls
    from .stored import Growth

_PARTS: Final = ("store", "cache", "latency", "polls")
_SERVERS: Final = [name for name in STORES if name != "SQLite"]


@command(rounds=5)
@click.option("--part", "parts", multiple=True, default=_PARTS, type=click.Choice(_PARTS))
@click.option("--quick", is_flag=True, help="Smaller sizes, shorter times.")
def main(
    rounds: int, *, as_json: bool, out: Path | None, parts: Sequence[str], quick: bool
) -> None:
    """Measure how figures change with size, and what follows for far more."""
    tables: list[Table] = []
    growth: list[Growth] = []
    entries: list[Cached] = []
    polled: list[Polls] = []
    row_bytes = 0.0
    if "store" in parts:
        sizes = stored.SIZES[:2] if quick else stored.SIZES
        growth, row_bytes = asyncio.run(stored.measure(rounds, sizes))
        tables.append(Table("SQLite as it grows: ratio to the fewest tokens", growth))
    if "cache" in parts:
        entries = asyncio.run(cached.measure(cached.SIZES[:2] if quick else cached.SIZES))
        tables.append(Table("tokens that are remembered", entries))
    if "latency" in parts:
        rows = latency.measure(
            2 if quick else 2 * rounds,
            latency.SERVERS[:1] if quick else latency.SERVERS,
            requests=latency.BLOCK // 5 if quick else latency.BLOCK,
        )
        tables.append(Table("open loop, half load", rows))
    if "polls" in parts:
        counts = polls.QUICK if quick else polls.POLLERS
        with places(_SERVERS) as found:
            polled = polls.measure(found, seconds=1.0 if quick else 3.0, pollers=counts)
        tables.append(Table("polls once a second", polled))
    if growth and entries and polled:
        tables.append(_model(growth, row_bytes, entries, polled))
    tell("scale", tables, rounds=rounds, as_json=as_json, out=out)


def _model(
    growth: Sequence[Growth], row_bytes: float, entries: Sequence[Cached], polled: Sequence[Polls]
) -> Table:
    read = [row for row in growth if row.call == "look-up"][-1]
    most = [row for row in polled if row.pollers == polled[-1].pollers]
    full = entries[-1]
    measured = Measured(
        poll_us=max(row.us_a_poll for row in most),
        read_us=max(row.us_a_read for row in most),
        read_tokens=read.tokens,
        read_growth=read.ratio,
        row_bytes=row_bytes,
        entry_bytes=full.entry_bytes + full.note_bytes + full.front_bytes,
    )
    return Table("on paper: 1,000 processes, a billion tokens", model(measured), [str(measured)])


if __name__ == "__main__":
    main()
