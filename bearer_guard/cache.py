"""What is known of tokens, and until when. A pure state machine: no I/O, no clock of its own.

Theory of operation. Two numbers bound a cached answer, in seconds of elapsed time:

* ``bound`` (B): once a token's end has been committed, nobody accepts it more than B later.
* ``life`` (T): the longest that an entry may be used at all: a second line of defence against
  changes that bypass the log.

An entry remembers *t0*, the time before its read was sent, and the *chain* that was current then.
A chain is an unbroken run of polls of the change log, each continuing the cursor of the one before.
With ``polled``, the time before the last good poll was sent, an entry is good at ``now`` when::

    now < t0 + T  and  (now < t0 + B  or  (its chain is the current one  and  now < polled + B))

So a poll vouches for everything that its chain has seen being read, all at once, and when polls
fail nothing changes but time. The events and what they do:

====================  ==========================================================================
read sent             ``depart``: t0 and the chain are taken *before* the read is sent
read answered         ``arrive``: a stale flight is neither used nor kept; nor is an answer that
                      took B or longer
ids changed           ``invalidate``: entries are dropped, flights under way become stale. By a
                      poll, a hint, or this process's own call: safe at any time, never needed
poll continued        ``continued``: first the ids are invalidated, then ``polled`` moves to when
                      the poll was *sent*
poll could not        ``restarted``: a new chain; older entries fall back to t0 + B, none is dropped
poll failed           nothing
====================  ==========================================================================

Proof of the bound. Let an end commit at R, and an entry be accepted at a >= R + B. If a < t0 + B,
its read was sent after R and saw the end. If a < polled + B, the last poll was sent after R, so
that a poll of this chain listed the end: handled while the entry was there, it dropped it; while
the read was under way, it made it stale; before the read was sent, the read saw the end itself.
A contradiction in each case, and no message was relied on. ``tests/property/test_cache_model.py``
checks the class against this in simulated time, and that it notices when any one rule is broken.

Only a grant is extended by polls. Whatever is refused is remembered for ``min(B, 1 s)`` at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

__all__ = ["DENIAL_SECONDS", "Arrival", "Cache", "Flight", "Held"]

DENIAL_SECONDS: Final = 1.0
_NEVER: Final = float("-inf")

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


@dataclass(slots=True, eq=False)
class Flight(Generic[K]):
    """A read under way. It belongs to the cache that made it.

    Attributes:
        t0: Elapsed seconds just before it was sent.
        chain: The chain that was current then; 0: none.
        stale: What it reads may have changed since it was sent.
    """

    key: K
    t0: float
    chain: int
    stale: bool = False


class Arrival(Enum):
    """What to do with the answer of a read."""

    USE = "use"
    STALE = "read again"
    LATE = "not fresh any more"


class Held(NamedTuple, Generic[V]):
    """What the cache knows.

    Attributes:
        value: As it was kept.
        until: Elapsed seconds until which it may be remembered outside of the cache, by whoever
            forgets it when it is invalidated or a chain breaks, and uses it before
            ``Cache.vouched_until`` only.
    """

    value: V
    until: float


class Cache(Generic[K, V]):
    """A bounded map from keys to what a read said, obeying the rules above.

    Not for several threads. Entries are tuples of atoms as far as keys and values are: the garbage
    collector stops tracking those, and a full cache costs it next to nothing.

    Args:
        bound: B in seconds, positive.
        life: T in seconds.
        size: How many entries at most.
        polls: Whether a change log is polled at all. Without, an entry lives B and no longer.
    """

    __slots__ = (
        "_bound",
        "_chain",
        "_flights",
        "_life",
        "_old",
        "_polled",
        "_size",
        "_young",
        "polls",
    )

    def __init__(self, *, bound: float, life: float, size: int, polls: bool = True) -> None:
        self._bound: Final = bound
        self._life: Final = life if polls else min(bound, life)
        self._size: Final = size
        self.polls: Final = polls
        # Two generations: what is used moves to the young one, and room is made in the old one,
        # from its end: what came first into a generation is what is used most. So a flood of
        # strangers does not flush the regulars, and nothing is ever done in bulk.
        self._young: dict[K, tuple[float, int, float, V]] = {}
        self._old: dict[K, tuple[float, int, float, V]] = {}
        # There may be several of a key: a slow one keeps nobody from sending another.
        self._flights: dict[K, list[Flight[K]]] = {}
        self._chain = 0
        self._polled = _NEVER

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def vouched_until(self) -> float:
        """Until when the last poll vouches for what its chain has seen, in elapsed seconds."""
        return self._polled + self._bound if self.polls else float("inf")

    def get(self, key: K, now: float) -> Held[V] | None:
        """What is known of ``key``, if it may be used now."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is None:
                return None
            self._young[key] = entry
        t0, chain, until, value = entry
        if now >= until:
            del self._young[key]
            return None
        if chain and chain == self._chain and now < self._polled + self._bound:
            return Held(value, until)
        if now < t0 + self._bound:
            return Held(value, min(until, t0 + self._bound))
        return None

    def depart(self, key: K, now: float) -> Flight[K]:
        """A read of ``key`` is about to be sent."""
        flight = Flight(key, now, self._chain)
        self._flights.setdefault(key, []).append(flight)
        return flight

    def arrive(
        self, flight: Flight[K], value: V, now: float, *, grant: bool, until: float | None = None
    ) -> Arrival:
        """A read was answered.

        Args:
            flight: The read.
            value: What it said.
            now: Elapsed seconds.
            grant: Whether it may be extended by polls; a refusal may not.
            until: Elapsed seconds from which it is wrong, for a reason of its own.
        """
        self.give_up(flight)
        if flight.stale:
            return Arrival.STALE
        if now >= flight.t0 + self._bound:
            return Arrival.LATE
        life = self._life if grant else min(self._bound, DENIAL_SECONDS)
        end = flight.t0 + life if until is None else min(until, flight.t0 + life)
        self._keep(flight.key, (flight.t0, flight.chain if grant else 0, end, value))
        return Arrival.USE

    def give_up(self, flight: Flight[K]) -> None:
        """A read failed, or was answered."""
        under_way = self._flights.get(flight.key, [])
        if flight in under_way:
            under_way.remove(flight)
            if not under_way:
                del self._flights[flight.key]

    def invalidate(self, keys: Iterable[K] | None) -> None:
        """These may have changed; ``None``: all of them."""
        for key in [*self._young, *self._old, *self._flights] if keys is None else keys:
            self._young.pop(key, None)
            self._old.pop(key, None)
            for flight in self._flights.pop(key, ()):
                flight.stale = True

    def continued(self, sent: float) -> None:
        """A poll that was sent at ``sent`` continued the chain; its ids were invalidated first."""
        self._polled = sent

    def restarted(self, sent: float) -> None:
        """A poll that was sent at ``sent`` could not continue: a new chain begins with it."""
        self._chain += 1
        self._polled = sent

    def lapse(self) -> None:
        """Polls pause: until the next, nothing is remembered on their word."""
        self._polled = _NEVER

    def _keep(self, key: K, entry: tuple[float, int, float, V]) -> None:
        if not self._size:
            return
        self._old.pop(key, None)
        if key not in self._young and len(self) >= self._size:
            self._make_room()
        self._young[key] = entry

    def _make_room(self) -> None:
        if not self._old:
            self._old, self._young = self._young, self._old
        self._old.popitem()
