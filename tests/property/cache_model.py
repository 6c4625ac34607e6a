"""Processes, a store and the network between them, in simulated time.

The cache and the feed are the real ones; what waits around them is here. Whatever takes time is a
generator that yields while a message is under way: whoever drives it decides when it goes on, and
whether it does. ``Rules`` puts the parts together, so that a test can break one of them.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast
from uuid import UUID

from bearer_guard.cache import Arrival, Cache
from bearer_guard.clock import ForwardClock
from bearer_guard.feed import Feed
from bearer_guard.policy import Policy
from bearer_guard.store import Changes, Cursor
from bearer_guard.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bearer_guard.cache import Held
    from bearer_guard.store import StoreListener, TokenReader

BOUND: Final = 5.0
LIFE: Final = 60.0
SIZE: Final = 6  # less than there are tokens, so that some are evicted

Wire: TypeAlias = Generator[None, None, None]


class Commit(NamedTuple):
    """When something was committed; no two are the same, though they fall on one instant."""

    at: float
    serial: int


class Revision(NamedTuple):
    """A line of the log, and how the settings were after it."""

    cursor: Cursor
    ids: frozenset[UUID]
    enabled: bool


class ModelStore:
    """A linearizable store. A fail-over loses its latest writes and uses their numbers again."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.ended: dict[int, Commit] = {}  # tokens
        self.off: Commit | None = None  # the feature
        self.revisions = [Revision(Cursor("epoch", 0, b""), frozenset(), enabled=True)]
        self.written: Callable[[Revision], None] = lambda _revision: None
        self._serials = count()

    @property
    def enabled(self) -> bool:
        return self.revisions[-1].enabled

    def fetch(self, token: int) -> str:
        """What speaks against a token; empty: nothing."""
        return "ended" if token in self.ended else ""

    def changes(self, cursor: Cursor | None) -> Changes:
        head = self.revisions[-1]
        ids = None if cursor is None else self.since(cursor)
        return Changes(
            cursor=head.cursor,
            ids=ids or frozenset(),
            policy=Policy(enabled=head.enabled),
            reset=ids is None,
        )

    def since(self, cursor: Cursor) -> frozenset[UUID] | None:
        ids: set[UUID] = set()
        for revision in reversed(self.revisions):
            if revision.cursor.revision <= cursor.revision:
                return frozenset(ids) if revision.cursor == cursor else None
            ids |= revision.ids
        return None

    def end(self, token: int) -> None:
        if token not in self.ended:
            self.ended[token] = self.commit()
            self.write(self.revisions[-1].cursor.revision + 1, [token], enabled=self.enabled)

    def set_policy(self, *, enabled: bool) -> None:
        self.write(self.revisions[-1].cursor.revision + 1, (), enabled=enabled)
        self._date_policy()

    def commit(self) -> Commit:
        return Commit(self.clock.elapsed(), next(self._serials))

    def write(self, number: int, tokens: Collection[int], *, enabled: bool) -> None:
        cursor = Cursor("epoch", number, b"%d" % next(self._serials))
        revision = Revision(cursor, frozenset(UUID(int=token) for token in tokens), enabled)
        self.revisions.append(revision)
        self.revisions.sort(key=lambda revision: revision.cursor.revision)
        self.written(revision)

    def fail_over(self, lost: int) -> None:
        for revision in self.revisions[max(1, len(self.revisions) - lost) :]:
            for token_id in revision.ids:
                self.ended.pop(token_id.int, None)
            self.revisions.remove(revision)
        self._date_policy()

    def trim(self, kept: int) -> None:
        del self.revisions[:-kept]

    def _date_policy(self) -> None:
        self.off = None if self.enabled else self.off or self.commit()


class Process:
    """A process that accepts tokens: its cache, its feed, its fast memory, and what it let in."""

    def __init__(
        self, rules: Rules, store: ModelStore, clock: ManualClock, violations: list[str]
    ) -> None:
        self.store = store
        self.elapsed = clock.elapsed
        self.violations = violations
        self.cache = rules.cache(bound=BOUND, life=LIFE, size=SIZE)
        self.feed = rules.feed(
            cast("TokenReader", self),
            self.cache,
            bound=BOUND,
            clock=ForwardClock(clock),
            in_use=lambda: True,
        )
        self.remembered: dict[int, float] = {}
        self.vouched = -inf
        self.feed.follow(self)
        self.over: dict[int | None, Commit | None] = {}  # what it has ended; None: the feature
        self.read_at: dict[int, float] = {}
        self.accepted = self.accepted_by_polls = 0

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        self.announce = listener
        return lambda: None

    def forget(self, numbers: Collection[int] | None, /) -> None:
        for number in tuple(self.remembered) if numbers is None else numbers:
            self.remembered.pop(number, None)

    def vouch(self, until: float, /) -> None:
        self.vouched = until

    # What takes time. A wire that is closed was lost, or took too long.

    def poll(self) -> Wire:
        sent, version, cursor = self.elapsed(), self.feed._policy_version, self.feed._cursor
        yield
        changes = self.store.changes(cursor)
        yield
        self.feed._take(changes, sent, version)

    def read(self, token: int) -> Wire:
        arrival = Arrival.STALE
        while arrival is Arrival.STALE:
            flight = self.cache.depart(token, self.elapsed())
            self.read_at[token] = self.elapsed()
            try:
                yield
                why_not = self.store.fetch(token)
                yield
                now = self.elapsed()
                arrival = self.cache.arrive(flight, why_not, now, grant=not why_not)
            finally:
                self.cache.give_up(flight)
        policy = self.feed.policy_now(self.elapsed())
        if arrival is Arrival.USE and policy is not None:
            self.conclude(token, why_not, policy, self.cache.get(token, self.elapsed()))

    def read_policy(self) -> Wire:
        sent, version = self.elapsed(), self.feed._policy_version
        yield
        policy = Policy(enabled=self.store.enabled)
        yield
        self.feed._learn(policy, sent, version)

    def end(self, token: int) -> Wire:
        """An end by this process; cut short, nobody knows whether the store took it."""
        try:
            yield
            self.store.end(token)
            yield
        finally:
            self.announce([UUID(int=token)])
            self.over[token] = self.store.ended.get(token)

    def set_policy(self, *, enabled: bool) -> Wire:
        try:
            yield
            self.store.set_policy(enabled=enabled)
            yield
        finally:
            self.announce(None)
            self.over[None] = self.store.off

    def hear(self, hint: Revision) -> None:
        self.feed._invalidate(frozenset(hint.ids))

    # What is decided at once.

    def ask(self, token: int) -> Wire | None:
        """A request with this token: decided now, or after the wire that is returned."""
        now = self.elapsed()
        if now < self.remembered.get(token, -inf) and now < self.vouched:
            self.accept(token)
            return None
        held, policy = self.cache.get(token, now), self.feed.policy_now(now)
        if policy is None:
            return self.read_policy()
        if held is None:
            return self.read(token)
        self.conclude(token, held.value, policy, held)
        return None

    def conclude(self, token: int, why_not: str, policy: Policy, held: Held[str] | None) -> None:
        if policy.enabled and not why_not:
            self.accept(token)
            if held is not None:
                self.remembered[token] = held.until

    def accept(self, token: int) -> None:
        now = self.elapsed()
        self.accepted += 1
        self.accepted_by_polls += now >= self.read_at.get(token, inf) + BOUND
        for what, end in ((token, self.store.ended.get(token)), (None, self.store.off)):
            if end is not None and now >= end.at + BOUND:
                self.violations.append("later than the bound")
            elif end is not None and end == self.over.get(what):
                self.violations.append("in the process that had ended it")


class Rules(NamedTuple):
    """The parts of a world, right unless a test says otherwise."""

    cache: type[Cache[int, str]] = Cache
    feed: type[Feed] = Feed
    process: type[Process] = Process
    store: type[ModelStore] = ModelStore


class Simulation:
    """Chance: two processes, eight tokens, and a network and a store that are seldom well.

    Args:
        seed: The same one makes the same history.
        rules: What the world is made of.
    """

    def __init__(self, seed: int, rules: Rules | None = None) -> None:
        rules = rules or Rules()
        self.chance = Random(seed)  # noqa: S311 - a reproducible history, not a secret
        self.clock = ManualClock()
        self.store = rules.store(self.clock)
        self.store.written = self._push
        self.violations: list[str] = []
        self.processes = [
            rules.process(rules, self.store, self.clock, self.violations) for _ in range(2)
        ]
        self._tokens = [*range(8)]
        self._fresh = count(8)
        self._cut_off = dict.fromkeys(self.processes, -inf)
        self._queue: list[tuple[float, int, partial[Any]]] = []
        self._order = count()
        for process in self.processes:
            self._again(0.4, self._request, process)
            self._again(40, self._cut, process)
            self._later(0, self._poll, process)
        self._again(2.5, self._end)
        self._again(30, self._switch)
        self._again(15, lambda: self.store.fail_over(self.chance.randint(0, 3)))
        self._again(10, lambda: self.store.trim(self.chance.randint(1, 4)))

    def run(self, seconds: float) -> None:
        """Let time pass; stop where a violation is found."""
        end = self.clock.elapsed() + seconds
        while self._queue[0][0] < end and not self.violations:
            due, _, act = heappop(self._queue)
            self.clock.advance(max(0.0, due - self.clock.elapsed()))
            act()

    def _later(self, seconds: float, act: Callable[..., Any], *args: object) -> None:
        due = self.clock.elapsed() + seconds
        heappush(self._queue, (due, next(self._order), partial(act, *args)))

    def _again(self, every: float, act: Callable[..., Any], *args: object) -> None:
        """Do something now and then, ``every`` seconds on average."""

        def once() -> None:
            act(*args)
            self._later(self.chance.expovariate(1 / every), once)

        self._later(self.chance.expovariate(1 / every), once)

    def _leg(self) -> float:
        """How long a message takes: milliseconds, or up to six seconds."""
        return 0.005 if self.chance.random() < 0.8 else self.chance.uniform(0, 6)

    def _carry(self, wire: Wire, *, lost: bool, then: Callable[[], None] = lambda: None) -> None:
        self._go_on(wire, self.chance.randint(1, 2) if lost else 99, then)

    def _go_on(self, wire: Wire, legs: int, then: Callable[[], None]) -> None:
        if legs == 0:
            wire.close()
            then()
        elif next(wire, "done") == "done":
            then()
        else:
            self._later(self._leg(), self._go_on, wire, legs - 1, then)

    def _request(self, process: Process) -> None:
        place = self.chance.randrange(len(self._tokens))
        ended = self.store.ended.get(self._tokens[place])
        if ended is not None and self.clock.elapsed() > ended.at + 4 * BOUND:
            self._tokens[place] = next(self._fresh)
        wire = process.ask(self._tokens[place])
        if wire is not None:
            self._carry(wire, lost=self.chance.random() < 0.1)

    def _poll(self, process: Process) -> None:
        cut_off = self.clock.elapsed() < self._cut_off[process]
        self._carry(
            process.poll(),
            lost=cut_off or self.chance.random() < 0.2,
            then=lambda: self._later(self.chance.uniform(0.8, 1.2), self._poll, process),
        )

    def _cut(self, process: Process) -> None:
        self._cut_off[process] = self.clock.elapsed() + self.chance.uniform(0, 20)

    def _end(self) -> None:
        token = self.chance.choice(self._tokens)
        if self.chance.random() < 0.5:
            self.store.end(token)
        else:
            process = self.chance.choice(self.processes)
            self._carry(process.end(token), lost=self.chance.random() < 0.3)

    def _switch(self) -> None:
        """The feature off, and on again a little later."""
        for enabled, seconds in ((False, 0.0), (True, self.chance.uniform(0, 4 * BOUND))):
            process = self.chance.choice([None, *self.processes])
            if process is None:
                self._later(seconds, partial(self.store.set_policy, enabled=enabled))
            else:
                wire = process.set_policy(enabled=enabled)
                self._later(seconds, partial(self._carry, wire, lost=False))

    def _push(self, revision: Revision) -> None:
        """A hint, which may be lost."""
        for process in self.processes:
            if self.chance.random() < 0.5:
                self._later(self._leg(), process.hear, revision)
