"""The contract notices stores that don't tell what they did."""

import asyncio
from uuid import UUID

import pytest

from bearer_guard.record import TokenRecord
from bearer_guard.store import Announcer
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing._contract_announcing import AnnouncingContract
from tests.testing.mutants import notices


class AnnouncesFirst(MemoryStore):
    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        with self._announcer.changing([id]):
            pass
        await asyncio.sleep(0)
        announcer, self._announcer = self._announcer, Announcer()
        ended = await super().end(id, at_ms, reason=reason)
        self._announcer = announcer
        return ended


class Silent(MemoryStore):
    def subscribe(self, listener: object) -> object:
        del listener
        return lambda: None


class SilentAfterErrors(MemoryStore):
    async def close(self) -> None:
        await super().close()
        self._announcer._listeners.clear()


MUTANTS = [
    (AnnouncingContract, "test_an_end_is_announced_after_it_is_written", AnnouncesFirst),
    (AnnouncingContract, "test_an_end_is_announced_after_it_is_written", Silent),
    (AnnouncingContract, "test_an_addition_is_announced", Silent),
    (AnnouncingContract, "test_a_call_without_an_outcome_is_announced", SilentAfterErrors),
]


@pytest.mark.parametrize(("contract", "test", "store"), MUTANTS)
async def test_a_broken_rule_is_noticed(
    contract: type, test: str, store: type[MemoryStore]
) -> None:
    assert await notices(contract, test, store)
