"""The revocation bound, checked against a model of everything that may go wrong.

The right rules keep it in a long random history and in whatever Hypothesis comes up with; and each
rule that is broken on purpose is found out, so that the model is known to look.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bearer_guard.cache import Arrival, Cache, Flight
from bearer_guard.feed import Feed
from bearer_guard.testing import ManualClock

from .cache_model import BOUND, ModelStore, Process, Revision, Rules, Simulation, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bearer_guard.policy import Policy
    from bearer_guard.store import Changes, Cursor

T = TypeVar("T")
BACK: Final = st.integers(-2, -1)
WIRES: Final = st.integers(0, 2)


# Rules broken in the cache.


class DatedByItsAnswer(Cache[int, str]):
    """t0 is taken when a read was answered, and not before it was sent."""

    def arrive(self, flight: Flight[int], value: str, now: float, **rest: Any) -> Arrival:
        flight.t0 = now
        return super().arrive(flight, value, now, **rest)


class OpenFlightsKept(Cache[int, str]):
    """What changed is dropped; reads of it that are under way are not."""

    def invalidate(self, keys: Iterable[int] | None) -> None:
        flights, self._flights = self._flights, {}
        super().invalidate(keys)
        self._flights = flights


class LatestFlightOnly(Cache[int, str]):
    """Of several reads of a token that are under way the cache knows one."""

    def depart(self, key: int, now: float) -> Flight[int]:
        self._flights.pop(key, None)
        return super().depart(key, now)


class ChainOfTheArrival(Cache[int, str]):
    """An entry takes the chain that is current when its read was answered."""

    def arrive(self, flight: Flight[int], value: str, now: float, **rest: Any) -> Arrival:
        flight.chain = self._chain
        return super().arrive(flight, value, now, **rest)


class LateAnswersUsed(Cache[int, str]):
    """An answer is used however long it took."""

    def arrive(self, flight: Flight[int], value: str, now: float, **rest: Any) -> Arrival:
        arrival = super().arrive(flight, value, now, **rest)
        return Arrival.USE if arrival is Arrival.LATE else arrival


class ResetKeepsTheChain(Cache[int, str]):
    """A poll that could not continue counts as one that did."""

    def restarted(self, sent: float) -> None:
        if self._chain:
            self.continued(sent)
        else:
            super().restarted(sent)


# Rules broken in the feed.


class PollDatedByItsAnswer(Feed):
    """A poll vouches from when it was answered, and not from when it was sent."""

    def _take(self, changes: Changes, _sent: float, version: int) -> None:
        super()._take(changes, self._clock.elapsed(), version)


class ResetNotTold(Feed):
    """The faster memory is not told that the chain broke."""

    def _tell(self, numbers: Any) -> None:
        if numbers is not None:
            super()._tell(numbers)


class OvertakenPolicy(Feed):
    """Settings are believed that were read before this process changed them."""

    def _learn(self, policy: Policy, sent: float, _version: int) -> None:
        super()._learn(policy, sent, self._policy_version)


# Rules broken around them.


class HintMovesTheCursor(Process):
    """A hint counts as a poll that found it."""

    def hear(self, hint: Revision) -> None:
        super().hear(hint)
        self.feed._cursor = hint.cursor


class UnknownOutcomeIgnored(Process):
    """An end that failed, or had no answer, invalidates nothing."""

    def end(self, token: int) -> Wire:
        try:
            yield
            self.store.end(token)
            yield
            self.announce([UUID(int=token)])
        finally:
            self.over[token] = self.store.ended.get(token)


class ReturnsBeforeItInvalidates(Process):
    """An end invalidates a moment after it has returned."""

    def end(self, token: int) -> Wire:
        yield
        self.store.end(token)
        yield
        self.over[token] = self.store.ended.get(token)
        yield
        self.announce([UUID(int=token)])


# Rules broken in the store.


class NoTagCheck(ModelStore):
    """A cursor's number is enough: after a fail-over it may be another revision's."""

    def since(self, cursor: Cursor) -> frozenset[UUID] | None:
        for revision in self.revisions:
            if revision.cursor.revision == cursor.revision:
                return super().since(revision.cursor)
        return super().since(cursor)


class NoFloorCheck(ModelStore):
    """A cursor older than the log is continued with what is left of it."""

    def since(self, cursor: Cursor) -> frozenset[UUID] | None:
        if cursor.revision < self.revisions[0].cursor.revision:
            return frozenset[UUID]().union(*(revision.ids for revision in self.revisions))
        return super().since(cursor)


class SequenceGap(ModelStore):
    """Numbers are taken before the commit, so that a later one can be seen first."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._open: list[tuple[float, int, int]] = []

    def end(self, token: int) -> None:
        taken = [number for _, number, _ in self._open]
        number = max([self.revisions[-1].cursor.revision, *taken]) + 1
        commit_at = self.clock.elapsed() + (number % 3) / 2
        self._open.append((commit_at, number, token))

    def fetch(self, token: int) -> str:
        self._commit()
        return super().fetch(token)

    def changes(self, cursor: Cursor | None) -> Changes:
        self._commit()
        return super().changes(cursor)

    def _commit(self) -> None:
        now = self.clock.elapsed()
        due = sorted(transaction for transaction in self._open if transaction[0] <= now)
        self._open = [transaction for transaction in self._open if transaction[0] > now]
        for commit_at, number, token in due:
            if token not in self.ended:
                self.ended[token] = self.commit()._replace(at=commit_at)
                self.write(number, [token], enabled=self.enabled)


class ReadsFromAReplica(ModelStore):
    """Reads are two seconds behind the log."""

    def fetch(self, token: int) -> str:
        ended = self.ended.get(token)
        return "ended" if ended is not None and ended.at + 2 <= self.clock.elapsed() else ""


BROKEN: Final = {
    "t0 taken at the answer": Rules(cache=DatedByItsAnswer),
    "open flights not dropped": Rules(cache=OpenFlightsKept),
    "chain taken at load end": Rules(cache=ChainOfTheArrival),
    "poll_t at the answer": Rules(feed=PollDatedByItsAnswer),
    "no tag check after a fail-over": Rules(store=NoTagCheck),
    "no floor check": Rules(store=NoFloorCheck),
    "reset keeps the chain": Rules(cache=ResetKeepsTheChain),
    "hint moves the cursor": Rules(process=HintMovesTheCursor),
    "log rows visible out of order": Rules(store=SequenceGap),
    "reads from a replica": Rules(store=ReadsFromAReplica),
    # What the proof leaves to those around the cache, or takes for granted.
    "only the latest flight of a token known": Rules(cache=LatestFlightOnly),
    "late answers used": Rules(cache=LateAnswersUsed),
    "reset not told to the faster memory": Rules(feed=ResetNotTold),
    "policy believed that a change overtook": Rules(feed=OvertakenPolicy),
    "an end of unknown outcome ignored": Rules(process=UnknownOutcomeIgnored),
    "end returns before it invalidates": Rules(process=ReturnsBeforeItInvalidates),
}


@pytest.mark.parametrize("seed", range(40))
def test_invariant_03_the_bound_holds_whatever_happens(seed: int) -> None:
    simulation = Simulation(seed)
    simulation.run(1_000)
    assert simulation.violations == []
    assert sum(process.accepted_by_polls for process in simulation.processes) > 50


@pytest.mark.parametrize("rules", BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_breaks_the_bound(rules: Rules) -> None:
    """The test of the test: a history in which the model sees a token accepted too late."""
    assert any(violations_of(seed, rules) for seed in range(60))


def violations_of(seed: int, rules: Rules) -> list[str]:
    simulation = Simulation(seed, rules)
    simulation.run(1_000)
    return simulation.violations


class World(RuleBasedStateMachine):
    """One process and its latest tokens, in a history of Hypothesis's making."""

    parts = Rules()

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = self.parts.store(self.clock)
        self.violations: list[str] = []
        self.process = self.parts.process(self.parts, self.store, self.clock, self.violations)
        self.fresh = count()
        self.tokens = [next(self.fresh), next(self.fresh)]  # the latest
        self.wires: list[Wire] = []
        self.polling = self.process.poll()
        finish(self.polling)

    @rule(seconds=st.sampled_from([0.5, 2.0, BOUND - 0.5, BOUND]), polled=st.booleans())
    def time_passes(self, *, seconds: float, polled: bool) -> None:
        self.clock.advance(seconds)
        if self.store.off is not None and self.clock.elapsed() > self.store.off.at + BOUND:
            self.store.set_policy(enabled=True)
        if polled:
            finish(self._next_poll())

    @rule(back=BACK)
    def read(self, back: int) -> None:
        self._send(self.process.read(self.tokens[back]))

    @rule()
    def poll(self) -> None:
        self._send(self._next_poll())

    @rule(back=BACK)
    def end(self, back: int) -> None:
        self._send(self.process.end(self.tokens[back]))
        self._make_a_token()

    @rule(back=BACK)
    def end_elsewhere(self, back: int) -> None:
        self.store.end(self.tokens[back])
        self._make_a_token()

    @rule()
    def turn_off(self) -> None:
        self._send(self.process.set_policy(enabled=False))

    @rule(back=BACK)
    def hint_arrives(self, back: int) -> None:
        self.process.hear(self.store.revisions[back:][0])

    @rule(lost=st.integers(0, 2), kept=st.integers(1, 3))
    def store_fails_over_or_trims_its_log(self, lost: int, kept: int) -> None:
        self.store.fail_over(lost)
        self.store.trim(kept)

    @precondition(lambda self: self.wires)
    @rule(which=WIRES)
    def message_arrives(self, which: int) -> None:
        self._send(self.wires.pop(which % len(self.wires)))

    @precondition(lambda self: self.wires)
    @rule(which=WIRES)
    def another_message_arrives(self, which: int) -> None:
        """Twice, so that not much is under way at a time."""
        self.message_arrives(which)

    @precondition(lambda self: self.wires)
    @rule(which=WIRES)
    def message_is_lost(self, which: int) -> None:
        self.wires.pop(which % len(self.wires)).close()

    @invariant()
    def nobody_accepts_a_token_later_than_the_bound(self) -> None:
        for token in self.tokens:
            finish(self.process.ask(token))
        assert self.violations == []

    def _make_a_token(self) -> None:
        """So that one is live; the old ones are asked for still."""
        self.tokens = [*self.tokens[-3:], next(self.fresh)]

    def _next_poll(self) -> Wire:
        """One at a time: the one before took too long."""
        self.polling.close()
        self.polling = self.process.poll()
        return self.polling

    def _send(self, wire: Wire) -> None:
        """Let a message go out, or go on; what is left of it stays under way."""
        if next(wire, "done") != "done":
            self.wires.append(wire)
        if len(self.wires) > 3:
            self.wires.pop(0).close()


def finish(wire: Wire | None) -> None:
    """Let all messages arrive at once."""
    for _ in wire or ():
        pass


def test_invariant_03_the_bound_holds_in_any_order_of_events() -> None:
    run_state_machine_as_test(World, settings=settings(max_examples=200, stateful_step_count=50))


@pytest.mark.parametrize(
    "name",
    [
        "reads from a replica",
        "reset not told to the faster memory",
        "an end of unknown outcome ignored",
        "end returns before it invalidates",
    ],
)
def test_hypothesis_comes_upon_a_broken_rule_by_itself(name: str) -> None:
    """Of the rules whose breaking shows in short histories; the simulation finds them all."""
    broken = type("Broken", (World,), {"parts": BROKEN[name]})
    found = settings(max_examples=1_000, derandomize=True, database=None, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(broken, settings=found)
