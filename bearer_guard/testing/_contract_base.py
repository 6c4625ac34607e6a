"""What the parts of the contract share: fixtures to replace, hooks, and how a log is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import pytest

from bearer_guard.store import AccountStore, NoteStore, Store

from .clock import ManualClock
from .records import a_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable
    from uuid import UUID

    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Changes, Cursor

__all__ = [
    "WORDS",
    "Contract",
    "FullStore",
    "Heard",
    "add_all",
    "all_at_once",
    "ended",
    "head",
    "kept",
    "told",
]

#: Text that a store must give back as it got it, and tell apart from its neighbours.
WORDS: Final = {
    "ascii": "alice",
    "case": "Alice",
    "space-after": "alice ",
    "space-before": " alice",
    "dotless": "al\u0131ce",
    "composed": "andr\u00e9",
    "decomposed": "andre\u0301",
    "sharp-s": "stra\u00dfe",
    "double-s": "strasse",
    "cjk": "\u5f20\u4f1f",
    "rtl": "\u05d3\u05d5\u05d3",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "astral": "\U00010348\U0001d54f",
    "below-astral": "\uff5e\ufffd",
    "quotes": "o'hara \"x\" `y` \\ \\' %s %(a)s ${b} :c ?",
    "separators": "a,b;c|d{e}f:g/h\u2028i",
    "wildcards": "a%b_c*d[e]",
}


class FullStore(Store, AccountStore, NoteStore, Protocol):
    """What the adapters of this package are."""


class Contract:
    """The base of the contracts. Fixtures and hooks are replaced in the subclass."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock that ``store`` is to be made with."""
        return ManualClock()

    @pytest.fixture
    def second(self, store: Store) -> Store:
        """Another object on the same data, opened, as another process would have."""
        return store

    async def break_store(self, store: Store) -> None:
        """Make ``store`` unable to answer, as a lost server would. The default closes it."""
        await store.close()

    async def trim_log(self, store: Store, clock: ManualClock) -> None:
        """Make the store forget the older part of its log. The default lets time go by."""
        for _ in range(3):
            clock.advance(11 * 60)
            await ended(store)

    async def add_many(self, store: Store, records: Collection[TokenRecord]) -> None:
        """Add about a thousand. The default adds them by ``add``; there may be a quicker way."""
        await add_all(store, records)

    async def lose_revisions(self, store: Store, count: int) -> None:  # noqa: ARG002 - a hook
        """Take the last revisions back, as a fail-over to a lagging replica would."""
        pytest.skip("this adapter's tests don't say how its store could lose revisions")


class Heard:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Collection[UUID] | None] = []

    def __call__(self, ids: Collection[UUID] | None) -> None:
        self.told.append(ids)

    def of(self, id: UUID) -> bool:
        """Whether this token was among it, by name or with all others."""
        return any(ids is None or id in ids for ids in self.told)

    def of_everything(self) -> bool:
        """Whether it was told to forget everything."""
        return None in self.told


async def kept(store: Store, record: TokenRecord) -> TokenRecord:
    """The record as the store has it now."""
    return (await store.fetch([record.id]))[record.id]


async def head(store: Store) -> Cursor:
    """Where the log stands."""
    return (await store.changes(None)).cursor


def told(changes: Changes) -> tuple[bool, set[UUID]]:
    """Whether it was a reset, and the ids."""
    return changes.reset, set(changes.ids)


async def ended(store: Store) -> UUID:
    """The id of a token that was added and ended just now: a revision more."""
    record = a_record()
    await store.add(record)
    await store.end(record.id, record.created_ms)
    return record.id


async def add_all(store: Store, records: Iterable[TokenRecord]) -> None:
    """Add them, a few at once."""
    await all_at_once((store.add(record) for record in records), width=20)


async def all_at_once(calls: Iterable[Awaitable[object]], *, width: int = 50) -> None:
    """Wait for all of these, ``width`` of them at a time."""
    free = asyncio.Semaphore(width)

    async def one(call: Awaitable[object]) -> None:
        async with free:
            await call

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call))
