"""A store in an SQL database: PostgreSQL, MariaDB, MySQL, and what speaks their protocols.

What is one transaction, and in which order, is in ``_sql_changes``; the statements in
``_sql_tokens``, ``_sql_lookup``, ``_sql_log`` and ``_sql_people``; connections, time limits and the
drivers' errors in ``_sql_gateway``.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import text

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import BearerGuardError, ConfigurationError, StoreUnavailable
from bearer_guard.store import Announcer, Finding, Page

from . import _sql_log as log
from . import _sql_people as people
from . import _sql_safety as safety
from . import _sql_schema as schema
from . import _sql_tokens as tokens
from ._options import construct
from ._sql_changes import CLEAN_MS, ChangesOfStore
from ._sql_driver import driver_for
from ._sql_fence import refuse_replica
from ._sql_gateway import Gateway
from ._sql_hints import Hints
from ._sql_lookup import Lookup
from ._sql_speech import Touched
from ._sql_tables import WORD
from ._sql_text import check_storable, storable
from ._sql_url import split, whereabouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bearer_guard.clock import Clock
    from bearer_guard.policy import Policy
    from bearer_guard.record import TokenRecord, Use
    from bearer_guard.store import (
        Account,
        AccountChange,
        Changes,
        Cursor,
        KeyUsage,
        Note,
        StoreListener,
    )

    from ._sql_gateway import Writing

__all__ = ["SqlStore"]

_log: Final = logging.getLogger("bearer_guard")


class SqlStore:
    """Tokens, accounts and notes in a database.

    Args:
        url: Where it is; ``from_url`` takes it as text.
        clock: Dates the change log.
        poll_interval: Seconds between the polls of one process; ``None``: what the guard thinks.
        pool_size: Connections that are kept for reading, and as many for writing; twice as many
            read when there is much to do.
        statement_cache_size: 0 behind a pooler that gives each transaction another connection
            and knows no prepared statements; ``None``: what the driver thinks.
        unsafe: ``refuse`` servers that could lose a revocation, or ``allow`` them.
    """

    def __init__(
        self,
        url: URL,
        *,
        clock: Clock = SYSTEM_CLOCK,
        poll_interval: float | None = None,
        pool_size: int = 5,
        statement_cache_size: int | None = None,
        unsafe: str = "refuse",
    ) -> None:
        if unsafe not in {"refuse", "allow"}:
            raise ConfigurationError("unsafe is either refuse or allow")
        if pool_size < 1 or (poll_interval is not None and poll_interval <= 0):
            raise ConfigurationError("pool_size and poll_interval must be positive")
        self.poll_interval: Final = poll_interval
        self._unsafe: Final = unsafe
        self._announcer: Final = Announcer()
        driver = driver_for(url, statement_cache_size=statement_cache_size)
        self._speech: Final = driver.speech
        self._gateway: Final = Gateway(driver, whereabouts(url), pool_size=pool_size)
        self._lookup: Final = Lookup(self._gateway)
        self._poll: Final = log.Poll(self._gateway)
        self._hints: Final = Hints(self._gateway)
        self._changes: Final = ChangesOfStore(self._speech, self._hints, clock)
        self._open = False
        self._notes_cleaned_ms = 0

    @classmethod
    def from_url(cls, url: str, **options: object) -> SqlStore:
        """The store that a URL names. Options may stand in it: ``…/db?pool_size=2``.

        Raises:
            ConfigurationError: The URL or an option can't be right, or the driver is missing.
        """
        address, in_url = split(url)
        return construct(cls, address, options={**in_url, **options})

    async def open(self) -> None:
        """Connect, look at the server, and make the tables in a database that has none.

        Raises:
            StoreUnavailable: No answer, or tables of another version.
            ConfigurationError: The server is set up in a way that could lose a revocation.
        """
        try:
            await self._check_and_fill()
        except BearerGuardError:
            await self.close()
            raise
        self._open = True

    async def _check_and_fill(self) -> None:
        async with self._gateway.reading() as connection:
            found = await self._check_server(connection)
            version = await schema.version(connection)
        if self._unsafe == "refuse":
            safety.refuse_unsafe(found)
        for finding in found:
            _log.warning("%s: %s", self._gateway.where, finding.text)
        schema.check(version)
        if version is None:
            await schema.fill(self._gateway)

    async def close(self) -> None:
        """Let go of all connections. The store may be opened again."""
        self._open = False
        with suppress(StoreUnavailable):
            await self._gateway.close()

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        """Tell ``listener`` of what this object's own calls change. Returns how to stop it."""
        return self._announcer.subscribe(listener)

    def hints(self) -> AsyncIterator[Collection[UUID]] | None:
        """Ids that ended, as they end; ``None`` where the server can't push."""
        return self._hints.listen()

    # Tokens

    async def add(self, record: TokenRecord) -> None:
        """Keep a new record."""
        with self._announcer.changing([record.id]):
            await self._gate().write(lambda writing: tokens.add(writing.connection, record))

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """The records with these ids; unknown ids are left out."""
        self._gate()
        return await self._lookup.fetch(ids)

    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        """End a token's life at ``at_ms``, or leave it where it ends earlier already."""
        check_storable([reason])
        with self._announcer.changing([id]):
            return await self._gate().write_alone(
                lambda writing: self._changes.end(writing, id, at_ms, reason)
            )

    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        """End all tokens of an owner, or those of one family of the owner's: one revision."""
        check_storable([reason])
        with self._announcer.changing() as change:
            if not storable(owner):
                change.ids = ()
                return 0
            ended, ids = await self._gate().write_alone(
                lambda writing: self._changes.end_all(
                    writing, owner, family, at_ms=at_ms, reason=reason
                )
            )
            change.ids = [UUID(bytes=bytes(id)) for id in ids]
            return ended

    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        """Note when tokens were last used."""
        rows = sorted(Touched(id.bytes, use.at_ms, _source(use.source)) for id, use in uses.items())
        gate = self._gate()
        for chunk in tokens.chunks(rows):
            await gate.write(partial(self._touch, chunk))

    async def _touch(self, rows: Sequence[Touched], writing: Writing) -> None:
        await self._speech.touch(writing.connection, rows)

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        """Records, newest first."""
        gate, wanted = self._gate(), tokens.wanted(owner, after, now_ms)
        if owner is not None and not storable(owner):
            return Page([], None)
        async with gate.reading() as connection:
            return await tokens.page(connection, self._speech, wanted, limit)

    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        """Delete the records that expired or ended before ``before_ms``; returns how many."""
        purged = 0
        while limit is None or purged < limit:
            most = tokens.CHUNK if limit is None else min(tokens.CHUNK, limit - purged)
            step = partial(self._changes.purge, before_ms=before_ms, most=most)
            deleted = await self._gate().write_alone(step)
            purged += deleted
            if deleted < most:
                break
        return purged

    async def key_usage(self, now_ms: int) -> dict[str, KeyUsage]:
        """The tokens that are live at ``now_ms``, counted by key id."""
        async with self._gate().patient() as connection:
            return await tokens.key_usage(connection, now_ms)

    async def remember_keys(self, ids: Collection[str]) -> frozenset[str]:
        """The key ids that the store was used with before this call."""
        check_storable(ids)
        return await self._gate().write_alone(
            lambda writing: log.remember_keys(writing.connection, ids)
        )

    # What changed

    async def changes(self, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``; with ``None``, a reset that tells where the log stands."""
        self._gate()
        return await self._poll.changes(cursor)

    async def policy(self) -> Policy:
        """The workspace's settings; those of a new store where none were set."""
        async with self._gate().reading() as connection:
            return await log.settings(connection, self._speech)

    async def set_policy(self, policy: Policy) -> None:
        """Change the workspace's settings. Takes the next revision."""
        with self._announcer.changing():
            await self._gate().write_alone(partial(self._changes.set_policy, policy=policy))

    # Accounts

    async def account(self, name: str) -> Account | None:
        """The account of exactly this name."""
        gate = self._gate()
        if not storable(name):
            return None
        async with gate.reading() as connection:
            return await people.account(connection, self._speech, name)

    async def accounts(self, after: str | None = None, limit: int = 1000) -> list[Account]:
        """Accounts in the order of their names' code points, those after ``after``."""
        async with self._gate().reading() as connection:
            return await people.accounts(connection, self._speech, after, limit)

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; ``False``: the name is taken, and nothing was written."""
        with self._announcer.changing(None if account.disabled else ()):
            return await self._gate().write_alone(
                lambda writing: self._changes.add_account(writing, account)
            )

    async def change_account(self, name: str, change: AccountChange) -> Account | None:
        """Change an account, all fields at once; ``None``: there is none."""
        with self._announcer.changing(() if change.disabled is None else None):
            gate = self._gate()
            if not storable(name):
                return None
            return await gate.write_alone(
                lambda writing: self._changes.change_account(writing, name, change)
            )

    # Notes

    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        """Keep a note; ``False``: an unexpired one of this key exists, and nothing was written."""
        async with self._gate().reading() as connection:
            added = await people.add_note(connection, key, note, now_ms)
            if now_ms >= self._notes_cleaned_ms + CLEAN_MS:
                self._notes_cleaned_ms = now_ms
                await people.forget_notes(connection, now_ms)
        return added

    async def note(self, key: str, now_ms: int) -> Note | None:
        """The note of this key, if it has not expired."""
        gate = self._gate()
        if not storable(key):
            return None
        async with gate.reading() as connection:
            return await people.note(connection, self._speech, key, now_ms)

    async def drop_note(self, key: str) -> bool:
        """Forget a note; whether there was one."""
        gate = self._gate()
        if not storable(key):
            return False
        async with gate.reading() as connection:
            return await people.drop_note(connection, key)

    async def drop_notes(self, owner: str) -> int:
        """Forget all notes of an owner; how many there were."""
        gate = self._gate()
        if not storable(owner):
            return 0
        async with gate.reading() as connection:
            return await people.drop_notes(connection, owner)

    # For administrators

    async def diagnose(self) -> list[Finding]:
        """What an administrator should know of the server and the schema."""
        async with self._gateway.reading() as connection:
            found = await self._check_server(connection)
            server = await connection.scalar(text("SELECT version()"))
            version = await schema.version(connection)
        fresh = version == schema.HEAD
        state = f"the tables are of version {version}; this program's are {schema.HEAD}"
        return [
            Finding("ok", f"{self._gateway.where} answers: {server}"),
            Finding("ok" if fresh else "error", state),
            *found,
        ]

    async def upgrade(self) -> str:
        """Bring the schema to this version. Returns what was done, in one line."""
        async with self._gateway.reading() as connection:
            version = await schema.version(connection)
        if version == schema.HEAD:
            return f"the tables are of version {version} already"
        schema.check_older(version)
        await schema.migrate(self._gateway)
        if version is None:
            return f"the tables were made: version {schema.HEAD}"
        return f"the tables were brought from version {version} to {schema.HEAD}"

    async def _check_server(self, connection: AsyncConnection) -> list[Finding]:
        refuse_replica(await connection.scalar(text(f"SELECT {self._speech.fence}")))
        settings = await safety.server_settings(connection)
        return safety.findings(connection.dialect.name, settings)

    def _gate(self) -> Gateway:
        if not self._open:
            raise StoreUnavailable("the store is not open")
        return self._gateway


def _source(source: str | None) -> str | None:
    """The address, if it is one that can be kept: a flush must not fail for it, again and again."""
    if source is None or len(source) > WORD or not storable(source):
        return None
    return source
