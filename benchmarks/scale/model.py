"""On paper: a thousand processes and a billion tokens, from figures that were measured.

The assumptions stand in ``World``. All sums are plain proportions but for the look-up, which grows
with the depth of a B-tree, that is, with the logarithm of the number of tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["Line", "Measured", "World", "model"]

_T: Final = 60.0  # seconds: the longest life of an entry (bearer_guard.verify)
_FLUSH: Final = 45.0  # seconds between flushes of last uses
_FEW: Final = 1_000
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class World:
    """What is assumed.

    Attributes:
        processes: That verify.
        tokens: In the store.
        active: Different tokens that one process sees in a minute.
        requests_s: That one process serves.
        ends_s: Tokens that end, all over.
    """

    processes: int = 1_000
    tokens: int = 1_000_000_000
    active: int = 2_000
    requests_s: int = 2_000
    ends_s: int = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        poll_us: Of a server's processor, a poll.
        read_us: Of a server's processor, a look-up among few tokens.
        read_tokens: The most tokens that look-ups were measured among,
        read_growth: and how many times a look-up among a thousand those cost.
        row_bytes: Of a token in the store, indexes included.
        entry_bytes: Of a token in a process's memory, in use and noted.
    """

    poll_us: float
    read_us: float
    read_tokens: int
    read_growth: float
    row_bytes: float
    entry_bytes: float


@dataclass(frozen=True, slots=True)
class Line:
    """One result, and how it came about."""

    what: str
    value: str
    how: str


def model(measured: Measured, world: World = World()) -> list[Line]:
    """What such a world would ask of a store and of each process."""
    polls = world.processes / 1.0
    reads = world.processes * world.active / _T
    uses = world.processes * world.active / _FLUSH
    shared = 1 - world.active / (world.requests_s * _T)
    decades = math.log10(measured.read_tokens / _FEW)
    a_decade = max(0.0, measured.read_growth - 1) / decades
    growth = 1 + a_decade * math.log10(world.tokens / _FEW)
    read_us = measured.read_us * growth
    return [
        Line("polls", f"{polls:,.0f}/s", "one a second and process"),
        Line("their processor time", _cores(polls * measured.poll_us), "x us_a_poll, the dearest"),
        Line("hits without the store", f"{shared:.1%}", "each token is read once a minute"),
        Line("reads", f"{reads:,.0f}/s", "processes x active tokens / 60 s"),
        Line("a read", f"{read_us:,.0f} µs", f"{growth:.2f} x that among a thousand, by log10"),
        Line("their processor time", _cores(reads * read_us), "reads x a read, unbatched"),
        Line(
            "last uses", f"{uses:,.0f} rows/s", "processes x active / 45 s, in statements of 1,000"
        ),
        Line("ids in a poll", f"{world.ends_s:,.0f}", "ends a second"),
        Line("evictions", f"{world.ends_s:,.0f}/s", "in each process, a dictionary's pop"),
        Line("the store", f"{world.tokens * measured.row_bytes / _GIB:,.0f} GiB", "tokens x bytes"),
        Line("a process", f"{world.active * measured.entry_bytes / 2**20:,.0f} MiB", "x entry"),
    ]


def _cores(us_per_second: float) -> str:
    return f"{us_per_second / 1e6:,.2f} cores"
