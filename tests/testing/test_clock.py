"""The clock that is moved by hand."""

from typing import TYPE_CHECKING

from bearer_guard.testing.clock import START_MS, ManualClock

if TYPE_CHECKING:
    from bearer_guard.clock import Clock


def test_it_stands_still() -> None:
    clock: Clock = ManualClock()  # that this is one is for the type checker
    assert (clock.now_ms(), clock.elapsed()) == (clock.now_ms(), clock.elapsed())


def test_time_passes_on_both_readings() -> None:
    clock = ManualClock(5)
    before = clock.elapsed()
    clock.advance(1.25)
    assert (clock.now_ms(), clock.elapsed() - before) == (1255, 1.25)


def test_the_wall_clock_can_be_set_and_no_time_passes() -> None:
    clock = ManualClock()
    before = clock.elapsed()
    clock.step_wall(-3_600_000)
    assert (clock.now_ms(), clock.elapsed()) == (START_MS - 3_600_000, before)
