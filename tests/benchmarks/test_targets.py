"""What was to be reached, and whether it was."""

from __future__ import annotations

from typing import Any, Final

from benchmarks._targets import targets

HOT: Final = [
    {"name": "guard", "ratio": 1.25},
    {"name": "starlette 1.0", "ratio": 2.5},
    {"name": "mcp 2.0", "ratio": 4.0},
]
COLD: Final = [
    {"name": "guard, alone", "ratio": 1.4, "added_us": 4.9},
    {"name": "guard, fifty at once", "per_raw": 3.9},
]
LAG: Final = [
    {"store": "Redis", "hints": True, "worst_ms": 101.0, "ends": 9},
    {"store": "Redis", "hints": False, "worst_ms": 101.0, "ends": 9},
    {"store": "SQLite", "hints": False, "worst_ms": 1501.0, "ends": 9},
]
SCALE: Final = [
    {"call": "look-up", "tokens": 1000, "ratio": 1.0},
    {"call": "look-up", "tokens": 2000, "ratio": 1.6},
    {"call": "end", "tokens": 2000, "ratio": 1.6},
    {"tokens": 10, "entry_bytes": 900},
    {"tokens": 1000, "entry_bytes": 600},
    {"percentile": "p99", "server": "uvicorn", "ratio": 9.0},
    {"percentile": "p99.9", "server": "uvicorn", "ratio": 1.2},
    {"store": "Redis", "pollers": 10, "core_percent": 9.0},
    {"store": "Redis", "pollers": 100, "core_percent": 2.0},
]


def found(name: str, rows: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    table = targets({name: {"tables": [{"title": "Redis: what", "rows": rows}]}})
    return [(row.where, row.met) for row in table.rows]


def test_a_hit_and_its_peers_are_held_against_the_guard_s_own() -> None:
    assert found("hot_path", HOT) == [("guard", True), ("starlette 1.0", True), ("mcp 2.0", False)]


def test_a_miss_may_cost_a_little_more_or_a_little_time() -> None:
    assert found("cold_path", COLD) == [("Redis", True), ("Redis", False)]
    slow = [COLD[0] | {"added_us": 5.1}, COLD[1] | {"per_raw": 4.0}]
    assert found("cold_path", slow) == [("Redis", False), ("Redis", True)]


def test_a_whole_server_is_held_against_the_floor() -> None:
    assert found("whole_server", [{"name": "guard", "of_floor": 0.97}]) == [("Redis", True)]
    assert found("whole_server", [{"name": "guard", "of_floor": 0.96}]) == [("Redis", False)]


def test_what_grows_is_held_against_the_smallest_and_what_is_full_counts() -> None:
    assert found("scale", SCALE) == [
        ("uvicorn", True),
        ("1,000 tokens", True),
        ("Redis", True),
        ("look-up", False),
        ("end", True),
    ]


def test_an_end_has_a_time_by_what_carries_it() -> None:
    assert found("revocation_lag", LAG) == [
        ("Redis, with hints", False),
        ("Redis, without hints", True),
        ("SQLite, which has no hints", False),
    ]


def test_what_was_not_measured_has_no_row() -> None:
    assert targets({}).rows == []
