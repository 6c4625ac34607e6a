"""A store in one SQLite file: several processes of one host can share it.

The file must be on a local disk. SQL and connections are in the modules beside this one.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError
from bearer_guard.store import Announcer

from . import _sqlite_people as people
from . import _sqlite_tokens as tokens
from ._options import construct
from ._rows import LOG_IDS, decode_position, encode_settings
from ._sqlite_care import diagnose, upgrade
from ._sqlite_link import Link, failure, is_busy
from ._sqlite_log import Poller, read_policy, set_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from os import PathLike

    from bearer_guard.clock import Clock
    from bearer_guard.policy import Policy
    from bearer_guard.record import TokenRecord, Use
    from bearer_guard.store import (
        Account,
        AccountChange,
        Changes,
        Cursor,
        Finding,
        KeyUsage,
        Note,
        Page,
        StoreListener,
    )

__all__ = ["SqliteStore"]


class SqliteStore:
    """Tokens, accounts and notes in one file.

    Args:
        path: Of the file; ``open`` makes it, for its owner's eyes only, if there is none. A
            relative one is looked up once, here.
        clock: Dates the change log, and limits waiting.
        timeout: Seconds that a write waits for its turn and for other processes' writes.
    """

    poll_interval: ClassVar = 0.05
    """Seconds. A poll here costs some microseconds, so that polls may come this often."""

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Clock = SYSTEM_CLOCK,
        timeout: float = 0.8,
    ) -> None:
        self._clock: Final = clock
        self._announcer: Final = Announcer()
        self._link: Final = Link(Path(path).absolute(), clock=clock, seconds=timeout)
        self._poller: Final = Poller()

    @classmethod
    def from_url(cls, url: str, **options: object) -> SqliteStore:
        """The store for ``sqlite:///relative/path`` or ``sqlite:////absolute/path``.

        Raises:
            ConfigurationError: The URL has another form, or an option is unknown.
        """
        parts = urlsplit(url)
        path = unquote(parts.path)[1:]
        odd = parts.netloc or parts.query or parts.fragment or "\0" in path
        slashes = url.lower().startswith("sqlite:///")
        if not slashes or odd or path in {"", ":memory:"}:
            msg = (
                "the URL of a SQLite store is sqlite:///relative/path or sqlite:////absolute/path,"
                " with % escapes for ? and #; for a store in memory there is memory://"
            )
            raise ConfigurationError(msg)
        return construct(cls, path, options=options)

    async def open(self) -> None:
        """Make the file and its schema where there are none, and connect."""
        await self._link.open()

    async def close(self) -> None:
        """Let go of the file. The store may be opened again."""
        await self._link.close()

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        """Tell ``listener`` of what this object's own calls change. Returns how to stop it."""
        return self._announcer.subscribe(listener)

    def hints(self) -> None:
        """No hints: a poll is as cheap, and as quick."""

    # Tokens

    async def add(self, record: TokenRecord) -> None:
        """Keep a new record."""
        with self._announcer.changing([record.id]):
            await self._link.write(partial(tokens.add, record=record))

    def fetch_now(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord] | None:
        """``fetch`` without a task switch; ``None`` where that would have to wait.

        Raises:
            StoreUnavailable: No answer.
        """
        try:
            return tokens.fetch(self._link.reader(), ids)
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.Error) and is_busy(error):
                return None
            raise failure(self._link.path, error) from error

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """The records with these ids; unknown ids are left out."""
        return await self._link.read(partial(tokens.fetch, ids=ids))

    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        """End a token's life at ``at_ms``, or leave it where it ends earlier already."""
        with self._announcer.changing([id]):
            now_ms = self._clock.now_ms()
            return await self._link.write(
                partial(tokens.end, id=id, at_ms=at_ms, reason=reason, now_ms=now_ms)
            )

    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        """End all tokens of an owner, or those of one family of the owner's: one revision."""
        with self._announcer.changing() as change:
            job = partial(
                tokens.end_all,
                owner=owner,
                at_ms=at_ms,
                family=family,
                reason=reason,
                now_ms=self._clock.now_ms(),
            )
            count, ids = await self._link.write(job, large=True)
            if len(ids) <= LOG_IDS:
                change.ids = [UUID(bytes=id) for id in ids]
            return count

    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        """Note when tokens were last used."""
        for rows in tokens.sorted_uses(uses):
            await self._link.write(partial(tokens.touch, rows=rows))

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        """Records, newest first."""
        place = None if after is None else decode_position(after)
        return await self._link.aside(
            partial(tokens.page, owner=owner, after=place, limit=limit, now_ms=now_ms)
        )

    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        """Delete the records that expired or ended before ``before_ms``; returns how many.

        A few hundred at a time: others can write in between.
        """
        total = 0
        while limit is None or total < limit:
            rows = tokens.PURGE_ROWS if limit is None else min(limit - total, tokens.PURGE_ROWS)
            job = partial(tokens.purge, before_ms=before_ms, limit=rows)
            purged = await self._link.write(job)
            total += purged
            if not purged:
                break
        return total

    async def key_usage(self, now_ms: int) -> dict[str, KeyUsage]:
        """The tokens that are live at ``now_ms``, counted by key id."""
        return await self._link.aside(partial(tokens.key_usage, now_ms=now_ms))

    async def remember_keys(self, ids: Collection[str]) -> frozenset[str]:
        """The key ids that the store was used with before this call."""
        known = await self._link.read(tokens.known_keys)
        if known >= set(ids):
            return known  # as at almost every start: nothing to write
        return await self._link.write(partial(tokens.remember_keys, ids=ids))

    # What changed

    async def changes(self, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``; with ``None``, a reset that tells where the log stands."""
        return await self._link.read(partial(self._poller.changes, cursor=cursor))

    async def policy(self) -> Policy:
        """The workspace's settings; those of a new store where none were set."""
        return await self._link.read(read_policy)

    async def set_policy(self, policy: Policy) -> None:
        """Change the workspace's settings. Takes the next revision."""
        with self._announcer.changing():
            now_ms, text = self._clock.now_ms(), encode_settings(policy)
            await self._link.write(partial(set_policy, settings=text, now_ms=now_ms))

    # Accounts

    async def account(self, name: str) -> Account | None:
        """The account of exactly this name."""
        return await self._link.read(partial(people.account, name=name))

    async def accounts(self, after: str | None = None, limit: int = 1000) -> list[Account]:
        """Accounts in the order of their names' code points, those after ``after``."""
        return await self._link.aside(partial(people.accounts, after=after, limit=limit))

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; ``False``: the name is taken, and nothing was written."""
        with self._announcer.changing(None if account.disabled else ()):
            now_ms = self._clock.now_ms()
            return await self._link.write(
                partial(people.add_account, account=account, now_ms=now_ms)
            )

    async def change_account(self, name: str, change: AccountChange) -> Account | None:
        """Change an account, all fields at once; ``None``: there is none."""
        with self._announcer.changing(() if change.disabled is None else None):
            now_ms = self._clock.now_ms()
            return await self._link.write(
                partial(people.change_account, name=name, change=change, now_ms=now_ms)
            )

    # Notes

    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        """Keep a note; ``False``: an unexpired one of this key exists, and nothing was written."""
        return await self._link.write(partial(people.add_note, key=key, note=note, now_ms=now_ms))

    async def note(self, key: str, now_ms: int) -> Note | None:
        """The note of this key, if it has not expired."""
        return await self._link.read(partial(people.note, key=key, now_ms=now_ms))

    async def drop_note(self, key: str) -> bool:
        """Forget a note; whether there was one."""
        return await self._link.write(partial(people.drop_note, key=key))

    async def drop_notes(self, owner: str) -> int:
        """Forget all notes of an owner; how many there were."""
        return await self._link.write(partial(people.drop_notes, owner=owner))

    # For administrators

    async def diagnose(self) -> list[Finding]:
        """What an administrator should know of the file. The store need not be open."""
        return await self._link.inspect(partial(diagnose, path=self._link.path))

    async def upgrade(self) -> str:
        """Bring the schema to this version. The store need not be open."""
        return await self._link.inspect(upgrade)
