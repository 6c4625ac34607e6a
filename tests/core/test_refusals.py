"""Refusals are told to the audit, and a flood of them does not drown it."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING, Final
from uuid import UUID

import pytest

from bearer_guard.clock import ForwardClock
from bearer_guard.events import Event, RequestRefused
from bearer_guard.record import TokenInfo
from bearer_guard.refusals import EVERY_SECONDS, MOST_PLACES, Refusals
from bearer_guard.testing import ManualClock, a_record
from bearer_guard.verdict import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

WORTH_KNOWING: Final = {
    Reason.FORGED,
    Reason.UNKNOWN,
    Reason.TAMPERED,
    Reason.ENDED,
    Reason.OWNER_DISABLED,
    Reason.NETWORK,
    Reason.PROXY_IDENTITY,
}
FORGED: Final = Refusal(Reason.FORGED)


class Audit:
    """Refusals, and what the one listener was told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: list[RequestRefused] = []
        self.refusals = Refusals([self._listen], ForwardClock(self.clock))

    def _listen(self, event: Event, /) -> None:
        assert isinstance(event, RequestRefused)
        self.told.append(event)

    def note(self, refusal: Refusal, times: int = 1) -> None:
        for _ in range(times):
            self.refusals.note(refusal, client=None)

    def forge(self) -> None:
        """A forged token, as the guard treats one."""
        if not self.refusals.silenced():
            self.note(FORGED)

    def counts(self) -> list[int]:
        return [event.count for event in self.told]


def info(number: int) -> TokenInfo:
    return TokenInfo(
        id=UUID(int=number),
        owner="alice",
        description="",
        created_ms=0,
        expires_ms=None,
        scopes=(),
    )


def ended(number: int) -> Refusal:
    return Refusal(Reason.ENDED, info(number))


@pytest.fixture
def audit() -> Audit:
    return Audit()


@pytest.mark.parametrize("reason", Reason)
def test_what_is_worth_knowing_is_told(reason: Reason, audit: Audit) -> None:
    audit.note(Refusal(reason))
    assert [event.reason for event in audit.told] == [reason] * (reason in WORTH_KNOWING)


@pytest.mark.parametrize("reason", Reason)
def test_every_refusal_is_counted(reason: Reason, audit: Audit) -> None:
    audit.note(Refusal(reason), times=3)
    assert audit.refusals.counts == dict.fromkeys(Reason, 0) | {reason: 3}


def test_an_event_says_whose_token_was_refused_when_and_to_whom(audit: Audit) -> None:
    audit.refusals.note(
        Refusal(Reason.PROXY_IDENTITY, info(7)), header="remote-user", client="192.0.2.1"
    )
    assert audit.told == [
        RequestRefused(
            at_ms=audit.clock.now_ms(),
            reason="proxy-identity",
            token_id=UUID(int=7),
            owner="alice",
            header="remote-user",
            client="192.0.2.1",
        )
    ]


def test_in_a_flood_one_event_a_second_is_told(audit: Audit) -> None:
    for _ in range(100):
        audit.note(ended(1), times=10)
        audit.clock.advance(EVERY_SECONDS / 10)
    assert len(audit.told) == 10


def test_events_of_a_flood_say_how_many_refusals_they_stand_for(audit: Audit) -> None:
    audit.note(ended(1), times=500)
    audit.clock.advance(EVERY_SECONDS)
    audit.note(ended(1))
    assert audit.counts() == [1, 500]


def test_a_refusal_a_second_is_told_each_time(audit: Audit) -> None:
    for _ in range(5):
        audit.note(ended(1))
        audit.clock.advance(EVERY_SECONDS)
    assert audit.counts() == [1] * 5


def test_one_tokens_flood_hides_no_other_token(audit: Audit) -> None:
    audit.note(ended(1), times=100)
    audit.note(ended(2))
    assert [event.token_id for event in audit.told] == [UUID(int=1), UUID(int=2)]


def test_one_reasons_flood_hides_no_other_reason(audit: Audit) -> None:
    audit.note(ended(1), times=100)
    audit.note(Refusal(Reason.NETWORK, info(1)))
    audit.note(Refusal(Reason.UNKNOWN))
    assert [event.reason for event in audit.told] == ["ended", "network", "unknown"]


def test_forgeries_are_silenced_only_after_one_was_told(audit: Audit) -> None:
    assert not audit.refusals.silenced()
    audit.note(FORGED)
    assert audit.refusals.silenced()
    audit.clock.advance(EVERY_SECONDS)
    assert not audit.refusals.silenced()


def test_the_silence_is_for_forgeries_alone(audit: Audit) -> None:
    audit.note(ended(1))
    assert not audit.refusals.silenced()


def test_silenced_forgeries_are_counted_with_the_next_that_is_told(audit: Audit) -> None:
    for _ in range(1000):
        audit.forge()
    audit.clock.advance(EVERY_SECONDS)
    audit.forge()
    assert (audit.counts(), audit.refusals.counts[Reason.FORGED]) == ([1, 1000], 1001)


def test_no_forgery_is_lost_or_counted_twice_however_they_come(audit: Audit) -> None:
    """Some are brushed off, some come by the longer way: the sum is exact all the same."""
    chance = random.Random(7)  # noqa: S311 - a reproducible order, not a secret
    for _ in range(5_000):
        audit.clock.advance(chance.choice([0, 0, 0.01, 0.4]))
        if chance.random() < 0.5:
            audit.forge()
        else:
            audit.note(FORGED)
    audit.clock.advance(2 * EVERY_SECONDS)
    audit.forge()
    assert sum(audit.counts()) == audit.refusals.counts[Reason.FORGED] == 5_001


def test_where_nobody_listens_refusals_are_counted_all_the_same() -> None:
    refusals = Refusals([], ForwardClock(ManualClock()))
    refusals.note(ended(1), client=None)
    assert refusals.counts[Reason.ENDED] == 1


def test_a_flood_over_many_tokens_takes_bounded_memory(audit: Audit) -> None:
    def flood(tokens: range) -> None:
        for number in tokens:
            audit.refusals.note(ended(number), client=None)
        audit.told.clear()

    flood(range(2 * MOST_PLACES))
    assert grown(lambda: flood(range(2 * MOST_PLACES, 12 * MOST_PLACES))) < 400_000


def test_a_flood_over_many_tokens_is_counted_exactly(audit: Audit) -> None:
    for number in range(3 * MOST_PLACES):
        audit.note(ended(number), times=2)
    assert audit.refusals.counts[Reason.ENDED] == 6 * MOST_PLACES


def grown(act: Callable[[], None]) -> int:
    """How many bytes more are held after an act."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_flood_over_many_tokens_is_told_of_to_the_last() -> None:
    events: list[RequestRefused] = []
    refusals = Refusals([events.append], ForwardClock(ManualClock()))  # type: ignore[list-item]
    infos = [a_record().info() for _ in range(3000)]
    for info in infos:
        for _ in range(2):
            refusals.note(Refusal(Reason.ENDED, info), client=None)
    waiting = sum(waiting for _, waiting in refusals._due.values())
    assert sum(event.count for event in events) + waiting == 6000
    assert len(refusals._due) <= 1024
