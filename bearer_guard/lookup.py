"""One read for many who ask.

``cache`` decides; this waits. Where no read is under way, whoever asks reads for itself: a task of
its own would double what all this adds to the store's own time. The others join a read, or wait for
a batch: distinct tokens that arrive together are read in one ``fetch``, by a task. It is sent while
fewer than two reads are under way, and collects until then; nothing waits for it to fill.

A caller who goes away takes nobody along: where it was reading for itself and others have joined, a
task begins anew for them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from .cache import Arrival
from .errors import StoreUnavailable
from .tasks import ANSWER_SECONDS, Faults, Tasks, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from uuid import UUID

    from .cache import Cache, Flight
    from .clock import ForwardClock
    from .record import TokenRecord
    from .store import TokenReader

__all__ = ["Assessed", "Lookup"]

BATCH_IDS: Final = 200
BATCHES: Final = 2
TRIES: Final = 3  # a read that an end has overtaken is read again, so often
_AT_ONCE: Final = 0.05  # seconds: until then the limit of the read itself is enough

V = TypeVar("V")

# What is kept of a record, made of atoms, so that the garbage collector need not walk it; whether
# polls may extend it; and the wall time from which it is wrong (``None``: never).
Assessed: TypeAlias = tuple[V, bool, int | None]
_Answer: TypeAlias = tuple[V, Arrival, float]  # when it was sent
_Records: TypeAlias = "dict[UUID, TokenRecord]"
_FetchNow: TypeAlias = "Callable[[Collection[UUID]], _Records | None]"

_READ: Final = Faults("a read")


class Lookup(Generic[V]):
    """Tokens by id, with as few reads as the bound allows.

    Args:
        store: Where records are.
        assess: What to keep of a record; ``None`` where there is none.
        cache: What is known.
        share: Whether a read that was sent already may be joined. Where nothing is kept it must
            not: it may miss an end that returned before the caller came.
        clock: Time.
    """

    def __init__(
        self,
        store: TokenReader,
        assess: Callable[[TokenRecord | None], Assessed[V]],
        *,
        cache: Cache[int, V],
        share: bool,
        clock: ForwardClock,
    ) -> None:
        self._store: Final = store
        self._assess: Final = assess
        self._cache: Final = cache
        self._share: Final = share
        self._clock: Final = clock
        # Embedded stores answer at once: no task, no batch, and nothing can change meanwhile.
        self._fetch_now: _FetchNow | None = getattr(store, "fetch_now", None)
        self._tasks: Final = Tasks()
        self._waiting: dict[int, _Read[V]] = {}  # asked for, not sent
        self._sent: dict[int, _Read[V]] = {}  # sent, and still worth joining
        self._under_way: set[object] = set()
        self._alone: asyncio.Timeout | None = None  # of who reads for itself

    async def read(self, token_id: UUID, begun: float) -> tuple[V, float]:
        """What the store says of a token, and when it was asked.

        Args:
            token_id: Which token.
            begun: Since when the caller waits, in elapsed seconds: whatever was done before has one
                limit with all tries. A read that others join has its own, from when it was made.

        Raises:
            StoreUnavailable: No answer in time.
        """
        if self._fetch_now is not None:
            found = self._read_now(self._fetch_now, token_id)
            if found is not None:
                return found
        for _ in range(TRIES):
            waited = self._clock.elapsed() - begun
            if waited < _AT_ONCE:
                value, arrival, sent = await self._ask(token_id)
            else:
                async with time_limit(max(0.0, ANSWER_SECONDS - waited)):
                    value, arrival, sent = await self._ask(token_id)
            if arrival is Arrival.USE:
                return value, sent
        raise StoreUnavailable("no fresh answer: the store is slow, or the token keeps changing")

    def _read_now(self, fetch: _FetchNow, token_id: UUID) -> tuple[V, float] | None:
        """What an embedded store says; ``None``: it is busy just now."""
        now = self._clock.elapsed()
        with _READ:
            records = fetch((token_id,))
        if records is None:
            return None
        flight = self._cache.depart(token_id.int, now)
        return self._arrive(flight, records.get(token_id))[0], now

    def forget(self, numbers: Collection[int] | None, /) -> None:
        """Let nobody else join the reads of these that were sent: they may miss a change."""
        for number in tuple(self._sent) if numbers is None else numbers:
            self._sent.pop(number, None)

    def vouch(self, until: float, /) -> None:
        """Of no concern here."""

    async def close(self) -> None:
        """Stop the reads under way."""
        _fail(self._waiting.values(), StoreUnavailable("the store was closed"))
        self._waiting.clear()
        if self._alone is not None and not self._alone.expired():
            self._alone.reschedule(0)  # its time is over
        await self._tasks.stop()
        self._under_way.clear()  # a task that was stopped before it began can't say so

    def abandon(self) -> None:
        """Forget the reads of an event loop that is gone."""
        self._tasks.abandon()
        self._waiting, self._sent, self._under_way, self._alone = {}, {}, set(), None

    async def _ask(self, token_id: UUID) -> _Answer[V]:
        number = token_id.int
        read = self._waiting.get(number)
        if read is None and self._share:
            read = self._sent.get(number)
        if read is None:
            read = _Read(token_id, self._clock.elapsed())
            if not self._under_way:
                return await self._read_alone(read)
            self._waiting[number] = read
            self._send()
        return await read.join()

    async def _read_alone(self, read: _Read[V]) -> _Answer[V]:
        """Read in the caller's own task."""
        limit = self._alone = self._limit(read)
        try:
            (answer,) = await self._fly([read], limit)
        finally:
            if self._alone is limit:
                self._alone = None
            if limit in self._under_way:
                self._under_way.discard(limit)
                if read.waiters:  # the caller goes away, and leaves others behind
                    other = self._waiting.setdefault(read.token_id.int, read)
                    if other is not read:
                        other.waiters += read.waiters
                self._send()
            else:  # it was closed meanwhile, or its event loop is gone
                with suppress(RuntimeError):
                    _fail([read], StoreUnavailable("the store was closed"))
        return answer

    def _send(self) -> None:
        """Send what waits, if it may go now."""
        if self._waiting and len(self._under_way) < BATCHES:
            oldest = next(iter(self._waiting.values()))
            self._tasks.spawn(self._fly_together(self._limit(oldest)))

    def _limit(self, read: _Read[V]) -> asyncio.Timeout:
        limit = asyncio.timeout(max(0.0, read.asked + ANSWER_SECONDS - self._clock.elapsed()))
        self._under_way.add(limit)
        return limit

    async def _fly_together(self, limit: asyncio.Timeout) -> None:
        # Taken only now: what came in the same turn of the loop is in it too.
        batch = [self._waiting.pop(number) for number in tuple(self._waiting)[:BATCH_IDS]]
        try:
            if batch:
                with suppress(StoreUnavailable):
                    await self._fly(batch, limit)
        finally:
            self._under_way.discard(limit)
            _fail(batch, StoreUnavailable("the read was stopped"))
            self._send()

    async def _fly(self, batch: list[_Read[V]], limit: asyncio.Timeout) -> list[_Answer[V]]:
        """Read a batch, and tell all who wait. Raises ``StoreUnavailable`` like ``read``."""
        now = self._clock.elapsed()  # and the chain: as they are just before it is sent
        for read in batch:
            read.flight = self._cache.depart(read.token_id.int, now)
            self._sent[read.token_id.int] = read
        try:
            records = await self._fetch(batch, limit)
            answers = [self._arrive(read.flight, records.get(read.token_id)) for read in batch]
            for read, answer in zip(batch, answers, strict=True):
                read.land(answer)
        except StoreUnavailable as error:
            _fail(batch, error)
            raise
        else:
            return answers
        finally:
            for read in batch:
                self._cache.give_up(read.flight)
                if self._sent.get(read.token_id.int) is read:
                    del self._sent[read.token_id.int]

    async def _fetch(self, batch: list[_Read[V]], limit: asyncio.Timeout) -> _Records:
        with _READ:
            try:
                async with limit:
                    return await self._store.fetch([read.token_id for read in batch])
            except TimeoutError as error:
                msg = f"no answer from the store within {ANSWER_SECONDS:.2g} s"
                raise StoreUnavailable(msg) from error

    def _arrive(self, flight: Flight[int], record: TokenRecord | None) -> _Answer[V]:
        now = self._clock.elapsed()
        value, grant, dead_ms = self._assess(record)
        dead = None if dead_ms is None else self._clock.deadline(dead_ms)
        arrival = self._cache.arrive(flight, value, now, grant=grant, until=dead)
        return value, arrival, flight.t0


class _Read(Generic[V]):
    """A read that somebody asked for, at ``asked`` in elapsed seconds."""

    __slots__ = ("asked", "flight", "token_id", "waiters")

    flight: Flight[int]

    def __init__(self, token_id: UUID, asked: float) -> None:
        self.token_id: Final = token_id
        self.asked: Final = asked
        self.waiters: list[asyncio.Future[_Answer[V]]] = []  # each one's own: it may be cancelled

    async def join(self) -> _Answer[V]:
        """What comes of it, for one who is not the one that reads."""
        waiter: asyncio.Future[_Answer[V]] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        return await waiter

    def land(self, answer: _Answer[V]) -> None:
        """Tell all who wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(answer)
        self.waiters.clear()


def _fail(reads: Iterable[_Read[Any]], error: StoreUnavailable) -> None:
    for read in reads:
        for waiter in read.waiters:
            if not waiter.done():
                waiter.set_exception(error)
        read.waiters.clear()
