"""The contract notices stores that list, count or purge the wrong tokens."""

from uuid import UUID

import pytest

from bearer_guard.store import KeyUsage, Page
from bearer_guard.stores._rows import encode_position
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing._contract_lists import ListingContract, PurgingContract
from tests.testing.mutants import notices


class ListsWhatHasEnded(MemoryStore):
    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        del now_ms
        return await super().page(owner, after, limit)


class HidesTheExpired(MemoryStore):
    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        page = await super().page(owner, after, limit, now_ms=now_ms)
        shown = [r for r in page.records if now_ms is None or (r.dead_ms() or now_ms) >= now_ms]
        return Page(shown, page.next)


class FiltersAfterCutting(MemoryStore):
    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        page = await super().page(owner, after, limit)
        shown = [r for r in page.records if now_ms is None or r.ended_ms is None]
        return Page(shown, page.next)


class OnePageMore(MemoryStore):
    """Ends with an empty page, as who does not look ahead."""

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        page = await super().page(owner, after, limit, now_ms=now_ms)
        if page.next is None and len(page.records) == limit:
            last = page.records[-1]
            return Page(page.records, encode_position(last.created_ms, last.id))
        return page


class LosesTies(MemoryStore):
    """Goes on after the last millisecond, not after the last record."""

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        page = await super().page(owner, after, limit, now_ms=now_ms)
        if page.next is None:
            return page
        return Page(page.records, encode_position(page.records[-1].created_ms, UUID(int=0)))


class PurgesTooEarly(MemoryStore):
    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        return await super().purge(before_ms + 1, limit=limit)


class PurgesTheExpiredOnly(MemoryStore):
    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        ended = {id: r for id, r in self._records.items() if r.ended_ms is not None}
        for id in ended:
            del self._records[id]
        count = await super().purge(before_ms, limit=limit)
        self._records.update(ended)
        return count


class CountsTheDead(MemoryStore):
    async def key_usage(self, now_ms: int) -> dict[str, KeyUsage]:
        del now_ms
        return await super().key_usage(0)


MUTANTS = [
    (ListingContract, "test_ended_ones_can_be_left_out", ListsWhatHasEnded),
    (ListingContract, "test_ended_ones_can_be_left_out", HidesTheExpired),
    (ListingContract, "test_pages_are_full_though_some_are_left_out", FiltersAfterCutting),
    (PurgingContract, "test_what_died_before_is_deleted", PurgesTooEarly),
    (PurgingContract, "test_what_died_before_is_deleted", PurgesTheExpiredOnly),
    (ListingContract, "test_live_tokens_are_counted_by_key", CountsTheDead),
]


@pytest.mark.parametrize(("contract", "test", "store"), MUTANTS)
async def test_a_broken_rule_is_noticed(
    contract: type, test: str, store: type[MemoryStore]
) -> None:
    assert await notices(contract, test, store)


@pytest.mark.parametrize(("store", "limit"), [(OnePageMore, 7), (LosesTies, 2)])
async def test_pages_that_do_not_follow_on_each_other_are_noticed(
    store: type[MemoryStore], limit: int
) -> None:
    test = "test_pages_follow_on_each_other"
    assert await notices(ListingContract, test, store, limit=limit)
