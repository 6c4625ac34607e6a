"""What the project set out to reach, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from operator import ge, le
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ._report import Table, cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Reached", "targets"]

_Row: TypeAlias = "dict[str, Any]"
_Results: TypeAlias = "Mapping[str, Mapping[str, Any]]"
_Found: TypeAlias = "Iterator[tuple[str, float]]"

# Least times what the guard adds that each adds.
_PEERS: Final = {
    "starlette": 1.9,
    "mcp": 4,
    "safe-api-keys": 19,
    "PyJWT": 29,
    "litestar-api-auth": 50,
    "keyshield": 64,
    "fastapi-users": 140,
}
_PUSHED_MS: Final = 100
_EMBEDDED_MS: Final = 1_500
_BOUND_MS: Final = 5_000
_MOST_POLLERS: Final = 100
_LITTLE_US: Final = 5
_MOST_RATIO: Final = 1.1


@dataclass(frozen=True, slots=True)
class Reached:
    """One target: what was meant, what was found, and whether that is enough."""

    target: str
    where: str
    limit: str
    measured: str
    met: bool


def targets(results: _Results) -> Table:
    """All targets whose benchmark has results."""
    rows = [
        row
        for name, reached in _REACHED.items()
        if name in results
        for row in reached(results[name]["tables"])
    ]
    return Table("target, and what was measured", rows)


def _at_most(target: str, limit: float, found: _Found, unit: str = "") -> Iterator[Reached]:
    return _compared(target, "≤", limit, found, unit)


def _at_least(target: str, limit: float, found: _Found, unit: str = "") -> Iterator[Reached]:
    return _compared(target, "≥", limit, found, unit)


def _compared(target: str, sign: str, limit: float, found: _Found, unit: str) -> Iterator[Reached]:
    good: Callable[[float, float], bool] = le if sign == "≤" else ge
    for where, value in found:
        yield Reached(
            target, where, f"{sign} {cell(limit)}{unit}", f"{cell(value)}{unit}", good(value, limit)
        )


def _hot_path(tables: list[_Row]) -> Iterator[Reached]:
    ratios = {row["name"]: row["ratio"] for row in tables[0]["rows"]}
    yield from _at_most("a hit adds, over the floor", 1.25, iter([("guard", ratios["guard"])]))
    for peer, limit in _PEERS.items():
        found = (
            (n, round(r / ratios["guard"], 1)) for n, r in ratios.items() if n.startswith(peer)
        )
        yield from _at_least("a peer adds, over the guard", limit, found, " x")


def _cold_path(tables: list[_Row]) -> Iterator[Reached]:
    stores = {t["title"].partition(":")[0]: _by_name(t) for t in tables if t["rows"]}
    for store, rows in stores.items():
        alone = rows["guard, alone"]
        yield Reached(
            "a miss, over the adapter alone",
            store,
            f"≤ {_MOST_RATIO} x or + {_LITTLE_US} µs",
            f"{alone['ratio']} x, + {alone['added_us']} µs",
            alone["ratio"] <= _MOST_RATIO or alone["added_us"] <= _LITTLE_US,
        )
    found = ((store, rows["guard, fifty at once"]["per_raw"]) for store, rows in stores.items())
    yield from _at_least("fifty misses at once, over the adapter one by one", 4, found, " x")


def _whole_server(tables: list[_Row]) -> Iterator[Reached]:
    found = (
        (table["title"].partition(":")[0], _by_name(table)["guard"]["of_floor"]) for table in tables
    )
    yield from _at_least("a whole server's requests, over the floor's", 0.97, found, " x")


def _scale(tables: list[_Row]) -> Iterator[Reached]:
    rows = [row for table in tables for row in table["rows"]]
    tails = ((r["server"], r["ratio"]) for r in rows if r.get("percentile") == "p99.9")
    yield from _at_most("p99.9 at half load, over bare's", 1.3, tails, " x")
    entries = [row for row in rows if "entry_bytes" in row]
    full = ((f"{row['tokens']:,} tokens", row["entry_bytes"]) for row in entries[-1:])
    yield from _at_most("an entry of the cache", 600, full, " bytes")
    polls = ((r["store"], r["core_percent"]) for r in rows if r.get("pollers") == _MOST_POLLERS)
    yield from _at_most(f"{_MOST_POLLERS} polls a second, of a core", 3, polls, " %")
    grown = [row for row in rows if "call" in row]
    most = max((row["tokens"] for row in grown), default=0)
    for row in grown:
        if row["tokens"] == most:
            limit = 1.5 if row["call"] == "look-up" else 2
            target = f"{most:,} tokens, over a thousand"
            yield from _at_most(target, limit, iter([(row["call"], row["ratio"])]), " x")


def _revocation_lag(tables: list[_Row]) -> Iterator[Reached]:
    for row in tables[0]["rows"]:
        if row["hints"]:
            way, limit = "with hints", _PUSHED_MS
        elif row["store"] in {"SQLite", "MariaDB"}:
            way, limit = "which has no hints", _EMBEDDED_MS
        else:
            way, limit = "without hints", _BOUND_MS
        found = iter([(f"{row['store']}, {way}", row["worst_ms"])])
        yield from _at_most(f"the latest of {row['ends']} ends elsewhere", limit, found, " ms")


def _by_name(table: _Row) -> dict[str, _Row]:
    return {row["name"]: row for row in table["rows"]}


_REACHED: Final[dict[str, Callable[[list[_Row]], Iterator[Reached]]]] = {
    "hot_path": _hot_path,
    "cold_path": _cold_path,
    "whole_server": _whole_server,
    "scale": _scale,
    "revocation_lag": _revocation_lag,
}
