"""What changes a store, each in one transaction that locks the counter first.

A transaction may be begun anew (``Gateway.write``), with all that is said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import _sql_log as log
from . import _sql_people as people
from . import _sql_tokens as tokens
from ._rows import LOG_IDS, LOG_MS, encode_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from bearer_guard.clock import Clock
    from bearer_guard.policy import Policy
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Account, AccountChange

    from ._sql_gateway import Writing
    from ._sql_hints import Hints
    from ._sql_speech import Speech

__all__ = ["CLEAN_MS", "ChangesOfStore"]

CLEAN_MS: Final = LOG_MS // 10  # a process looks once a minute whether there is old stuff to delete


class ChangesOfStore:
    """Statements in their order.

    Args:
        speech: The server's.
        hints: Told of what ended.
        clock: Dates the change log.
    """

    def __init__(self, speech: Speech, hints: Hints, clock: Clock) -> None:
        self._speech: Final = speech
        self._hints: Final = hints
        self._clock: Final = clock
        self._cleaned_ms = 0

    async def end(self, writing: Writing, id: UUID, at_ms: int, reason: str) -> TokenRecord | None:
        """End a token's life, or leave it where it ends earlier already."""
        revision = await log.lock_counter(writing.connection)
        if await tokens.end(writing.connection, id, at_ms, reason):
            await self._revise(writing, revision, [id.bytes])
            self._hints.send(writing, [id.bytes])
        return await tokens.one(writing.connection, id)

    async def end_all(
        self, writing: Writing, owner: str, family: UUID | None, *, at_ms: int, reason: str
    ) -> tuple[int, list[bytes]]:
        """How many ended, and the ids of those whose end is another now."""
        revision = await log.lock_counter(writing.connection)
        ended, ids = await tokens.end_all(
            writing, self._speech, owner, family, at_ms=at_ms, reason=reason
        )
        if ids:
            await self._revise(writing, revision, ids)
            self._hints.send(writing, ids)
        return ended, ids

    async def purge(self, writing: Writing, before_ms: int, most: int) -> int:
        """How many were deleted, at most so many."""
        await log.lock_counter(writing.connection)
        ids = await tokens.dead(writing.connection, before_ms, most)
        await tokens.delete_tokens(writing.connection, self._speech, ids)
        return len(ids)

    async def set_policy(self, writing: Writing, policy: Policy) -> None:
        """Change the settings."""
        revision = await log.lock_counter(writing.connection)
        await log.write_settings(writing.connection, encode_settings(policy))
        await self._revise(writing, revision, [])

    async def add_account(self, writing: Writing, account: Account) -> bool:
        """Keep a new account; ``False``: the name is taken."""
        revision = await log.lock_counter(writing.connection)
        added = await people.add_account(writing.connection, account)
        if added and account.disabled:
            await self._revise_owner(writing, revision, account.name)
        return added

    async def change_account(
        self, writing: Writing, name: str, change: AccountChange
    ) -> Account | None:
        """Change an account; ``None``: there is none."""
        revision = await log.lock_counter(writing.connection)
        both = await people.change_account(writing.connection, name, change)
        if both is None:
            return None
        before, after = both
        if before.disabled != after.disabled:
            await self._revise_owner(writing, revision, name)
        return after

    async def _revise_owner(self, writing: Writing, revision: int, owner: str) -> None:
        now_ms = self._clock.now_ms()
        ids = await tokens.live_ids(writing.connection, owner, now_ms, LOG_IDS)
        await self._revise(writing, revision, ids)

    async def _revise(self, writing: Writing, revision: int, ids: Sequence[bytes]) -> None:
        now_ms = self._clock.now_ms()
        await log.advance(writing.connection, self._speech, revision, ids, now_ms)
        if now_ms >= self._cleaned_ms + CLEAN_MS:
            self._cleaned_ms = now_ms  # first: should it fail, the next end has its peace
            await log.trim(writing.connection, now_ms)
