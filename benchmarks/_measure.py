"""Interleaved rounds, ratios to a limit of the same run, and how they are told."""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["Form", "Row", "interleave", "machine", "ratios", "tell"]

Form: TypeAlias = "Callable[[], Awaitable[float]]"
"""One round of something: nanoseconds for each call."""

_QUARTERS: Final = 4


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one form.

    Attributes:
        name: Of the form.
        ns: Median over the rounds, nanoseconds a call.
        added_ns: The same, less the base of the same round.
        ratio: Median of ``added_ns`` over that of the limit, taken round by round.
        low: Lower quartile of the ratio.
        high: Upper quartile.
    """

    name: str
    ns: int
    added_ns: int
    ratio: float
    low: float
    high: float


async def interleave(forms: Mapping[str, Form], rounds: int) -> dict[str, list[float]]:
    """Rounds of all forms in turn, after one of each to warm up; the collector waits outside."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for form in forms.values():
        await form()
    for _ in range(rounds):
        for name, form in forms.items():
            gc.collect()
            gc.disable()
            try:
                times[name].append(await form())
            finally:
                gc.enable()
    return times


def ratios(
    times: Mapping[str, Sequence[float]], *, limit: str, base: str | None = None
) -> list[Row]:
    """Rows of what each form adds to ``base``, over what ``limit`` adds to it."""
    low = times[base] if base else [0.0] * len(times[limit])
    rows = []
    for name, values in times.items():
        added = [value - least for value, least in zip(values, low, strict=True)]
        shares = [
            one / (most - least) for one, most, least in zip(added, times[limit], low, strict=True)
        ]
        quarters = statistics.quantiles(shares, n=_QUARTERS)
        rows.append(
            Row(
                name,
                round(statistics.median(values)),
                round(statistics.median(added)),
                round(statistics.median(shares), 3),
                round(quarters[0], 3),
                round(quarters[-1], 3),
            )
        )
    return rows


def machine() -> dict[str, str]:
    """What it was measured on, and when."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {sys.platform}",
        "starlette": version("starlette"),
        "date": datetime.now(UTC).date().isoformat(),
    }


def tell(title: str, rows: Sequence[Row], *, rounds: int, as_json: bool) -> None:
    """Print a table, or JSON."""
    if as_json:
        whole = {"title": title, **machine(), "rounds": rounds, "rows": [asdict(r) for r in rows]}
        click.echo(json.dumps(whole, indent=2))
        return
    click.echo(f"{title}\n{', '.join(machine().values())}; {rounds} interleaved rounds")
    for row in rows:
        spread = f"({row.low:.2f} to {row.high:.2f})"
        click.echo(f"{row.name:38}{row.ns:9} ns  +{row.added_ns:8}{row.ratio:8.2f}  {spread}")
