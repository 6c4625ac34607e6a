"""The contract's part about many tokens: pages, purges, counts, and what administrators ask."""
# ruff: noqa: S101 - tests: an assert is how they tell, a name is a sentence

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from bearer_guard.errors import InvalidRequest
from bearer_guard.record import Use
from bearer_guard.store import KeyUsage

from ._contract_base import WORDS, Contract, add_all, head, kept, told
from .records import a_record

if TYPE_CHECKING:
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Store

__all__ = ["ListingContract", "PurgingContract"]


class ListingContract(Contract):
    """``page`` and ``key_usage``."""

    async def test_an_empty_store_has_one_empty_page(self, store: Store) -> None:
        page = await store.page(None, None, 10)
        assert (page.records, page.next) == ([], None)

    async def test_the_newest_come_first(self, store: Store, second: Store) -> None:
        records = [a_record(created_ms=at_ms) for at_ms in (3, 1, 2**53, 2, 10)]
        await add_all(store, records)
        page = await second.page("alice", None, 10)
        assert page.records == sorted(records, key=_place, reverse=True)
        assert page.next is None

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
    async def test_pages_follow_on_each_other(self, store: Store, limit: int) -> None:
        """Also within one millisecond, where ids decide."""
        ids = [UUID(int=number << 120 | 1) for number in (1, 127, 128, 255, 2)]
        records = [a_record(id=id, created_ms=5) for id in ids]
        records += [a_record(created_ms=4), a_record(created_ms=6)]
        await add_all(store, [*records, a_record(owner="bob", created_ms=5)])
        expected = sorted(records, key=_place, reverse=True)
        pages = await _pages(store, "alice", limit)
        assert pages == [expected[at : at + limit] for at in range(0, len(expected), limit)]

    async def test_everybodys_are_listed_together(self, store: Store) -> None:
        records = [a_record(owner=word, created_ms=7) for word in WORDS.values()]
        await add_all(store, records)
        pages = await _pages(store, None, 5)
        assert [r for page in pages for r in page] == sorted(records, key=_place, reverse=True)

    @pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
    async def test_an_owner_is_compared_exactly(self, store: Store, word: str) -> None:
        records = {owner: a_record(owner=owner) for owner in WORDS.values()}
        await add_all(store, records.values())
        assert (await store.page(word, None, 10)).records == [records[word]]

    async def test_what_comes_or_goes_in_between_moves_nothing(self, store: Store) -> None:
        old = [a_record(created_ms=at_ms, ended_ms=at_ms, end_reason="deleted") for at_ms in (1, 2)]
        rest = [a_record(created_ms=at_ms, expires_ms=None) for at_ms in (3, 4, 5, 6)]
        await add_all(store, [*old, *rest])
        first = await store.page("alice", None, 2)
        await store.add(a_record(created_ms=7))
        await store.purge(10)
        following = await store.page("alice", first.next, 10)
        assert [r.created_ms for r in (*first.records, *following.records)] == [6, 5, 4, 3]

    async def test_ended_ones_can_be_left_out(self, store: Store) -> None:
        live = a_record(created_ms=1, expires_ms=None)
        expired = a_record(created_ms=2, expires_ms=50)
        grace = a_record(created_ms=3, ended_ms=101, end_reason="renewed")
        ended = a_record(created_ms=4, ended_ms=100, end_reason="deleted")
        await add_all(store, [live, expired, grace, ended])
        everything = await store.page("alice", None, 10)
        assert everything.records == [ended, grace, expired, live]
        for owner in ("alice", None):
            page = await store.page(owner, None, 10, now_ms=100)
            assert page.records == [grace, expired, live]

    async def test_pages_are_full_though_some_are_left_out(self, store: Store) -> None:
        records = [a_record(created_ms=at_ms) for at_ms in range(30)]
        await add_all(store, records)
        for record in records[::3]:
            await store.end(record.id, 5)
        pages = await _pages(store, "alice", 10, now_ms=100)
        assert [len(page) for page in pages] == [10, 10]

    async def test_a_page_tells_ends_and_uses(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.touch({record.id: Use(7, "192.0.2.1")})
        await store.end(record.id, 5)
        expected = record.end(5, "deleted").use(Use(7, "192.0.2.1"))
        assert (await store.page("alice", None, 10)).records == [expected]

    @pytest.mark.parametrize(
        "after", ["", "x", "0", "../..", "' OR 1=1", "9" * 400, "\u0661", "\U0001f511", "1.", "\n"]
    )
    async def test_a_page_that_never_was_is_an_invalid_request(
        self, store: Store, after: str
    ) -> None:
        with pytest.raises(InvalidRequest):
            await store.page("alice", after, 10)

    async def test_live_tokens_are_counted_by_key(self, store: Store) -> None:
        await add_all(
            store,
            [
                a_record(key_id="new", expires_ms=200),
                a_record(key_id="new", expires_ms=300),
                a_record(key_id="new", expires_ms=400, ended_ms=250, end_reason="renewed"),
                a_record(key_id="new", expires_ms=500, ended_ms=100, end_reason="deleted"),
                a_record(key_id="old", expires_ms=None),
                a_record(key_id="old", expires_ms=101),
                a_record(key_id="older", expires_ms=None, ended_ms=150, end_reason="renewed"),
                a_record(key_id="gone", expires_ms=100),
            ],
        )
        assert await store.key_usage(100) == {
            "new": KeyUsage(3, 300),
            "old": KeyUsage(2, None),
            "older": KeyUsage(1, 150),
        }

    async def test_an_empty_store_uses_no_key(self, store: Store) -> None:
        assert await store.key_usage(100) == {}

    async def test_a_sound_store_has_no_errors_to_report(self, store: Store) -> None:
        findings = await store.diagnose()
        assert findings
        assert {finding.level for finding in findings} <= {"ok", "warning"}
        assert all(finding.text for finding in findings)

    async def test_an_upgrade_of_what_is_new_changes_nothing(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        done = await store.upgrade()
        assert done
        assert "\n" not in done
        assert await kept(store, record) == record


class PurgingContract(Contract):
    """``purge``."""

    async def test_what_died_before_is_deleted(self, store: Store, second: Store) -> None:
        dead = [
            a_record(expires_ms=99),
            a_record(expires_ms=None, ended_ms=99, end_reason="deleted"),
            a_record(expires_ms=99, ended_ms=200, end_reason="renewed"),
            a_record(expires_ms=50, ended_ms=60, end_reason="deleted"),
        ]
        live = [
            a_record(expires_ms=100),
            a_record(expires_ms=None),
            a_record(expires_ms=None, ended_ms=100, end_reason="deleted"),
            a_record(expires_ms=200, ended_ms=200, end_reason="renewed"),
        ]
        await add_all(store, [*dead, *live])
        assert await store.purge(100) == len(dead)
        assert await second.fetch([r.id for r in (*dead, *live)]) == {r.id: r for r in live}
        assert {r.id for r in (await second.page(None, None, 10)).records} == {r.id for r in live}
        assert await store.purge(100) == 0

    async def test_a_purge_takes_no_more_than_it_may(self, store: Store) -> None:
        records = [a_record(expires_ms=5) for _ in range(4)]
        records += [a_record(expires_ms=None, ended_ms=5, end_reason="deleted") for _ in range(4)]
        await add_all(store, records)
        assert [await store.purge(10, limit=3) for _ in range(4)] == [3, 3, 2, 0]

    async def test_many_are_purged(self, store: Store) -> None:
        """More than an adapter does in one go."""
        dead = [a_record(expires_ms=at_ms) for at_ms in range(1_100)]
        live = a_record()
        await self.add_many(store, [*dead, live])
        assert await store.purge(live.created_ms) == len(dead)
        assert (await store.page(None, None, 10)).records == [live]

    async def test_a_purged_id_is_forgotten_with_all_that_hung_on_it(self, store: Store) -> None:
        record = a_record(expires_ms=5)
        await store.add(record)
        await store.touch({record.id: Use(9, "192.0.2.1")})
        await store.purge(10)
        await store.add(record)
        assert await kept(store, record) == record

    async def test_a_purge_is_no_news(self, store: Store) -> None:
        await store.add(a_record(expires_ms=5))
        start = await head(store)
        await store.purge(10)
        news = await store.changes(start)
        assert told(news) == (False, set())


def _place(record: TokenRecord) -> tuple[int, UUID]:
    return record.created_ms, record.id


async def _pages(
    store: Store, owner: str | None, limit: int, now_ms: int | None = None
) -> list[list[TokenRecord]]:
    """All pages, each with its records."""
    pages = []
    after = None
    while True:
        page = await store.page(owner, after, limit, now_ms=now_ms)
        pages.append(page.records)
        after = page.next
        if after is None:
            return pages
