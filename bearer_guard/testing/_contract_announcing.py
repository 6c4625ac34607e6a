"""The contract's part about what this process's own listeners are told."""
# ruff: noqa: S101 - tests: an assert is how they tell, a name is a sentence

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from bearer_guard.errors import BearerGuardError, StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.record import Use

from ._contract_base import Contract, Heard, add_all, ended, kept
from .records import a_record

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bearer_guard.store import Store

__all__ = ["AnnouncingContract"]


class AnnouncingContract(Contract):
    """``subscribe``: this process's own calls are announced before they return."""

    async def test_an_end_is_announced_after_it_is_written(self, store: Store) -> None:
        """A listener that reads again must find the end, else it would keep what was before."""
        record = a_record()
        await store.add(record)
        seen: list[Awaitable[object]] = []
        stop = store.subscribe(lambda _: seen.append(asyncio.create_task(store.fetch([record.id]))))
        await store.end(record.id, 5)
        stop()
        assert await asyncio.gather(*seen) == [{record.id: record.end(5, "deleted")}]

    async def test_settings_are_announced_as_a_change_of_anything(self, store: Store) -> None:
        heard = Heard()
        store.subscribe(heard)
        await store.set_policy(Policy(enabled=False))
        assert heard.of_everything()

    @pytest.mark.parametrize("of_family", [False, True])
    async def test_a_bulk_end_announces_each_that_it_ends(
        self,
        store: Store,
        of_family: bool,  # noqa: FBT001 - pytest passes by name
    ) -> None:
        records = [a_record(), a_record()]
        await add_all(store, records)
        heard = Heard()
        store.subscribe(heard)
        await store.end_all("alice", 5, family=records[0].family if of_family else None)
        assert heard.of(records[0].id)
        assert of_family or heard.of(records[1].id)

    async def test_an_addition_is_announced(self, store: Store) -> None:
        record = a_record()
        heard = Heard()
        store.subscribe(heard)
        await store.add(record)
        assert heard.of(record.id)

    async def test_who_stopped_listening_is_not_told(self, store: Store) -> None:
        heard, other = Heard(), Heard()
        stop = store.subscribe(heard)
        store.subscribe(other)
        stop()
        token = await ended(store)
        assert heard.told == []
        assert other.of(token)

    async def test_a_call_without_an_outcome_is_announced(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        heard = Heard()
        store.subscribe(heard)
        await self.break_store(store)
        with pytest.raises(StoreUnavailable):
            await store.end(record.id, 5)
        with pytest.raises(StoreUnavailable):
            await store.set_policy(Policy(enabled=False))
        assert heard.of(record.id)
        assert heard.of_everything()

    async def test_a_cancelled_call_is_announced_and_harms_nobody(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        heard = Heard()
        store.subscribe(heard)
        call = asyncio.create_task(store.end(record.id, 5))
        await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        assert heard.of(record.id)
        assert await store.end(record.id, 5) == record.end(5, "deleted")
        assert await kept(store, record) == record.end(5, "deleted")

    async def test_without_an_answer_there_is_one_kind_of_error(self, store: Store) -> None:
        await self.break_store(store)
        calls: list[Awaitable[object]] = [
            store.fetch([uuid4()]),
            store.changes(None),
            store.policy(),
            store.add(a_record()),
            store.end(uuid4(), 5),
            store.end_all("alice", 5),
            store.touch({uuid4(): Use(5)}),
            store.page(None, None, 5),
            store.purge(5),
            store.set_policy(Policy()),
            store.remember_keys(["k"]),
            store.key_usage(5),
        ]
        outcomes = [await _outcome(call) for call in calls]
        assert outcomes == [StoreUnavailable] * len(calls)


async def _outcome(call: Awaitable[object]) -> type[BaseException] | None:
    try:
        await call
    except BearerGuardError as error:
        return type(error)
    return None
