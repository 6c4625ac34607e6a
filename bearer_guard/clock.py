"""The only place that reads time.

Two readings, never mixed. *Wall* time, integer Unix milliseconds, is what records carry.
*Elapsed* time, float seconds from an arbitrary start, is what deadlines are kept in: it never
steps, so that setting the clock back can't lengthen a token's life.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Final, Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "ForwardClock", "SystemClock"]


class Clock(Protocol):
    """What reads the time."""

    def now_ms(self) -> int:
        """Wall time: milliseconds since the Unix epoch, UTC."""
        ...

    def elapsed(self) -> float:
        """Seconds since an arbitrary start; never steps back, goes on while asleep."""
        ...


class SystemClock:
    """The machine's clocks.

    Elapsed time is ``CLOCK_BOOTTIME`` where there is one: ``CLOCK_MONOTONIC`` stands still while
    the machine sleeps, and a token ended in the meantime would pass for seconds after it wakes.
    """

    @staticmethod
    def now_ms() -> int:
        """Wall time: milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000

    # A partial of a C function: on the hit path a Python frame would cost more than the reading.
    elapsed = staticmethod(
        partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic
    )


SYSTEM_CLOCK: Final = SystemClock()


class ForwardClock:
    """A clock whose wall time never goes back, so that setting it back lengthens no life.

    Args:
        clock: What it reads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self.elapsed: Final = clock.elapsed
        self._offset_ms = clock.now_ms() - clock.elapsed() * 1000
        self._told_ms = self._offset_ms  # by ``step_ms``

    def now_ms(self) -> int:
        """Wall time, in Unix milliseconds: never less than what has elapsed since it was read."""
        # In this order: whoever is held up between the two must not take that for a step forward.
        wall_ms = self._clock.now_ms()
        elapsed_ms = self.elapsed() * 1000
        self._offset_ms = max(self._offset_ms, wall_ms - elapsed_ms)
        return round(self._offset_ms + elapsed_ms)

    def step_ms(self) -> float:
        """How far the wall clock was set forward since this was last asked, in milliseconds."""
        self.now_ms()
        before, self._told_ms = self._told_ms, self._offset_ms
        return self._offset_ms - before

    def deadline(self, at_ms: int) -> float:
        """The elapsed time, in seconds, at which the wall time will be ``at_ms``.

        It reads no clock, but goes by what ``now_ms`` read last.

        Args:
            at_ms: Unix milliseconds.
        """
        return (at_ms - self._offset_ms) / 1000

    def wall_ms(self, elapsed: float) -> int:
        """The wall time when ``elapsed`` was read, in Unix milliseconds."""
        return self.now_ms() - round((self.elapsed() - elapsed) * 1000)
