"""The contract's part about single tokens: kept as they were, ended for good."""
# ruff: noqa: S101, PLR2004 - tests: an assert is how they tell, a name is a sentence

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from bearer_guard.errors import DuplicateToken
from bearer_guard.keyring import Keyring
from bearer_guard.record import Use

from ._contract_base import WORDS, Contract, add_all, kept
from .records import DAY_MS, a_record, a_token

if TYPE_CHECKING:
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Store

    from .clock import ManualClock

__all__ = ["EndingContract", "KeepingContract"]

_SHAPES = {
    "plain": a_record(),
    "never expires": a_record(expires_ms=None),
    "far future": a_record(created_ms=2**53 - 1, expires_ms=2**53),
    "first millisecond": a_record(created_ms=0, expires_ms=1),
    "no description": a_record(description=""),
    "long description": a_record(description="\U0001f511" * 256),
    "long owner": a_record(owner="\u00fc" * 256),
    "one scope": a_record(scopes=["reports:read"]),
    "scopes": a_record(scopes=["a", "b", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", "Z"]),
    "many scopes": a_record(scopes=[f"scope:{number}" for number in range(200)]),
    "networks": a_record(networks=["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]),
    "renewed": a_record(family=uuid4(), parent=uuid4()),
    "bound": a_record(binding=bytes(range(256))),
    "ended": a_record(ended_ms=2**53, end_reason="renewed"),
    "used": a_record(last_used_ms=2**53, last_used_from="2001:db8::1"),
    "used by nobody knows whom": a_record(last_used_ms=1),
}


class KeepingContract(Contract):
    """``add``, ``fetch``, ``open`` and ``close``."""

    @pytest.mark.parametrize("record", _SHAPES.values(), ids=_SHAPES)
    async def test_a_record_is_fetched_as_it_was_added(
        self, store: Store, second: Store, record: TokenRecord
    ) -> None:
        await store.add(record)
        assert await second.fetch([record.id]) == {record.id: record}

    @pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
    async def test_text_of_every_kind_is_kept(self, store: Store, word: str) -> None:
        record = a_record(owner=word, description=word, key_id="k", last_used_from=None)
        await store.add(record)
        assert await kept(store, record) == record

    async def test_a_seal_still_fits(self, store: Store) -> None:
        keyring = Keyring.generate()
        _, record = a_token(keyring, replace(_SHAPES["scopes"], id=uuid4(), parent=uuid4()))
        await store.add(record)
        assert keyring.sealed(await kept(store, record))

    async def test_unknown_ids_are_left_out(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        assert set(await store.fetch([uuid4(), record.id, uuid4()])) == {record.id}

    async def test_fetching_nothing_finds_nothing(self, store: Store) -> None:
        assert await store.fetch([]) == {}

    async def test_many_are_fetched_at_once(self, store: Store) -> None:
        records = {record.id: record for record in (a_record() for _ in range(450))}
        await self.add_many(store, records.values())
        assert await store.fetch([*records, *(uuid4() for _ in range(50))]) == records

    async def test_what_is_fetched_without_waiting_is_the_same(
        self, store: Store, clock: ManualClock
    ) -> None:
        """``fetch_now`` is an offer of embedded stores; it may say ``None``: ask the other way."""
        record = a_record()
        await store.add(record)
        await store.end(record.id, clock.now_ms())
        fetch_now = getattr(store, "fetch_now", None)
        found = None if fetch_now is None else fetch_now([record.id, uuid4()])
        assert found is None or found == await store.fetch([record.id])

    async def test_how_the_owner_stood_is_not_kept(self, store: Store) -> None:
        record = a_record()
        await store.add(replace(record, owner_disabled=True))
        assert await kept(store, record) == record

    async def test_an_id_may_be_asked_for_twice(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        assert await store.fetch([record.id, record.id]) == {record.id: record}

    async def test_a_taken_id_is_refused_and_nothing_is_written(self, store: Store) -> None:
        record = a_record(scopes=["a"])
        await store.add(record)
        with pytest.raises(DuplicateToken):
            await store.add(a_record(id=record.id, owner="mallory", last_used_ms=7))
        assert await kept(store, record) == record
        assert (await store.page("mallory", None, 10)).records == []

    async def test_the_id_of_an_ended_token_stays_taken(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.end(record.id, record.created_ms)
        with pytest.raises(DuplicateToken):
            await store.add(record)
        assert (await kept(store, record)).ended_ms == record.created_ms

    async def test_of_two_who_want_one_id_one_gets_it(self, store: Store, second: Store) -> None:
        rivals = [a_record(owner=str(number)) for number in range(10)]
        rivals = [replace(rival, id=rivals[0].id) for rival in rivals]
        stores = [store, second] * 5
        outcomes = await asyncio.gather(
            *(one.add(rival) for one, rival in zip(stores, rivals, strict=True)),
            return_exceptions=True,
        )
        winners = [r for r, outcome in zip(rivals, outcomes, strict=True) if outcome is None]
        assert [type(outcome) for outcome in outcomes].count(DuplicateToken) == 9
        assert [await kept(store, rivals[0])] == winners

    async def test_an_expired_record_is_still_fetched(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Reading does not filter: the verdict is the core's to give, and to explain."""
        record = a_record(expires_ms=clock.now_ms() - 1, created_ms=clock.now_ms() - DAY_MS)
        await store.add(record)
        assert await kept(store, record) == record

    async def test_opening_twice_does_no_harm(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.open()
        assert await kept(store, record) == record

    async def test_a_closed_store_can_be_opened_again(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.close()
        await store.close()
        await store.open()
        assert await kept(store, record) == record


class EndingContract(Contract):
    """``end``, ``end_all`` and ``touch``: what only ever moves one way."""

    async def test_an_end_is_seen_by_every_later_read(
        self, store: Store, second: Store, clock: ManualClock
    ) -> None:
        for _ in range(20):
            record = a_record()
            await store.add(record)
            assert (await kept(second, record)).ended_ms is None
            await store.end(record.id, clock.now_ms())
            assert (await kept(second, record)).ended_ms == clock.now_ms()

    async def test_an_end_returns_the_record_as_it_is_now(self, store: Store) -> None:
        record = a_record(scopes=["a"], last_used_ms=3, last_used_from="192.0.2.1")
        await store.add(record)
        expected = replace(record, ended_ms=5, end_reason="leaked")
        assert await store.end(record.id, 5, reason="leaked") == expected
        assert await kept(store, record) == expected

    async def test_ending_an_unknown_token_says_so(self, store: Store) -> None:
        assert await store.end(uuid4(), 5) is None

    async def test_an_end_may_be_repeated(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        first = await store.end(record.id, 5)
        assert await store.end(record.id, 5) == first
        assert await kept(store, record) == first

    async def test_a_later_end_changes_nothing(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        first = await store.end(record.id, 5, reason="leaked")
        assert await store.end(record.id, 6, reason="deleted") == first

    async def test_an_earlier_end_wins(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.end(record.id, 2**53, reason="renewed")  # a grace that has not run out
        again = await store.end(record.id, 5, reason="deleted")
        assert again == record.end(5, "deleted")

    async def test_of_two_ends_at_one_instant_the_reason_is_the_first_by_name(
        self, store: Store
    ) -> None:
        one, other = a_record(), a_record()
        await add_all(store, [one, other])
        for reason in ("renewed", "deleted", "leaked"):
            await store.end(one.id, 5, reason=reason)
        for reason in ("leaked", "renewed", "deleted"):
            await store.end(other.id, 5, reason=reason)
        found = await store.fetch([one.id, other.id])
        assert [found[record.id].end_reason for record in (one, other)] == ["deleted"] * 2

    async def test_of_many_ends_at_once_the_earliest_wins(
        self, store: Store, second: Store
    ) -> None:
        record = a_record()
        await store.add(record)
        times = [17, 12, 5, 19, 8, 11, 5, 14]
        await asyncio.gather(
            *(one.end(record.id, at_ms) for at_ms in times for one in (store, second))
        )
        assert await kept(store, record) == record.end(5, "deleted")

    async def test_the_tokens_of_an_owner_end_together(
        self, store: Store, second: Store, clock: ManualClock
    ) -> None:
        own = [a_record(owner="alice") for _ in range(30)]
        own += [a_record(owner="alice", ended_ms=2**53, end_reason="renewed")]
        others = [a_record(owner=word) for word in WORDS.values() if word != "alice"]
        await add_all(store, [*own, *others])
        now = clock.now_ms()
        assert await store.end_all("alice", now, reason="owner-gone") == len(own)
        found = await second.fetch([record.id for record in (*own, *others)])
        assert [found[r.id] for r in own] == [r.end(now, "owner-gone") for r in own]
        assert [found[r.id] for r in others] == others

    async def test_what_had_ended_before_is_not_counted(self, store: Store) -> None:
        records = [a_record() for _ in range(3)]
        await add_all(store, records)
        await store.end(records[0].id, 5)
        assert await store.end_all("alice", 6) == 2
        assert await store.end_all("alice", 6) == 0
        assert await store.end_all("nobody", 6) == 0
        assert (await kept(store, records[0])).ended_ms == 5

    async def test_a_family_ends_together(self, store: Store) -> None:
        first = a_record()
        child = a_record(family=first.family, parent=first.id)
        other = a_record()
        stranger = a_record(owner="bob", family=first.family)
        await add_all(store, [first, child, other, stranger])
        assert await store.end_all("alice", 5, family=first.family, reason="leaked") == 2
        found = await store.fetch([r.id for r in (first, child, other, stranger)])
        assert {id for id, r in found.items() if r.end_reason == "leaked"} == {first.id, child.id}

    async def test_a_use_is_noted(self, store: Store, second: Store) -> None:
        record, other = a_record(), a_record()
        await add_all(store, [record, other])
        await store.touch({record.id: Use(9, "2001:db8::7")})
        assert await kept(second, record) == record.use(Use(9, "2001:db8::7"))
        assert await kept(second, other) == other

    async def test_only_a_later_use_is_noted(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        uses = [Use(9), Use(8, "z"), Use(9, "b"), Use(9, "a"), Use(9), Use(2, "c")]
        for use in uses:
            await store.touch({record.id: use})
        assert await kept(store, record) == record.use(Use(9, "b"))

    async def test_a_use_does_not_undo_an_end(self, store: Store) -> None:
        record = a_record()
        await store.add(record)
        await store.end(record.id, 5)
        await store.touch({record.id: Use(9)})
        assert await kept(store, record) == record.end(5, "deleted").use(Use(9))

    async def test_uses_of_unknown_tokens_leave_nothing_behind(self, store: Store) -> None:
        record, gone = a_record(), a_record()
        await store.add(record)
        await store.touch({gone.id: Use(9), record.id: Use(9), uuid4(): Use(9)})
        await store.add(gone)
        assert (await kept(store, record)).last_used_ms == 9
        assert (await kept(store, gone)).last_used_ms is None

    async def test_no_uses_are_no_trouble(self, store: Store) -> None:
        await store.touch({})

    async def test_many_uses_from_several_processes_at_once(
        self, store: Store, second: Store
    ) -> None:
        records = [a_record() for _ in range(1_200)]
        await self.add_many(store, records)
        ups = {record.id: Use(at, "up") for at, record in enumerate(records)}
        downs = {r.id: Use(1_200 - at, "down") for at, r in reversed(list(enumerate(records)))}
        await asyncio.gather(store.touch(ups), second.touch(downs), store.touch(downs))
        found = await store.fetch([record.id for record in records])
        assert found == {r.id: r.use(ups[r.id]).use(downs[r.id]) for r in records}
