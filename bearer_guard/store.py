"""The seams: what a store must offer, and how one is opened by URL.

A store is anything that satisfies ``Store``; ``bearer_guard.testing.StoreContract`` proves one.
Rules for all of them:

* Every failure to get an answer is ``StoreUnavailable``, raised within the adapter's own short
  time limit, the driver's error chained. Nothing is retried behind the caller's back.
* A read that begins after a write has returned sees it: primary only, no pinned snapshots.
* ``end``, ``end_all``, ``set_policy`` and the disabling of an account take the next revision and
  write the log in the same transaction, so that commit order is revision order.
* What a call changed is announced to this process's own listeners before the call returns, also
  when its outcome is unknown: see ``Announcer``.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import (
    TYPE_CHECKING,
    Final,
    NamedTuple,
    Protocol,
    TypeAlias,
    cast,
    runtime_checkable,
)
from urllib.parse import urlsplit

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
    from uuid import UUID

    from .policy import Policy
    from .record import TokenRecord, Use

__all__ = [
    "Account",
    "AccountChange",
    "AccountStore",
    "Announcer",
    "Changes",
    "Changing",
    "Cursor",
    "Finding",
    "KeyUsage",
    "Note",
    "NoteStore",
    "Page",
    "Store",
    "StoreListener",
    "TokenReader",
    "extra_of",
    "open_store",
]

StoreListener: TypeAlias = "Callable[[Collection[UUID] | None], None]"
"""Told which tokens may have changed; ``None``: all of them, and the policy too."""


class Cursor(NamedTuple):
    """How far into the log a reader has got. Opaque to all but the adapter that made it.

    Attributes:
        epoch: Of the store: a restored or recreated one has another.
        revision: The last one seen.
        tag: Random bytes that were written with that revision: a store that lost revisions in a
            fail-over, and uses their numbers again, has others.
    """

    epoch: str
    revision: int
    tag: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a poll found.

    Attributes:
        cursor: Where to go on from.
        ids: Tokens that changed since the cursor given; empty with a reset.
        policy: As it is now.
        reset: The cursor given could not be continued: anything may have changed.
    """

    cursor: Cursor
    ids: frozenset[UUID]
    policy: Policy
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, newest first, and where the next page begins; ``None``: it was the last."""

    records: list[TokenRecord]
    next: str | None


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """How many live tokens hang on a key, and until when; ``None``: one never expires."""

    count: int
    until_ms: int | None


class TokenReader(Protocol):
    """The part of a store that verifying needs; every ``Store`` is one."""

    async def open(self) -> None:
        """Connect, and make the schema of an empty store. Opening twice does no harm.

        Raises:
            StoreUnavailable: No answer, or a schema of a newer version.
            ConfigurationError: The server is set up in a way that could lose a revocation.
        """
        ...

    async def close(self) -> None:
        """Let go of everything. The store may be opened again."""
        ...

    async def remember_keys(self, ids: Collection[str]) -> frozenset[str]:
        """The key ids that the store was used with before this call.

        Where there were none, or one of ``ids`` was among them, ``ids`` are added, in the same
        transaction; else nothing is written.
        """
        ...

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """The records with these ids, be they expired or ended; unknown ids are left out.

        One round trip for many. A row that can't be decoded is left in, in a form that no seal
        fits: it is a tampered one, and never an error.
        """
        ...

    async def changes(self, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``; with ``None``, a reset that tells where the log stands."""
        ...

    async def policy(self) -> Policy:
        """The workspace's settings; those of a new store where none were set."""
        ...

    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        """Note when tokens were last used: one statement for many, only ever later."""
        ...

    def hints(self) -> AsyncIterator[Collection[UUID]] | None:
        """Ids that ended, as they end, best effort; ``None`` where the store can't push."""
        ...

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        """Tell ``listener`` of what this object's own calls change. Returns how to stop it."""
        ...


@runtime_checkable
class Store(TokenReader, Protocol):
    """All that is asked of a store of tokens."""

    async def add(self, record: TokenRecord) -> None:
        """Keep a new record.

        Raises:
            DuplicateToken: The id is taken. Nothing was written.
        """
        ...

    async def end(self, id: UUID, at_ms: int, *, reason: str = "deleted") -> TokenRecord | None:
        """End a token's life at ``at_ms``, or leave it where it ends earlier already.

        With the reason ``renewed`` that may be later: a grace. With any other it holds at once.
        Takes the next revision. Returns the record as it is now; ``None``: there is none.
        """
        ...

    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        """End all tokens of an owner, or those of one family of the owner's: one revision.

        Returns how many were not ended before.
        """
        ...

    async def page(
        self, owner: str | None, after: str | None, limit: int, *, now_ms: int | None = None
    ) -> Page:
        """Records, newest first.

        Args:
            owner: Whose; ``None``: everybody's.
            after: The ``next`` of the page before; ``None``: the first page.
            limit: At most so many records.
            now_ms: Leave out those that have ended by then; ``None``: leave out none.

        Raises:
            InvalidRequest: ``after`` is not of this store.
        """
        ...

    async def purge(self, before_ms: int, *, limit: int | None = None) -> int:
        """Delete the records that expired or ended before ``before_ms``; returns how many.

        Args:
            before_ms: Unix milliseconds.
            limit: At most so many in this call; ``None``: all.
        """
        ...

    async def set_policy(self, policy: Policy) -> None:
        """Change the workspace's settings. Takes the next revision."""
        ...

    async def key_usage(self, now_ms: int) -> dict[str, KeyUsage]:
        """The tokens that are live at ``now_ms``, counted by key id."""
        ...

    async def diagnose(self) -> list[Finding]:
        """What an administrator should know of the server and the schema."""
        ...

    async def upgrade(self) -> str:
        """Bring the schema to this version. Returns what was done, in one line."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``store check``: ``ok``, ``warning`` or ``error``, and a sentence."""

    level: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A native account.

    Attributes:
        name: Unique, compared exactly.
        password_hash: In PHC form; ``None``: no password log-in.
        admin: May change settings and accounts, and see and delete everybody's tokens.
        may_generate: May make tokens where the policy leaves it to individuals.
        disabled: Can't log in, and its tokens don't work until it is enabled again.
        password_ms: When the password was set; sessions from before are over.
    """

    name: str
    password_hash: str | None = field(repr=False)
    admin: bool = False
    may_generate: bool = False
    disabled: bool = False
    created_ms: int
    password_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """What to change of an account; ``None`` leaves a field as it is."""

    password_hash: str | None = field(default=None, repr=False)
    password_ms: int | None = None
    admin: bool | None = None
    may_generate: bool | None = None
    disabled: bool | None = None


@runtime_checkable
class AccountStore(Protocol):
    """Native accounts. The guard never needs it; the issuing side does."""

    async def account(self, name: str) -> Account | None:
        """The account of exactly this name."""
        ...

    async def accounts(self, after: str | None = None, limit: int = 1000) -> list[Account]:
        """Accounts in the order of their names' code points, those after ``after``."""
        ...

    async def add_account(self, account: Account) -> bool:
        """Keep a new account; ``False``: the name is taken, and nothing was written."""
        ...

    async def change_account(self, name: str, change: AccountChange) -> Account | None:
        """Change an account, all fields at once; ``None``: there is none.

        Where ``disabled`` changes, it takes the next revision and logs the owner's tokens.
        """
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """A short-lived note: a session, a log-in under way, an assertion seen."""

    owner: str
    value: str
    expires_ms: int


@runtime_checkable
class NoteStore(Protocol):
    """Short-lived notes, for sessions and for what must not be replayed."""

    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        """Keep a note; ``False``: an unexpired one of this key exists, and nothing was written."""
        ...

    async def note(self, key: str, now_ms: int) -> Note | None:
        """The note of this key, if it has not expired."""
        ...

    async def drop_note(self, key: str) -> bool:
        """Forget a note; whether there was one."""
        ...

    async def drop_notes(self, owner: str) -> int:
        """Forget all notes of an owner; how many there were."""
        ...


@dataclass(slots=True)
class Changing:
    """What a call is about to change, as far as it knows; ``None``: anything."""

    ids: Collection[UUID] | None


class Announcer:
    """Tells this process's caches what its own calls changed, before those calls return.

    For adapters: wrap each changing call in ``changing``. It announces on every way out, an error
    and a cancellation among them, for then nobody knows whether the store took the change.
    """

    def __init__(self) -> None:
        self._listeners: list[StoreListener] = []

    def subscribe(self, listener: StoreListener) -> Callable[[], None]:
        """Tell ``listener`` of what this object's own calls change. Returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def changing(self, ids: Collection[UUID] | None = None) -> Iterator[Changing]:
        """Announce ``ids`` when the block is left; ``None``: anything may have changed.

        A block that finds out what it changed says so as its last act: it costs the others less.
        """
        change = Changing(ids)
        try:
            yield change
        finally:
            for listener in tuple(self._listeners):
                listener(change.ids)


_ADAPTERS: Final = {
    "memory": "bearer_guard.stores.memory:MemoryStore",
    "sqlite": "bearer_guard.stores.sqlite:SqliteStore",
    "postgresql": "bearer_guard.stores.sql:SqlStore",
    "postgres": "bearer_guard.stores.sql:SqlStore",
    "mysql": "bearer_guard.stores.sql:SqlStore",
    "mariadb": "bearer_guard.stores.sql:SqlStore",
    "redis": "bearer_guard.stores.redis:RedisStore",
    "rediss": "bearer_guard.stores.redis:RedisStore",
}


_NO_SCHEME: Final = (
    "the URL of the store begins with no scheme: a file is sqlite:///relative/path or"
    " sqlite:////absolute/path"
)


def extra_of(scheme: str) -> str:
    """The extra that brings what stores of this scheme need."""
    return {"postgres": "postgresql", "mariadb": "mysql", "rediss": "redis"}.get(scheme, scheme)


def open_store(url: str, **options: object) -> Store:
    """The store that a URL names. It is connected by its ``open``, or by the guard.

    Args:
        url: ``memory://``, ``sqlite:///PATH``, ``postgresql://…``, ``mysql://…``, ``redis://…`` or
            ``rediss://…``. A driver may follow the scheme: ``postgresql+psycopg://…``.
        options: Of the adapter, by keyword.

    Raises:
        ConfigurationError: There is no adapter for the scheme, its package is not installed, or
            an option is unknown.
    """
    if not isinstance(url, str):
        raise ConfigurationError("the URL of the store must be a text")
    try:
        scheme = urlsplit(url).scheme.partition("+")[0]
    except ValueError:
        # The URL itself is not shown: it may hold a password.
        msg = "the URL of the store can't be read: encode [ and ] in a password as %5B and %5D"
        raise ConfigurationError(msg) from None
    if scheme not in _ADAPTERS:
        # The URL itself is not shown here either.
        what = f"no store for URLs that begin with {scheme!r}" if scheme else _NO_SCHEME
        raise ConfigurationError(f"{what}; the schemes are {', '.join(sorted(_ADAPTERS))}")
    module, _, name = _ADAPTERS[scheme].partition(":")
    try:
        adapter = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        msg = f"{scheme} stores need a package more: pip install 'bearer-guard[{extra_of(scheme)}]'"
        raise ConfigurationError(msg) from error
    return cast("Store", adapter.from_url(url, **options))
