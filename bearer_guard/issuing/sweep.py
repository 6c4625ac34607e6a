"""Ends the tokens of people who have left: those who are gone from the directory, or disabled.

A name that the directory does not know may be anybody's: a native account, somebody who logs in by
another provider. Only whom the directory *once knew*, because they logged in by it or because an
earlier sweep saw them there, can be gone from it.

Every answer is had before anything is ended: a directory that gives none ends nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.events import TokensEnded, emit, log_event
from bearer_guard.record import EndReason
from bearer_guard.store import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.store import AccountStore, NoteStore, Store

__all__ = ["People", "Standing", "Sweep", "Swept", "remember_person"]

_LOGGER: Final = logging.getLogger("bearer_guard")
_PAGE: Final = 1000
_ALWAYS_MS: Final = 253_402_300_799_999  # the end of the year 9999
_FEW: Final = 10  # owners: so many may leave at once without anybody wondering
_BY: Final = "directory sweep"


class Standing(Enum):
    """How a directory stands to a name."""

    PRESENT = "present"
    DISABLED = "disabled"
    GONE = "gone"


class People(Protocol):
    """A directory that can be asked about its people."""

    async def standings(self, owners: Sequence[str]) -> dict[str, Standing]:
        """How it stands to each of these names.

        Raises:
            StoreUnavailable: It gave no answer that could be believed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found, and did.

    Attributes:
        owners: How many owners of live tokens the directory was asked about.
        gone: Owners whom it once knew, and knows no more.
        disabled: Owners whom it knows, and lets log in no more.
        strangers: Owners whom it never knew: their tokens are left alone.
        tokens: How many live tokens those who are gone or disabled had.
        done: Whether these were ended. ``False``: it was a dry run, or it was too many.
        too_many: More than half of the directory's people here would have lost their tokens, which
            looks like a mistake of somebody's: nothing was ended.
    """

    owners: int
    gone: tuple[str, ...]
    disabled: tuple[str, ...]
    strangers: tuple[str, ...]
    tokens: int
    done: bool
    too_many: bool


class Sweep:
    """Compares the owners of live tokens with a directory.

    Args:
        store: Of the tokens.
        accounts: Native accounts; those with a password are not the directory's people.
        notes: Where it is remembered whom the directory knew.
        people: The directory.
        clock: Time.
        listeners: Who is told what was ended.
    """

    def __init__(
        self,
        store: Store,
        accounts: AccountStore,
        notes: NoteStore,
        people: People,
        *,
        clock: Clock = SYSTEM_CLOCK,
        listeners: Sequence[Listener] = (log_event,),
    ) -> None:
        self._store: Final = store
        self._accounts: Final = accounts
        self._notes: Final = notes
        self._people: Final = people
        self._clock: Final = clock
        self._listeners: Final = listeners

    async def run(self, *, dry_run: bool = False, force: bool = False) -> Swept:
        """End the tokens and the sessions of those who have left.

        Args:
            dry_run: Only say what would be ended.
            force: Also where it is more than half of the directory's people here.

        Raises:
            StoreUnavailable: The directory or the store gave no answer. If it was the directory,
                nothing was ended; what the store had ended before stays so.
        """
        tokens = await self._live_tokens()
        standings = await self._people.standings(sorted(tokens))
        known = await self._once_known(standings)
        gone = [owner for owner in known if standings[owner] is Standing.GONE]
        disabled = [owner for owner in known if standings[owner] is Standing.DISABLED]
        left = gone + disabled
        too_many = len(left) > _FEW and 2 * len(left) > len(known)
        done = not dry_run and (force or not too_many)
        if done:
            await self._end(left)
        if not dry_run:
            await self._remember(standings)
        return Swept(
            owners=len(tokens),
            gone=tuple(gone),
            disabled=tuple(disabled),
            strangers=tuple(sorted(set(tokens) - set(known))),
            tokens=sum(tokens[owner] for owner in left),
            done=done,
            too_many=too_many,
        )

    async def every(self, seconds: float) -> None:
        """Sweep now, and again and again, until cancelled. What fails is tried the next time."""
        while True:
            await self._once()
            await asyncio.sleep(seconds)

    async def _once(self) -> None:
        try:
            swept = await self.run()
        except StoreUnavailable as error:
            _LOGGER.warning("the directory sweep ended nothing: %s", error)
            return
        if swept.too_many:
            _LOGGER.error(
                "the directory sweep ended nothing: of %d owners %d have left, which may be a"
                " mistake; `bearer-guard directory sweep` tells who",
                swept.owners,
                len(swept.gone) + len(swept.disabled),
            )

    async def _live_tokens(self) -> dict[str, int]:
        """How many live tokens each owner has, native accounts with a password left out."""
        now_ms = self._clock.now_ms()
        counts: dict[str, int] = {}
        after: str | None = None
        while True:
            page = await self._store.page(None, after, _PAGE, now_ms=now_ms)
            for record in page.records:
                dead_ms = record.dead_ms()
                if dead_ms is None or dead_ms > now_ms:
                    counts[record.owner] = counts.get(record.owner, 0) + 1
            if page.next is None:
                break
            after = page.next
            await asyncio.sleep(0)  # a store in memory never yields
        return {owner: counts[owner] for owner in counts if not await self._is_native(owner)}

    async def _is_native(self, owner: str) -> bool:
        account = await self._accounts.account(owner)
        return account is not None and account.password_hash is not None

    async def _once_known(self, standings: dict[str, Standing]) -> list[str]:
        """The owners whom the directory knows, or knew."""
        now_ms = self._clock.now_ms()
        return [
            owner
            for owner, standing in standings.items()
            if standing is not Standing.GONE
            or await self._notes.note(_key(owner), now_ms) is not None
        ]

    async def _end(self, owners: Sequence[str]) -> None:
        for owner in owners:
            now_ms = self._clock.now_ms()
            await self._notes.drop_notes(owner)  # first: a session could make one more token
            count = await self._store.end_all(owner, now_ms, reason=EndReason.OWNER_GONE)
            event = TokensEnded(
                at_ms=now_ms, owner=owner, by=_BY, reason=EndReason.OWNER_GONE, count=count
            )
            emit(self._listeners, event)

    async def _remember(self, standings: dict[str, Standing]) -> None:
        now_ms = self._clock.now_ms()
        for owner, standing in standings.items():
            if standing is not Standing.GONE:
                await remember_person(self._notes, owner, now_ms)


async def remember_person(notes: NoteStore, owner: str, now_ms: int) -> None:
    """Note for good that the directory knows this owner."""
    key = _key(owner)
    if await notes.note(key, now_ms) is None:
        # The note is nobody's, so that it outlasts the owner's sessions.
        await notes.add_note(key, Note(owner="", value="", expires_ms=_ALWAYS_MS), now_ms)


def _key(owner: str) -> str:
    return f"person {hashlib.sha256(owner.encode()).hexdigest()}"
