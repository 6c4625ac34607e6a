"""A clock that stands still until it is moved."""

from __future__ import annotations

from typing import Final

__all__ = ["START_MS", "ManualClock"]

START_MS: Final = 1_795_528_800_000  # 2026-11-24T14:00:00Z


class ManualClock:
    """A ``Clock`` for tests: time passes when ``advance`` says so.

    Args:
        now_ms: Wall time to begin with, Unix milliseconds.
    """

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._elapsed = (
            1_000.0  # arbitrary, as the protocol says; not zero, so that nobody counts on it
        )

    def now_ms(self) -> int:
        """Wall time: milliseconds since the Unix epoch, UTC."""
        return self._now_ms

    def elapsed(self) -> float:
        """Seconds since an arbitrary start."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass, on both readings."""
        self._elapsed += seconds
        self._now_ms += round(seconds * 1000)

    def step_wall(self, ms: int) -> None:
        """Set the wall clock forward, or back where ``ms`` is negative; no time passes."""
        self._now_ms += ms
