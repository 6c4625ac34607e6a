"""Two readings of time: one that records carry, and one that never steps."""

from __future__ import annotations

import time
from typing import Final

import pytest

from bearer_guard.clock import SYSTEM_CLOCK, ForwardClock
from bearer_guard.testing import ManualClock

HOUR_MS: Final = 3_600_000


class PausingClock(ManualClock):
    """The process is held up for a minute after each reading, when it is told to."""

    held_up = False

    def now_ms(self) -> int:
        reading = super().now_ms()
        self._hold_up()
        return reading

    def elapsed(self) -> float:
        reading = super().elapsed()
        self._hold_up()
        return reading

    def _hold_up(self) -> None:
        if self.held_up:
            self.advance(60)


def test_the_systems_wall_time_is_unix_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= SYSTEM_CLOCK.now_ms() <= time.time_ns() // 1_000_000


def test_the_systems_elapsed_time_does_not_go_back() -> None:
    readings = [SYSTEM_CLOCK.elapsed() for _ in range(1000)]
    assert readings == sorted(readings)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no CLOCK_BOOTTIME here")
def test_the_systems_elapsed_time_goes_on_while_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    reading = SYSTEM_CLOCK.elapsed()
    assert before <= reading <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_wall_time_moves_on_with_the_clock() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    manual.advance(1.5)
    assert clock.now_ms() == 6_500


def test_wall_time_follows_a_step_forward() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    manual.step_wall(HOUR_MS)
    assert clock.now_ms() == 5_000 + HOUR_MS


def test_invariant_11_setting_the_clock_back_lengthens_no_life() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    manual.step_wall(-HOUR_MS)
    manual.advance(2)
    assert clock.now_ms() == 7_000


def test_setting_the_clock_back_and_forth_again_counts_once() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    for step in (-HOUR_MS, HOUR_MS, -HOUR_MS, HOUR_MS + 500):
        manual.step_wall(step)
        clock.now_ms()
    assert clock.now_ms() == 5_500


def test_wall_time_never_goes_back_whatever_the_clock_does() -> None:
    manual = ManualClock(now_ms=10 * HOUR_MS)
    clock = ForwardClock(manual)
    readings = []
    for step in (0, -HOUR_MS, 3, -1, HOUR_MS, -2 * HOUR_MS, 1):
        manual.step_wall(step)
        manual.advance(0.001)
        readings.append(clock.now_ms())
    assert readings == sorted(readings)


def test_wall_time_is_never_behind_the_clock() -> None:
    manual = ManualClock(now_ms=0)
    clock = ForwardClock(manual)
    for _ in range(100):
        manual.advance(0.0137)
        assert clock.now_ms() >= manual.now_ms()


def test_being_held_up_between_two_readings_does_not_put_the_clock_forward() -> None:
    manual = PausingClock()
    clock = ForwardClock(manual)
    manual.held_up = True
    clock.now_ms()
    manual.held_up = False
    assert clock.now_ms() == manual.now_ms()


def test_a_step_forward_is_told_once() -> None:
    manual = ManualClock()
    clock = ForwardClock(manual)
    manual.step_wall(1_000)
    assert clock.step_ms() == pytest.approx(1_000)
    assert clock.step_ms() == 0


def test_a_step_forward_is_told_although_the_time_was_read_meanwhile() -> None:
    manual = ManualClock()
    clock = ForwardClock(manual)
    manual.step_wall(1_000)
    clock.now_ms()
    assert clock.step_ms() == pytest.approx(1_000)


@pytest.mark.parametrize("step", [0, -1, -HOUR_MS])
def test_a_step_back_is_none(step: int) -> None:
    manual = ManualClock()
    clock = ForwardClock(manual)
    manual.step_wall(step)
    assert clock.step_ms() == 0


def test_time_that_passes_is_no_step() -> None:
    manual = ManualClock()
    clock = ForwardClock(manual)
    manual.advance(3_600)
    assert clock.step_ms() == pytest.approx(0)


def test_a_deadline_is_when_the_wall_time_will_have_come() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    assert clock.deadline(7_500) == pytest.approx(manual.elapsed() + 2.5)


def test_a_deadline_that_has_passed_lies_in_the_past() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    assert clock.deadline(4_000) == pytest.approx(manual.elapsed() - 1)


def test_invariant_11_a_deadline_does_not_move_when_the_clock_is_set_back() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    before = clock.deadline(7_500)
    manual.step_wall(-HOUR_MS)
    clock.now_ms()
    assert clock.deadline(7_500) == pytest.approx(before)


def test_an_elapsed_time_is_told_as_wall_time() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    then = manual.elapsed()
    manual.advance(2.5)
    assert clock.wall_ms(then) == 5_000


def test_a_deadline_and_its_wall_time_are_one() -> None:
    manual = ManualClock(now_ms=5_000)
    clock = ForwardClock(manual)
    assert clock.wall_ms(clock.deadline(9_999)) == 9_999


def test_elapsed_time_is_that_of_the_clock() -> None:
    manual = ManualClock()
    clock = ForwardClock(manual)
    manual.advance(7)
    assert clock.elapsed() == manual.elapsed()
