"""What tests of the issuing side need: a store that can fail, and cheap passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearer_guard.errors import DuplicateToken, StoreUnavailable
from bearer_guard.issuing.passwords import Passwords
from bearer_guard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from bearer_guard.events import Event
    from bearer_guard.record import TokenRecord

PASSWORD = "correct horse battery"


def cheap_passwords() -> Passwords:
    """Argon2id at the least it can be asked for: a millisecond."""
    return Passwords(passes=1, memory_kib=8)


class FaultyStore(MemoryStore):
    """A store that breaks where it is told to.

    Attributes:
        before: Names of calls that fail and do nothing.
        after: Names of calls that are done, and then fail.
        taken: How many ids are said to be taken before one is added.
        calls: What was called, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: set[str] = set()
        self.after: set[str] = set()
        self.taken = 0
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self._fail(name, self.before)

    @staticmethod
    def _fail(name: str, where: set[str]) -> None:
        if name in where:
            raise StoreUnavailable(f"{name} has no answer")

    async def add(self, record: TokenRecord) -> None:
        self._called("add")
        if self.taken:
            self.taken -= 1
            raise DuplicateToken("taken")
        await super().add(record)
        self._fail("add", self.after)

    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        self._called("end")
        ended = await super().end(id, at_ms, reason=reason)
        if reason in self.after:
            raise StoreUnavailable(f"an end that is {reason} has no answer")
        self._fail("end", self.after)
        return ended

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        self._called("fetch")
        return await super().fetch(ids)

    async def touch(self, uses: object) -> None:
        self._called("touch")
        await super().touch(uses)  # type: ignore[arg-type]

    async def remember_keys(self, ids: Collection[str]) -> frozenset[str]:
        self._called("remember_keys")
        return await super().remember_keys(ids)


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [event.name for event in self.events]
