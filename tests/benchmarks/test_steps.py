"""Counting steps."""

from __future__ import annotations

import sys
from hashlib import sha256

from benchmarks._steps import steps


async def once() -> None:
    sha256(b"").digest()


async def twice() -> None:
    await once()
    sha256(b"").digest()


async def test_a_call_more_is_a_step_more_whatever_the_clock_says() -> None:
    less, more = await steps("once", once), await steps("twice", twice)
    assert less == await steps("once", once)
    assert (less.name, more.calls) == ("once", less.calls + 3)  # itself, and two in C
    assert more.steps > less.steps


async def test_whoever_traced_before_goes_on() -> None:
    before = sys.gettrace(), sys.getprofile()
    await steps("once", once)
    assert (sys.gettrace(), sys.getprofile()) == before
