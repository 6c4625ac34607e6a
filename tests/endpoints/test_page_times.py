"""Instants as people read them."""

from __future__ import annotations

import pytest

from bearer_guard.endpoints._page_times import When, distance, when

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
NOW = 1_795_528_800_000  # 2026-11-24T14:00:00Z


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (1, "in less than a minute"),
        (MINUTE - 1, "in less than a minute"),
        (MINUTE, "in 1 minute"),
        (2 * MINUTE, "in 2 minutes"),
        (HOUR - 1, "in 59 minutes"),
        (HOUR, "in 1 hour"),
        (2 * DAY - 1, "in 47 hours"),
        (2 * DAY, "in 2 days"),
        (7 * DAY - 1, "in 6 days"),
        (100 * DAY - 1, "in 99 days"),
        (100 * DAY, "in 3 months"),
        (730 * DAY - 1, "in 24 months"),
        (731 * DAY, "in 2 years"),
        (100_000 * DAY, "in 273 years"),
    ],
)
def test_a_distance_is_never_rounded_up(ms: int, words: str) -> None:
    assert distance(ms) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "just now"),
        (-MINUTE + 1, "just now"),
        (-MINUTE, "1 minute ago"),
        (-3 * DAY, "3 days ago"),
    ],
)
def test_what_is_past_is_ago(ms: int, words: str) -> None:
    assert distance(ms) == words


def test_an_instant_is_told_three_ways() -> None:
    at = when(NOW - 5 * HOUR, NOW)
    assert at == When("2026-11-24T09:00:00.000Z", "24 Nov 2026, 09:00 UTC", "5 hours ago")


@pytest.mark.parametrize("at_ms", [None, -1, 1 << 60])
def test_never_and_what_is_no_time_are_none(at_ms: int | None) -> None:
    assert when(at_ms, NOW) is None
