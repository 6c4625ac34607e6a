"""The contract notices stores that don't keep tokens, or let them live on."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

import pytest

from bearer_guard.record import TokenRecord, Use
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import a_record
from bearer_guard.testing._contract_records import EndingContract, KeepingContract
from tests.testing.mutants import notices


class Overwrites(MemoryStore):
    async def add(self, record: TokenRecord) -> None:
        self._records.pop(record.id, None)
        await super().add(record)


class HidesTheExpired(MemoryStore):
    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        now_ms = self._clock.now_ms()
        found = await super().fetch(ids)
        return {id: r for id, r in found.items() if r.expires_ms is None or r.expires_ms > now_ms}


class CutsDescriptions(MemoryStore):
    async def add(self, record: TokenRecord) -> None:
        await super().add(replace(record, description=record.description[:255]))


class StripsOwners(MemoryStore):
    async def add(self, record: TokenRecord) -> None:
        await super().add(replace(record, owner=record.owner.strip()))


class ForgetsWhenItIsClosed(MemoryStore):
    async def close(self) -> None:
        self._records.clear()


class TheLastEndWins(MemoryStore):
    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        self._records[id] = replace(self._records[id], ended_ms=None, end_reason=None)
        return await super().end(id, at_ms, reason=reason)


class ReturnsTheRecordBefore(MemoryStore):
    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        before = (await self.fetch([id])).get(id)
        await super().end(id, at_ms, reason=reason)
        return before


class IgnoresWhoOwnsAFamily(MemoryStore):
    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        count = await super().end_all(owner, at_ms, family=family, reason=reason)
        for record in tuple(self._records.values()):
            if record.family == family:
                await self.end(record.id, at_ms, reason=reason)
        return count


class IgnoresCase(MemoryStore):
    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        del family
        owners = [known for known in self._orders if known.casefold() == owner.casefold()]
        ends = [await super(IgnoresCase, self).end_all(one, at_ms, reason=reason) for one in owners]
        return sum(ends)


class TheLastUseWins(MemoryStore):
    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        for id, use in uses.items():
            self._records[id] = replace(
                self._records[id], last_used_ms=use.at_ms, last_used_from=use.source
            )


MUTANTS = [
    (KeepingContract, "test_a_taken_id_is_refused_and_nothing_is_written", Overwrites),
    (KeepingContract, "test_an_expired_record_is_still_fetched", HidesTheExpired),
    (KeepingContract, "test_a_closed_store_can_be_opened_again", ForgetsWhenItIsClosed),
    (EndingContract, "test_a_later_end_changes_nothing", TheLastEndWins),
    (EndingContract, "test_of_many_ends_at_once_the_earliest_wins", TheLastEndWins),
    (EndingContract, "test_an_end_returns_the_record_as_it_is_now", ReturnsTheRecordBefore),
    (EndingContract, "test_a_family_ends_together", IgnoresWhoOwnsAFamily),
    (EndingContract, "test_the_tokens_of_an_owner_end_together", IgnoresCase),
    (EndingContract, "test_only_a_later_use_is_noted", TheLastUseWins),
    (EndingContract, "test_uses_of_unknown_tokens_leave_nothing_behind", TheLastUseWins),
]


@pytest.mark.parametrize(("contract", "test", "store"), MUTANTS)
async def test_a_broken_rule_is_noticed(
    contract: type, test: str, store: type[MemoryStore]
) -> None:
    assert await notices(contract, test, store)


async def test_a_description_that_was_cut_is_noticed() -> None:
    test = "test_a_record_is_fetched_as_it_was_added"
    record = a_record(description="x" * 256)
    assert await notices(KeepingContract, test, CutsDescriptions, record=record)


async def test_an_owner_whose_spaces_are_gone_is_noticed() -> None:
    test = "test_text_of_every_kind_is_kept"
    assert await notices(KeepingContract, test, StripsOwners, word="alice ")
