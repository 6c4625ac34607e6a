"""No form of the guard has become slower than the results that were kept last.

Two things are compared, both with the hand-written floor of the same run. *Steps* of the
interpreter and calls: they are exact, whatever else the machine does, and see nothing of what a
call does in C. *Times* see that, by processor time; a form counts as slower only when it is in all
of ``TRIES`` runs. How the margins were found: docs/performance.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks._report import load

ROOT: Final = Path(__file__).parents[2]
ROUNDS: Final = 5
TRIES: Final = 6
MARGIN: Final = 1.5
# What takes many times the floor runs through far more code, and suffers more when neighbours
# take the processor's caches.
LONG: Final = 5.0
LONG_MARGIN: Final = 2.5
STEPS_MARGIN: Final = 1.1  # another Python needs some more or less

_Ratios = dict[str, float]


def measure() -> dict[str, Any]:
    """The results of a process that no coverage slows down."""
    command = [sys.executable, "-m", "benchmarks.hot_path", "--no-peers", "--json"]
    done = subprocess.run(
        [*command, "--rounds", str(ROUNDS)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def times_of(results: dict[str, Any]) -> _Ratios:
    """What each form of the guard adds, over what the floor adds."""
    rows = results["tables"][0]["rows"]
    return {row["name"]: row["ratio"] for row in rows if row["name"].startswith("guard")}


def steps_of(results: dict[str, Any], what: str) -> _Ratios:
    """The same in steps or calls."""
    counts = {row["name"]: row[what] for row in results["tables"][1]["rows"]}
    floor = counts["floor"] - counts["bare"]
    return {
        name: (count - counts["bare"]) / floor
        for name, count in counts.items()
        if name.startswith("guard")
    }


def slower(found: _Ratios, kept: _Ratios) -> set[str]:
    """The forms whose ratio has grown by more than the margin."""
    return {
        name
        for name, ratio in kept.items()
        if found[name] > ratio * (MARGIN if ratio < LONG else LONG_MARGIN)
    }


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    results = load("hot_path")
    assert results is not None, "benchmarks/results/hot_path.json is missing: run scripts/bench"
    return results


@pytest.fixture(scope="module")
def first() -> dict[str, Any]:
    return measure()


def test_every_form_that_was_kept_is_measured_still(
    first: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert set(times_of(first)) == set(times_of(kept)), "run scripts/bench hot_path"


@pytest.mark.parametrize("what", ["steps", "calls"])
def test_no_form_of_the_guard_takes_more_steps(
    first: dict[str, Any], kept: dict[str, Any], what: str
) -> None:
    found, before = steps_of(first, what), steps_of(kept, what)
    more = {name: (was, found[name]) for name, was in before.items()}
    assert not {name: both for name, both in more.items() if both[1] > STEPS_MARGIN * both[0]}, (
        f"{what} added, over the floor's: kept, and found"
    )


def test_no_form_of_the_guard_has_become_slower(
    first: dict[str, Any], kept: dict[str, Any]
) -> None:
    before, seen = times_of(kept), [times_of(first)]
    suspects = slower(seen[0], before)
    while suspects and len(seen) < TRIES:
        seen.append(times_of(measure()))
        suspects &= slower(seen[-1], before)
    told = {name: (before[name], [found[name] for found in seen]) for name in suspects}
    assert not suspects, f"kept, and found in each of {TRIES} runs: {told}"


def test_what_is_slower_by_more_than_the_margin_is_found() -> None:
    kept = {"guard": 1.2, "guard, forged": 2.0, "guard, expired": 10.0}
    assert slower({"guard": 1.79, "guard, forged": 2.0, "guard, expired": 24.9}, kept) == set()
    assert slower({"guard": 1.81, "guard, forged": 2.0, "guard, expired": 25.1}, kept) == {
        "guard",
        "guard, expired",
    }
