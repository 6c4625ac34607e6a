"""`rate`: how many log-ins may fail in a sliding minute."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from bearer_guard.issuing.rate import FailureLimits
from bearer_guard.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = "192.0.2.1"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Time for us, and for the memory of ``limits``, which reads it by itself."""
    manual = ManualClock()
    theirs = SimpleNamespace(time=lambda: manual.now_ms() / 1000)
    monkeypatch.setattr("limits.aio.storage.memory.time", theirs)
    return manual


async def fail(
    limits: FailureLimits, times: int, *, account: str = "alice", at: str | None = HERE
) -> None:
    for _ in range(times):
        await limits.count(account, at)


async def test_nobody_waits_before_the_limit(clock: ManualClock) -> None:
    limits = FailureLimits(clock=clock)
    await fail(limits, 9)
    assert await limits.wait_s("alice", HERE) == 0


async def test_ten_failures_stop_an_account_wherever_they_came_from(clock: ManualClock) -> None:
    limits = FailureLimits(clock=clock)
    for number in range(10):
        await fail(limits, 1, at=f"192.0.2.{number}")
    assert await limits.wait_s("alice", "198.51.100.1") == 60
    assert await limits.wait_s("bob", HERE) == 0


async def test_a_hundred_failures_stop_an_address_whatever_the_names(clock: ManualClock) -> None:
    limits = FailureLimits(clock=clock)
    for number in range(100):
        await fail(limits, 1, account=f"user{number}")
    assert await limits.wait_s("somebody else", HERE) == 60
    assert await limits.wait_s("somebody else", "198.51.100.1") == 0


async def test_the_minute_slides(clock: ManualClock) -> None:
    limits = FailureLimits(clock=clock)
    await fail(limits, 5)
    clock.advance(40)
    await fail(limits, 5)
    assert await limits.wait_s("alice", HERE) == 20
    clock.advance(19)
    assert await limits.wait_s("alice", HERE) == 1
    clock.advance(1.001)
    assert await limits.wait_s("alice", HERE) == 0
    await fail(limits, 5)
    assert await limits.wait_s("alice", HERE) == 40


async def test_a_limit_can_be_another(clock: ManualClock) -> None:
    limits = FailureLimits(per_account=2, per_address=3, clock=clock)
    await fail(limits, 2)
    assert await limits.wait_s("alice", HERE) == 60
    await fail(limits, 1, account="bob")
    assert await limits.wait_s("carol", HERE) == 60


async def test_the_longer_wait_counts(clock: ManualClock) -> None:
    limits = FailureLimits(per_account=1, per_address=2, clock=clock)
    await fail(limits, 1, account="alice")
    clock.advance(30)
    await fail(limits, 1, account="bob")
    assert await limits.wait_s("bob", HERE) == 60
    assert await limits.wait_s("alice", HERE) == 30
    assert await limits.wait_s("carol", HERE) == 30


@pytest.mark.parametrize("spelling", ["ALICE", " alice", "alice ", "\uff21lice"])
async def test_spellings_of_one_name_share_a_limit(clock: ManualClock, spelling: str) -> None:
    limits = FailureLimits(per_account=1, clock=clock)
    await fail(limits, 1, account=spelling)
    assert await limits.wait_s("alice", None) == 60


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        (None, "/run/app.sock", True),
        (None, "192.0.2.1", False),
    ],
)
async def test_whose_addresses_are_counted_together(
    clock: ManualClock, one: str | None, other: str | None, *, together: bool
) -> None:
    limits = FailureLimits(per_address=1, clock=clock)
    await fail(limits, 1, account="alice", at=one)
    assert (await limits.wait_s("bob", other) > 0) is together


async def test_a_very_long_name_is_counted_like_any_other(clock: ManualClock) -> None:
    limits = FailureLimits(per_account=1, clock=clock)
    await fail(limits, 1, account="x" * 1_000_000)
    assert await limits.wait_s("x" * 1_000_000, None) == 60


class Guesses:
    """Tries that fail, all at once."""

    def __init__(self, limits: FailureLimits) -> None:
        self.limits = limits
        self.let = self.under_way = self.most = 0

    async def make(self, accounts: Iterable[str]) -> int:
        """How many were let."""
        await asyncio.gather(*(self._one(account) for account in accounts))
        return self.let

    async def _one(self, account: str) -> None:
        async with self.limits.turn(account, HERE) as wait_s:
            if wait_s:
                return
            self.let += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            for _ in range(self.let % 5):  # the password is looked at, for a while or for two
                await asyncio.sleep(0)
            self.under_way -= 1
            await self.limits.count(account, HERE)


async def test_a_burst_gets_no_more_guesses_at_an_account(clock: ManualClock) -> None:
    guesses = Guesses(FailureLimits(clock=clock))
    assert await guesses.make(["alice"] * 200) == 10
    assert guesses.most == 2


async def test_a_burst_gets_no_more_guesses_from_an_address(clock: ManualClock) -> None:
    guesses = Guesses(FailureLimits(clock=clock))
    assert await guesses.make([f"user{number}" for number in range(300)]) == 100
    assert guesses.most == 8


async def test_a_limit_of_one_is_one(clock: ManualClock) -> None:
    guesses = Guesses(FailureLimits(per_account=1, clock=clock))
    assert await guesses.make(["alice"] * 9) == 1


async def test_a_try_that_may_be_the_last_is_waited_for(clock: ManualClock) -> None:
    """Nine have failed and one is under way: the next waits, and is let where that one is right."""
    limits = FailureLimits(clock=clock)
    await fail(limits, 9)
    order: list[str] = []

    async def right(name: str) -> None:
        async with limits.turn("alice", HERE) as wait_s:
            order.append(f"{name} {wait_s}")
            await asyncio.sleep(0.001)
            order.append(f"{name} done")

    await asyncio.gather(right("one"), right("two"), right("three"))
    assert order == ["one 0", "one done", "two 0", "two done", "three 0", "three done"]


async def test_nothing_is_left_of_those_who_had_their_turn_or_went_away(
    clock: ManualClock,
) -> None:
    limits = FailureLimits(clock=clock)

    async def hold(account: str) -> None:
        async with limits.turn(account, HERE):
            await asyncio.Event().wait()

    names = ["alice"] * 5 + ["bob", "carol"] + [f"user{number}" for number in range(9)]
    tasks = [asyncio.create_task(hold(name)) for name in names]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await Guesses(limits).make(["alice"] * 3) == 3
    assert limits._accounts._lines == limits._addresses._lines == {}


def test_importing_it_does_not_load_limits() -> None:
    code = "import sys, bearer_guard.issuing.rate; print('limits' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
