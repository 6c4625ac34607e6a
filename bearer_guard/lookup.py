"""One read for many who ask.

``cache`` decides; this waits. A read is a task of its own, so that a caller who goes away takes
nobody along. Distinct tokens that arrive together are read in one ``fetch``: a batch is sent at
once when none is under way, and collects while two are. Nothing waits for a batch to fill.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from .cache import Arrival
from .errors import StoreUnavailable
from .tasks import ANSWER_SECONDS, Tasks, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .cache import Cache, Flight, Held
    from .clock import ForwardClock
    from .record import TokenRecord
    from .store import TokenReader

__all__ = ["Assessed", "Lookup"]

BATCH_IDS: Final = 200
BATCHES: Final = 2
TRIES: Final = 3  # a read that an end has overtaken is read again, so often

V = TypeVar("V")
_FetchNow: TypeAlias = "Callable[[Collection[UUID]], dict[UUID, TokenRecord] | None]"


class Assessed(NamedTuple, Generic[V]):
    """What is kept of a record.

    Attributes:
        value: Made of atoms, so that the garbage collector need not walk it.
        grant: Whether polls may extend it.
        dead_ms: Wall time from which it is wrong; ``None``: never.
    """

    value: V
    grant: bool
    dead_ms: int | None


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
        self._batches = 0

    def held(self, number: int, now: float) -> Held[V] | None:
        """What is known of a token, if it may be used at ``now`` without asking."""
        return self._cache.get(number, now)

    async def read(self, number: int) -> V:
        """What the store says of a token.

        Raises:
            StoreUnavailable: No answer in time.
        """
        if self._fetch_now is not None:
            value = self._read_now(self._fetch_now, number)
            if value is not None:
                return value
        for _ in range(TRIES):
            read = self._join(number)
            await asyncio.wait([read.answer])  # unlike awaiting it, this leaves it to the others
            if read.answer.cancelled():
                break
            if read.answer.result() is Arrival.USE:
                return read.value
        raise StoreUnavailable("no fresh answer: the store is slow, or the token keeps changing")

    def _read_now(self, fetch: _FetchNow, number: int) -> V | None:
        """What an embedded store says; ``None``: it is busy just now."""
        flight = self._cache.depart(number, self._clock.elapsed())
        try:
            token_id = UUID(int=number)
            records = fetch((token_id,))
            return None if records is None else self._arrive(flight, records.get(token_id))[0]
        finally:
            self._cache.give_up(flight)

    def forget(self, numbers: Collection[int] | None, /) -> None:
        """Let nobody else join the reads of these that were sent: they may miss a change."""
        for number in tuple(self._sent) if numbers is None else numbers:
            self._sent.pop(number, None)

    def vouch(self, until: float, /) -> None:
        """Of no concern here."""

    async def close(self) -> None:
        """Stop the reads under way."""
        for read in self._waiting.values():
            read.answer.cancel()
        self._waiting.clear()
        await self._tasks.stop()

    def abandon(self) -> None:
        """Forget the reads of an event loop that is gone."""
        self._tasks.abandon()
        self._waiting, self._sent, self._batches = {}, {}, 0

    def _join(self, number: int) -> _Read[V]:
        read = self._waiting.get(number)
        if read is None and self._share:
            read = self._sent.get(number)
        if read is None:
            read = self._waiting[number] = _Read(number, self._clock.elapsed())
            self._send()
        return read

    def _send(self) -> None:
        if self._waiting and self._batches < BATCHES:
            self._batches += 1
            self._tasks.spawn(self._fly())

    async def _fly(self) -> None:
        # Taken only now: what came in the same turn of the loop is in it too.
        batch = [self._waiting.pop(number) for number in tuple(self._waiting)[:BATCH_IDS]]
        try:
            if batch:
                await self._fetch(batch)
        finally:
            self._batches -= 1
            self._send()

    async def _fetch(self, batch: list[_Read[V]]) -> None:
        now = self._clock.elapsed()  # and the chain: as they are just before it is sent
        for read in batch:
            read.flight = self._cache.depart(read.number, now)
            self._sent[read.number] = read
        try:
            async with time_limit(max(0.0, batch[0].asked + ANSWER_SECONDS - now)):
                records = await self._store.fetch([UUID(int=read.number) for read in batch])
            for read in batch:
                record = records.get(UUID(int=read.number))
                read.value, arrival = self._arrive(read.flight, record)
                read.answer.set_result(arrival)
        except StoreUnavailable as error:
            for read in batch:
                read.answer.set_exception(error)
                read.answer.exception()  # seen: all who asked may have gone
        finally:
            self._land(batch)

    def _arrive(self, flight: Flight[int], record: TokenRecord | None) -> tuple[V, Arrival]:
        now = self._clock.elapsed()
        value, grant, dead_ms = self._assess(record)
        dead = None if dead_ms is None else self._clock.deadline(dead_ms, now)
        return value, self._cache.arrive(flight, value, now, grant=grant, until=dead)

    def _land(self, batch: list[_Read[V]]) -> None:
        for read in batch:
            self._cache.give_up(read.flight)
            read.answer.cancel()  # where it has none: the task was stopped
            if self._sent.get(read.number) is read:
                del self._sent[read.number]


class _Read(Generic[V]):
    """A read that somebody asked for, at ``asked`` in elapsed seconds."""

    __slots__ = ("answer", "asked", "flight", "number", "value")

    value: V
    flight: Flight[int]

    def __init__(self, number: int, asked: float) -> None:
        self.number = number
        self.asked = asked
        self.answer: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()
