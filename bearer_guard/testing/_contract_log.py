"""The contract's part about the change log."""
# ruff: noqa: S101 - tests: an assert is how they tell, a name is a sentence

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from bearer_guard.policy import Policy
from bearer_guard.record import Use
from bearer_guard.store import Cursor

from ._contract_base import Contract, all_at_once, ended, head, told
from .records import a_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearer_guard.store import Store

    from .clock import ManualClock

__all__ = ["ChangesContract"]


class ChangesContract(Contract):
    """``changes``: every change is told once, or a reset says that it can't be."""

    async def test_without_a_cursor_it_tells_where_the_log_stands(self, store: Store) -> None:
        await ended(store)
        first = await store.changes(None)
        assert (*told(first), first.policy) == (True, set(), Policy())
        again = await store.changes(first.cursor)
        assert again == replace(first, reset=False)

    async def test_an_end_is_told_once(self, store: Store, second: Store) -> None:
        start = await head(second)
        token = await ended(store)
        news = await second.changes(start)
        assert told(news) == (False, {token})
        later = await second.changes(news.cursor)
        assert told(later) == (False, set())

    async def test_an_end_in_the_future_is_told_at_once(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        start = await head(store)
        await store.end(record.id, 2**53)
        assert (await store.changes(start)).ids == {record.id}

    async def test_an_end_that_moves_is_told_again(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.end(record.id, 2**53)
        start = await head(store)
        await store.end(record.id, 5)
        assert (await store.changes(start)).ids == {record.id}

    async def test_each_reader_has_its_own_place(self, store: Store) -> None:
        start = await head(store)
        one = await ended(store)
        middle = (await store.changes(start)).cursor
        other = await ended(store)
        assert (await store.changes(start)).ids == {one, other}
        assert (await store.changes(middle)).ids == {other}
        assert (await store.changes(start)).ids == {one, other}

    async def test_what_is_no_change_for_a_cache_is_not_told(
        self, store: Store, clock: ManualClock
    ) -> None:
        record = a_record()
        start = await head(store)
        await store.add(record)
        await store.touch({record.id: Use(clock.now_ms())})
        await store.end(uuid4(), 5)
        await store.end_all("nobody", 5)
        news = await store.changes(start)
        assert told(news) == (False, set())

    async def test_the_tokens_of_an_owner_are_told_together(
        self, store: Store, second: Store
    ) -> None:
        records = [a_record() for _ in range(300)]
        await self.add_many(store, [*records, a_record(owner="bob")])
        await store.end(records[0].id, 1)
        start = await head(second)
        await store.end_all("alice", 5)
        news = await second.changes(start)
        assert told(news) == (False, {record.id for record in records[1:]})

    async def test_too_much_to_tell_is_a_reset(self, store: Store) -> None:
        """Or all of it: what may not happen is that a part is told and the rest is not."""
        records = [a_record() for _ in range(1_001)]
        await self.add_many(store, records)
        start = await head(store)
        await store.end_all("alice", 5)
        one = await ended(store)
        news = await store.changes(start)
        assert news.reset or news.ids == {one, *(record.id for record in records)}
        other = await ended(store)
        assert (await store.changes(news.cursor)).ids == {other}

    @pytest.mark.parametrize(
        "change",
        [
            lambda cursor: cursor._replace(epoch="ffffffffffffffff"),
            lambda cursor: cursor._replace(epoch=""),
            lambda cursor: cursor._replace(tag=bytes(8)),
            lambda cursor: cursor._replace(tag=b""),
            lambda cursor: cursor._replace(revision=cursor.revision + 1),
            lambda cursor: cursor._replace(revision=cursor.revision - 1),
            lambda _: Cursor("", 0, b""),
        ],
        ids=["epoch", "no epoch", "tag", "no tag", "ahead", "behind", "none"],
    )
    async def test_a_cursor_of_another_history_is_a_reset(
        self, store: Store, change: Callable[[Cursor], Cursor]
    ) -> None:
        await ended(store)
        older = await head(store)
        token = await ended(store)
        latest = await head(store)
        for cursor in (older, latest):
            news = await store.changes(change(cursor))
            assert (*told(news), news.cursor) == (True, set(), latest)
        assert told(await store.changes(older)) == (False, {token})

    async def test_a_trimmed_log_is_a_reset(self, store: Store, clock: ManualClock) -> None:
        start = await head(store)
        await ended(store)
        await self.trim_log(store, clock)
        news = await store.changes(start)
        assert told(news) == (True, set())
        token = await ended(store)
        assert (await store.changes(news.cursor)).ids == {token}

    async def test_who_keeps_up_does_not_notice_that_the_log_is_trimmed(
        self, store: Store, clock: ManualClock
    ) -> None:
        cursor = await head(store)
        for _ in range(3):
            await self.trim_log(store, clock)
            cursor = await head(store)
            token = await ended(store)
            news = await store.changes(cursor)
            assert told(news) == (False, {token})

    async def test_lost_revisions_are_a_reset(self, store: Store) -> None:
        await ended(store)
        await ended(store)
        cursor = await head(store)
        await self.lose_revisions(store, 1)
        assert (await store.changes(cursor)).reset

    async def test_lost_revisions_are_a_reset_when_their_numbers_are_used_again(
        self, store: Store
    ) -> None:
        await ended(store)
        await ended(store)
        cursor = await head(store)
        await self.lose_revisions(store, 1)
        await ended(store)
        assert (await store.changes(cursor)).reset
        await ended(store)
        assert (await store.changes(cursor)).reset

    async def test_no_end_is_missed_or_told_twice_while_many_are_written(
        self, store: Store, second: Store
    ) -> None:
        records = [a_record() for _ in range(300)]
        await self.add_many(store, records)
        done = asyncio.Event()
        follower = asyncio.create_task(_follow(second, await head(second), done))
        stores = [store, second] * 150
        calls = (one.end(r.id, 5) for one, r in zip(stores, records, strict=True))
        await all_at_once(calls, width=20)
        done.set()
        assert await follower == Counter(record.id for record in records)

    async def test_an_end_that_returned_is_in_every_poll_that_begins_later(
        self, store: Store, second: Store
    ) -> None:
        """Commit order is revision order: no later number is seen before an earlier one."""
        records = [a_record() for _ in range(100)]
        await self.add_many(store, records)

        async def end_and_poll(one: Store, other: Store, token: UUID) -> None:
            cursor = await head(other)
            await one.end(token, 5)
            assert token in (await other.changes(cursor)).ids

        calls = (end_and_poll(store, second, record.id) for record in records)
        await all_at_once(calls, width=20)

    async def test_hints_are_ids_or_nothing(self, store: Store) -> None:
        hints = store.hints()
        assert hints is None or hasattr(hints, "__anext__")


async def _follow(store: Store, cursor: Cursor, done: asyncio.Event) -> Counter[UUID]:
    """How often each id was told, from ``cursor`` until all is written."""
    seen = Counter[UUID]()
    while True:
        last = done.is_set()
        news = await store.changes(cursor)
        assert not news.reset
        seen.update(news.ids)
        cursor = news.cursor
        if last:
            return seen
        await asyncio.sleep(0)
