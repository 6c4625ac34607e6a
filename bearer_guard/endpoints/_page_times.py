"""Instants as people read them: how far away, and exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ._format import iso

__all__ = ["When", "distance", "when"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
# How long each unit is, and up to which distance it is the one to speak in.
_UNITS: Final = (
    ("minute", _MINUTE, _HOUR),
    ("hour", _HOUR, 2 * _DAY),
    ("day", _DAY, 100 * _DAY),
    ("month", 30 * _DAY, 730 * _DAY),
)
_YEAR: Final = 365.25 * _DAY


@dataclass(frozen=True, slots=True)
class When:
    """An instant.

    Attributes:
        iso: For machines, and for the browser that knows its reader's time zone.
        exact: For people, in UTC.
        distance: From now: ``in 6 days``, ``2 hours ago``.
    """

    iso: str
    exact: str
    distance: str


def when(at_ms: int | None, now_ms: int) -> When | None:
    """The instant in words; ``None`` for never, and for what is no time that can be written."""
    written = iso(at_ms)
    if at_ms is None or written is None:
        return None
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return When(written, f"{at.day} {at:%b %Y, %H:%M} UTC", distance(at_ms - now_ms))


def distance(ms: int) -> str:
    """How far away, in one unit; whole ones, never rounded up.

    Args:
        ms: Milliseconds from now; negative: ago.
    """
    length = abs(ms)
    if length < _MINUTE:
        return "in less than a minute" if ms > 0 else "just now"
    unit, size = next(((u, s) for u, s, most in _UNITS if length < most), ("year", _YEAR))
    count = int(length // size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"in {words}" if ms > 0 else f"{words} ago"
