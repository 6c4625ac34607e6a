"""Interleaved rounds, and ratios to a limit of the same rounds.

A machine's speed wanders by tens of per cent within seconds; the ratio of two things that took
turns hardly does. So nothing here is compared across runs but ratios.
"""

from __future__ import annotations

import gc
import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["Cost", "Form", "Row", "Spread", "costs", "interleave", "ratios", "spread"]

Form: TypeAlias = "Callable[[], Awaitable[float]]"
"""One round of something: nanoseconds for each call."""

_QUARTERS: Final = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and its quartiles."""

    median: float
    low: float
    high: float


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


@dataclass(frozen=True, slots=True)
class Cost:
    """The same for what adds to nothing: microseconds a call, and how many that is a second."""

    name: str
    us: float
    per_second: int
    ratio: float
    low: float
    high: float


async def interleave(forms: Mapping[str, Form], rounds: int) -> dict[str, list[float]]:
    """Rounds of all forms in turn, after one of each to warm up; the collector waits outside.

    The order differs from turn to turn, so that none always follows the same one.
    """
    times: dict[str, list[float]] = {name: [] for name in forms}
    gc.collect()
    gc.freeze()  # a collection has only to do with what the rounds leave
    try:
        await _take_turns(forms, rounds, times)
    finally:
        gc.unfreeze()
    return times


async def _take_turns(
    forms: Mapping[str, Form], rounds: int, times: Mapping[str, list[float]]
) -> None:
    order, shuffled = list(forms), random.Random(1)  # noqa: S311 - an order, the same each time
    for form in forms.values():
        await form()
    for _ in range(rounds):
        shuffled.shuffle(order)
        for name in order:
            gc.collect()
            gc.disable()
            try:
                times[name].append(await forms[name]())
            finally:
                gc.enable()


def ratios(
    times: Mapping[str, Sequence[float]],
    *,
    limit: str | Mapping[str, str],
    bases: Mapping[str, str] | None = None,
) -> list[Row]:
    """What each form adds to its base, over what its limit adds to its own.

    Args:
        times: The rounds of each form.
        limit: The name of the limit of all, or that of each form.
        bases: The name of the base of a form; one that has none is taken as it is.
    """
    bases = bases or {}

    def added(name: str) -> list[float]:
        least = times[bases[name]] if name in bases else [0.0] * len(times[name])
        return [value - low for value, low in zip(times[name], least, strict=True)]

    rows = []
    for name, values in times.items():
        limits = added(limit if isinstance(limit, str) else limit[name])
        share = spread([a / b for a, b in zip(added(name), limits, strict=True)])
        middle, extra = statistics.median(values), statistics.median(added(name))
        rows.append(
            Row(name, round(middle), round(extra), share.median, share.low, share.high),
        )
    return rows


def costs(rows: Sequence[Row]) -> list[Cost]:
    """Rows without a base, for people."""
    return [
        Cost(row.name, round(row.ns / 1000, 1), round(1e9 / row.ns), row.ratio, row.low, row.high)
        for row in rows
    ]


def spread(values: Sequence[float], digits: int = 3) -> Spread:
    """The median of some values, and their quartiles."""
    if len(values) == 1:
        return Spread(*[round(values[0], digits)] * 3)
    quarters = statistics.quantiles(values, n=_QUARTERS, method="inclusive")
    middle = statistics.median(values)
    return Spread(round(middle, digits), round(quarters[0], digits), round(quarters[-1], digits))
