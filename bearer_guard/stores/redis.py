"""A store in Redis or Valkey: one server, one that Sentinels watch, or a cluster.

``docs/stores-redis.md`` says how to run a server for it. Scripts and connections are in the modules
beside this one.
"""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError
from bearer_guard.store import Announcer, Finding

from . import _redis_log as log
from . import _redis_people as people
from . import _redis_tokens as tokens
from ._options import construct
from ._redis_checks import inspect
from ._redis_database import Database
from ._redis_hints import hints
from ._redis_url import Kind, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from uuid import UUID

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
        Page,
        StoreListener,
    )

__all__ = ["RedisStore"]

_SHARDS: Final = {Kind.SINGLE: "1", Kind.SENTINEL: "1", Kind.CLUSTER: "16"}
_MOST_SHARDS: Final = 256
_PREFIX: Final = re.compile(r"[^{}\s]{0,64}")  # braces would say where a cluster puts the key

_log: Final = logging.getLogger("bearer_guard")


class RedisStore:
    """Tokens, accounts and notes in Redis or Valkey.

    Args:
        url: Which servers: see ``_redis_url``. Options may stand in its query.
        clock: Dates changes of accounts, and what Sentinels say.
        prefix: Of all keys, so that several stores can share a server.
        shards: In how many parts a new store is split; ``None``: one, in a cluster sixteen. A
            store that is there stays as it is.
        unsafe: ``"refuse"`` or ``"allow"``: a server that could lose a revocation.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        prefix: str | None = None,
        shards: int | None = None,
        unsafe: str | None = None,
    ) -> None:
        target, query = parse(url)
        given = {"prefix": prefix, "shards": shards, "unsafe": unsafe}
        options = query | {name: str(value) for name, value in given.items() if value is not None}
        self._clock: Final = clock
        self._announcer: Final = Announcer()
        self._allow: Final = _unsafe(options.get("unsafe", "refuse"))
        self._new_database: Final = partial(
            Database,
            target,
            prefix=_prefix(options.get("prefix", "bearer_guard:")),
            shards=_shards(options.get("shards", _SHARDS[target.kind])),
            clock=clock,
        )
        self._db: Final = self._new_database()

    @classmethod
    def from_url(cls, url: str, **options: object) -> RedisStore:
        """The store for ``redis://…``, ``redis+sentinel://…`` or ``redis+cluster://…``.

        Raises:
            ConfigurationError: The URL has another form, or an option is unknown or wrong.
        """
        return construct(cls, url, options=options)

    async def open(self) -> None:
        """Connect, look at how the server is set up, and make a store where there is none."""
        was_open = self._db.opened
        self._db.open()
        try:
            self._report(await inspect(self._db))
            await log.found(self._db)
        except BaseException:
            if not was_open:
                await self._db.close()
            raise

    def _report(self, findings: list[Finding]) -> None:
        errors = [finding.text for finding in findings if finding.level == "error"]
        if errors and not self._allow:
            raise ConfigurationError(f"{errors[0]}. To do without: unsafe=allow in the URL")
        for finding in findings:
            if finding.level != "ok":
                _log.warning("%s", finding.text)

    async def close(self) -> None:
        """Let go of the connections. The store may be opened again."""
        await self._db.close()

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        """Tell ``listener`` of what this object's own calls change. Returns how to stop it."""
        return self._announcer.subscribe(listener)

    def hints(self) -> AsyncIterator[Collection[UUID]]:
        """Ids that ended, as they end, best effort."""
        return hints(self._db)

    # Tokens

    async def add(self, record: TokenRecord) -> None:
        """Keep a new record."""
        with self._announcer.changing([record.id]):
            await tokens.add(self._db, record)

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """The records with these ids; unknown ids are left out."""
        return await tokens.fetch(self._db, ids)

    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        """End a token's life at ``at_ms``, or leave it where it ends earlier already."""
        with self._announcer.changing([id]):
            return await tokens.end(self._db, id, at_ms, reason)

    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        """End all tokens of an owner, or those of one family of the owner's.

        One revision a thousand tokens, and one a shard.
        """
        with self._announcer.changing() as change:
            count = await tokens.end_all(self._db, owner, at_ms, family=family, reason=reason)
            if not count:
                change.ids = ()
            return count

    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        """Note when tokens were last used."""
        await tokens.touch(self._db, uses)

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        """Records, newest first."""
        return await tokens.page(self._db, owner, after, limit, now_ms=now_ms)

    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        """Delete the records that expired or ended before ``before_ms``; returns how many."""
        return await tokens.purge(self._db, before_ms, limit)

    async def key_usage(self, now_ms: int) -> dict[str, KeyUsage]:
        """The tokens that are live at ``now_ms``, counted by key id."""
        return await tokens.key_usage(self._db, now_ms)

    async def remember_keys(self, ids: Collection[str]) -> frozenset[str]:
        """The key ids that the store was used with before this call."""
        return await log.remember_keys(self._db, ids)

    # What changed

    async def changes(self, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``; with ``None``, a reset that tells where the log stands."""
        return await log.changes(self._db, cursor)

    async def policy(self) -> Policy:
        """The workspace's settings; those of a new store where none were set."""
        return (await log.changes(self._db, None)).policy

    async def set_policy(self, policy: Policy) -> None:
        """Change the workspace's settings. Takes the next revision."""
        with self._announcer.changing():
            await log.set_policy(self._db, policy)

    # Accounts

    async def account(self, name: str) -> Account | None:
        """The account of exactly this name."""
        return await people.account(self._db, name)

    async def accounts(self, after: str | None = None, limit: int = 1000) -> list[Account]:
        """Accounts in the order of their names' code points, those after ``after``."""
        return await people.accounts(self._db, after, limit)

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; ``False``: the name is taken, and nothing was written."""
        with self._announcer.changing(None if account.disabled else ()):
            return await people.add_account(self._db, account, self._clock.now_ms())

    async def change_account(self, name: str, change: AccountChange) -> Account | None:
        """Change an account, all fields at once; ``None``: there is none."""
        with self._announcer.changing(() if change.disabled is None else None):
            return await people.change_account(self._db, name, change, self._clock.now_ms())

    # Notes

    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        """Keep a note; ``False``: an unexpired one of this key exists, and nothing was written."""
        return await people.add_note(self._db, key, note, now_ms)

    async def note(self, key: str, now_ms: int) -> Note | None:
        """The note of this key, if it has not expired."""
        return await people.note(self._db, key, now_ms)

    async def drop_note(self, key: str) -> bool:
        """Forget a note; whether there was one."""
        return await people.drop_note(self._db, key)

    async def drop_notes(self, owner: str) -> int:
        """Forget all notes of an owner; how many there were."""
        return await people.drop_notes(self._db, owner)

    # For administrators

    async def diagnose(self) -> list[Finding]:
        """What an administrator should know of the servers. The store need not be open."""
        async with self._apart() as db:
            findings = await inspect(db)
            await log.found(db)
            return [*findings, await people.check_news(db)]

    async def upgrade(self) -> str:
        """Bring the schema to this version. The store need not be open."""
        async with self._apart() as db:
            return await log.upgrade(db)

    @asynccontextmanager
    async def _apart(self) -> AsyncIterator[Database]:
        db = self._new_database()
        db.open()
        try:
            yield db
        finally:
            await db.close()


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ConfigurationError("prefix: at most 64 characters, no braces and no white space")
    return text


def _shards(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_SHARDS:
        raise ConfigurationError(f"shards: a whole number from 1 to {_MOST_SHARDS}")
    return int(text)


def _unsafe(text: str) -> bool:
    if text not in {"refuse", "allow"}:
        raise ConfigurationError("unsafe: refuse or allow")
    return text == "allow"
