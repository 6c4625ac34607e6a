"""The arithmetic of the benchmarks."""

from __future__ import annotations

import gc

import pytest

from benchmarks._measure import costs, interleave, ratios, spread


async def test_forms_take_turns_and_the_collector_waits() -> None:
    calls: list[str] = []

    async def one() -> float:
        calls.append("one")
        return 1.0

    async def other() -> float:
        calls.append("other")
        return float(gc.isenabled())

    times = await interleave({"one": one, "other": other}, 3)
    assert times == {"one": [1.0] * 3, "other": [0.0] * 3}
    assert [set(calls[i : i + 2]) for i in range(0, 8, 2)] == [{"one", "other"}] * 4
    assert gc.isenabled()


def test_a_ratio_is_that_of_what_is_added_to_the_base() -> None:
    times = {"bare": [10.0, 20.0, 10.0], "floor": [20.0, 40.0, 20.0], "guard": [25.0, 50.0, 30.0]}
    bases = dict.fromkeys(times, "bare")
    bare, floor, guard = ratios(times, limit="floor", bases=bases)
    assert (bare.added_ns, bare.ratio) == (0, 0.0)
    assert (floor.ns, floor.added_ns, floor.ratio) == (20, 10, 1.0)
    assert (guard.ratio, guard.low, guard.high) == (1.5, 1.5, 1.75)


def test_each_form_may_have_a_limit_of_its_own() -> None:
    times = {"a": [1000.0], "b": [2000.0], "c": [1500.0]}
    rows = ratios(times, limit={"a": "a", "b": "a", "c": "c"})
    assert [row.ratio for row in rows] == [1.0, 2.0, 1.0]
    assert [(cost.us, cost.per_second) for cost in costs(rows)] == [
        (1.0, 1_000_000),
        (2.0, 500_000),
        (1.5, 666_667),
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], (3.0, 3.0, 3.0)), ([1.0, 2.0, 3.0, 4.0, 5.0], (3.0, 2.0, 4.0))],
)
def test_a_spread_is_a_median_and_quartiles(
    values: list[float], expected: tuple[float, float, float]
) -> None:
    found = spread(values)
    assert (found.median, found.low, found.high) == expected
