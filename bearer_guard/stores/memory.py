"""A store in this process's memory: for tests, and for services of one process.

It forgets everything when the process ends. Every call is done before it yields, so that no two
can get in each other's way.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError, DuplicateToken, StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.store import Account, Announcer, Changes, Finding, KeyUsage, Page

from ._accounts import changed
from ._memory_log import Log
from ._memory_order import Order
from ._options import construct
from ._rows import decode_position, encode_position

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from uuid import UUID

    from bearer_guard.clock import Clock
    from bearer_guard.record import TokenRecord, Use
    from bearer_guard.store import AccountChange, Cursor, Note, StoreListener

__all__ = ["MemoryStore"]

_log: Final = logging.getLogger("bearer_guard")


class MemoryStore:
    """Tokens, accounts and notes in dictionaries.

    Args:
        clock: Dates the change log.
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock: Final = clock
        self._announcer: Final = Announcer()
        self._changes: Final = Log()
        self._records: Final[dict[UUID, TokenRecord]] = {}
        self._order: Final = Order()  # of everybody's
        self._orders: Final[defaultdict[str, Order]] = defaultdict(Order)  # by owner
        self._policy = Policy()
        self._keys: Final[set[str]] = set()
        self._accounts: Final[dict[str, Account]] = {}
        self._disabled: Final[set[str]] = set()  # names of accounts
        self._notes: Final[dict[str, Note]] = {}
        self._closed = False

    @classmethod
    def from_url(cls, url: str, **options: object) -> MemoryStore:
        """The store for ``memory://``: a new one each time.

        Raises:
            ConfigurationError: The URL says more than that, or an option is unknown.
        """
        if url.rstrip("/") != "memory:":
            raise ConfigurationError("the URL of a memory store is memory:// and nothing more")
        return construct(cls, options=options)

    async def open(self) -> None:
        """Begin, or go on with what is there.

        Raises:
            ConfigurationError: Several workers are to be started: each would have its own tokens.
        """
        workers = os.environ.get("WEB_CONCURRENCY", "")
        if workers.isdecimal() and int(workers) > 1:
            msg = (
                f"WEB_CONCURRENCY is {workers}, and memory:// is one process's own: a token made by"
                " one worker would be unknown to the others. Use sqlite:///PATH, or one worker"
            )
            raise ConfigurationError(msg)
        if multiprocessing.parent_process() is not None:
            _log.warning(
                "memory:// in a child process: if there are more of its kind, each has tokens of"
                " its own, and ends none of the others'. Use sqlite:///PATH"
            )
        self._closed = False

    async def close(self) -> None:
        """Answer no more, until it is opened again. What is there stays."""
        self._closed = True

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        """Tell ``listener`` of what this object's own calls change. Returns how to stop it."""
        return self._announcer.subscribe(listener)

    def hints(self) -> None:
        """No hints: whoever shares this memory is told by ``subscribe``."""

    # Tokens

    async def add(self, record: TokenRecord) -> None:
        """Keep a new record."""
        with self._announcer.changing([record.id]):
            self._check_open()
            if record.id in self._records:
                raise DuplicateToken("a token with this id exists")
            self._records[record.id] = replace(record, owner_disabled=False)
            self._order.add(record)
            self._orders[record.owner].add(record)

    def fetch_now(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """``fetch``, without a task switch."""
        self._check_open()
        records = self._records
        return {id: self._joined(records[id]) for id in ids if id in records}

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """The records with these ids; unknown ids are left out."""
        return self.fetch_now(ids)

    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        """End a token's life at ``at_ms``, or leave it where it ends earlier already."""
        with self._announcer.changing([id]):
            self._check_open()
            if id not in self._records:
                return None
            if changed := self._end([self._records[id]], at_ms, reason):
                self._revise(changed)
            return self._joined(self._records[id])

    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        """End all tokens of an owner, or those of one family of the owner's: one revision."""
        with self._announcer.changing() as change:
            self._check_open()
            found = [r for r in self._owned(owner) if family is None or r.family == family]
            ended = sum(r.ended_ms is None or r.ended_ms > at_ms for r in found)
            change.ids = self._end(found, at_ms, reason)
            if change.ids:
                self._revise(change.ids)
            return ended

    def _end(self, records: Iterable[TokenRecord], at_ms: int, reason: str) -> list[UUID]:
        """Those whose end is another now."""
        ended = [(record, record.end(at_ms, reason)) for record in records]
        changed = [after for before, after in ended if after != before]
        self._records.update((record.id, record) for record in changed)
        return [record.id for record in changed]

    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        """Note when tokens were last used."""
        self._check_open()
        for id, use in uses.items():
            if record := self._records.get(id):
                self._records[id] = record.use(use)

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        """Records, newest first."""
        self._check_open()
        order = self._order if owner is None else self._orders.get(owner, Order())
        ids = order.before(None if after is None else decode_position(after))
        records = (self._records[id] for id in ids)
        wanted = (r for r in records if now_ms is None or r.ended_ms is None or r.ended_ms > now_ms)
        # One more than asked for, to know whether there is a next page.
        found = [record for record, _ in zip(wanted, range(limit + 1), strict=False)]
        shown = found[:limit]
        more = len(found) > limit
        last = encode_position(shown[-1].created_ms, shown[-1].id) if more else None
        return Page([self._joined(record) for record in shown], last)

    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        """Delete the records that expired or ended before ``before_ms``; returns how many."""
        self._check_open()
        ends = ((record, record.dead_ms()) for record in self._records.values())
        dead = [record for record, end in ends if end is not None and end < before_ms][:limit]
        for record in dead:
            del self._records[record.id]
        gone = {record.id for record in dead}
        self._order.remove(gone)
        for owner in {record.owner for record in dead}:
            self._orders[owner].remove(gone)
            if not self._orders[owner]:
                del self._orders[owner]
        return len(dead)

    async def key_usage(self, now_ms: int) -> dict[str, KeyUsage]:
        """The tokens that are live at ``now_ms``, counted by key id."""
        self._check_open()
        ends = defaultdict[str, list[int | None]](list)
        for record in self._records.values():
            end = record.dead_ms()
            if end is None or end > now_ms:
                ends[record.key_id].append(end)
        return {key_id: KeyUsage(len(known), _latest(known)) for key_id, known in ends.items()}

    async def remember_keys(self, ids: Collection[str]) -> frozenset[str]:
        """The key ids that the store was used with before this call."""
        self._check_open()
        known = frozenset(self._keys)
        if not known or known & set(ids):
            self._keys.update(ids)
        return known

    # What changed

    async def changes(self, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``; with ``None``, a reset that tells where the log stands."""
        self._check_open()
        ids = None if cursor is None else self._changes.since(cursor)
        return Changes(
            cursor=self._changes.head(),
            ids=ids or frozenset(),
            policy=self._policy,
            reset=ids is None,
        )

    def _revise(self, ids: Iterable[UUID]) -> None:
        self._changes.append(ids, self._clock.now_ms())

    async def policy(self) -> Policy:
        """The workspace's settings; those of a new store where none were set."""
        self._check_open()
        return self._policy

    async def set_policy(self, policy: Policy) -> None:
        """Change the workspace's settings. Takes the next revision."""
        with self._announcer.changing():
            self._check_open()
            self._policy = policy
            self._revise([])

    # Accounts

    async def account(self, name: str) -> Account | None:
        """The account of exactly this name."""
        self._check_open()
        return self._accounts.get(name)

    async def accounts(self, after: str | None = None, limit: int = 1000) -> list[Account]:
        """Accounts in the order of their names' code points, those after ``after``."""
        self._check_open()
        names = sorted(name for name in self._accounts if after is None or name > after)
        return [self._accounts[name] for name in names[:limit]]

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; ``False``: the name is taken, and nothing was written."""
        with self._announcer.changing(None if account.disabled else ()):
            self._check_open()
            if account.name in self._accounts:
                return False
            self._keep(account)
            return True

    async def change_account(self, name: str, change: AccountChange) -> Account | None:
        """Change an account, all fields at once; ``None``: there is none."""
        with self._announcer.changing(() if change.disabled is None else None):
            self._check_open()
            if (account := self._accounts.get(name)) is None:
                return None
            after = changed(account, change)
            self._keep(after)
            return after

    def _keep(self, account: Account) -> None:
        self._accounts[account.name] = account
        if account.disabled == (account.name in self._disabled):
            return
        (self._disabled.add if account.disabled else self._disabled.remove)(account.name)
        now_ms = self._clock.now_ms()
        owned = self._owned(account.name)
        self._revise(r.id for r in owned if r.ended_ms is None or r.ended_ms > now_ms)

    def _owned(self, owner: str) -> list[TokenRecord]:
        return [self._records[id] for id in self._orders.get(owner, ())]

    def _joined(self, record: TokenRecord) -> TokenRecord:
        if record.owner in self._disabled:
            return replace(record, owner_disabled=True)
        return record

    # Notes

    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        """Keep a note; ``False``: an unexpired one of this key exists, and nothing was written."""
        self._check_open()
        if await self.note(key, now_ms) is not None:
            return False
        self._drop(key for key, note in self._notes.items() if note.expires_ms <= now_ms)
        self._notes[key] = note
        return True

    async def note(self, key: str, now_ms: int) -> Note | None:
        """The note of this key, if it has not expired."""
        self._check_open()
        note = self._notes.get(key)
        return note if note is not None and note.expires_ms > now_ms else None

    async def drop_note(self, key: str) -> bool:
        """Forget a note; whether there was one."""
        self._check_open()
        return self._drop([key] if key in self._notes else []) > 0

    async def drop_notes(self, owner: str) -> int:
        """Forget all notes of an owner; how many there were."""
        self._check_open()
        return self._drop(key for key, note in self._notes.items() if note.owner == owner)

    def _drop(self, keys: Iterable[str]) -> int:
        dropped = [self._notes.pop(key) for key in list(keys)]
        return len(dropped)

    # For administrators

    async def diagnose(self) -> list[Finding]:
        """What an administrator should know."""
        return [Finding("warning", "memory://: all tokens are gone when the process ends")]

    async def upgrade(self) -> str:
        """Nothing to do."""
        return "a memory store has no schema"

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")


def _latest(ends: list[int | None]) -> int | None:
    """The latest of some ends; ``None`` is never."""
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
