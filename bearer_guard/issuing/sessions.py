"""Sessions of people who have logged in to the page.

A session's id is random, and new with each log-in. The browser keeps it in a cookie: signed and
dated under a subkey of the keyring, with what it must be held against. The store keeps a note under
the id's digest, which says that the session is still on; without the note the cookie is nothing.
So neither whoever reads or writes the store, nor whoever has a key, can make a session alone.

It ends when its note is dropped, when the cookie's date is too old (it is dated anew while the
session is used), twelve hours after it began, when the password is changed, and when the account is
disabled. What its person may do is found out afresh each time.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.store import Note

from .logins import Flags
from .logins._people import with_account
from .principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearer_guard.clock import Clock
    from bearer_guard.keyring import Keyring
    from bearer_guard.store import Account, AccountStore, NoteStore

    from .logins import Directory

__all__ = ["IDLE", "LONGEST", "Session", "Sessions", "dated_serializer"]

IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)
_ID_BYTES: Final = 24
_REDATE_SECONDS: Final = 60  # a cookie as young as this is not sent again
_SKEW_SECONDS: Final = 60  # by which the clocks of two servers may differ


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody is logged in.

    Attributes:
        id: Of the session; a secret.
        principal: Who, with what they may do now.
        cookie: The value that the browser should keep from now on; ``None``: the one it has.
    """

    id: str = field(repr=False)
    principal: Principal
    cookie: str | None = field(repr=False, default=None)


class _Ticket(NamedTuple):
    """What the cookie says, under a signature.

    Attributes:
        name_digest: Of the person's name. The note has the name, of any length; a cookie has not
            the room for it.
        by: How they have proved who they are.
        admin: What the log-in said that they may do.
        may_generate: Likewise.
        password_ms: When the password was set that they logged in with; ``None``: with none.
        begun_ms: When.
    """

    id: str
    name_digest: str
    by: str
    admin: bool
    may_generate: bool
    password_ms: int | None
    begun_ms: int


class Sessions:
    """Begins, finds and ends sessions.

    Args:
        notes: Where it is kept that a session is still on.
        keyring: Whose subkeys sign the cookies.
        accounts: Native accounts; ``None``: there are none.
        people: Who can be asked what somebody may do now who has no password here, by the word of
            the log-in (``Principal.proven_by``). Whom it does not know any more, is logged out.
            Without one the log-in's own word counts, as long as the session lasts.
        clock: Time.
        idle: After how long without a request a session is over.
        longest: After how long it is over in any case.
    """

    def __init__(
        self,
        notes: NoteStore,
        keyring: Keyring,
        *,
        accounts: AccountStore | None = None,
        people: Mapping[str, Directory] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
    ) -> None:
        self._notes: Final = notes
        self._accounts: Final = accounts
        self._people: Final = people or {}
        self._clock: Final = clock
        self._idle_s: Final = idle.total_seconds()
        self._longest_ms: Final = longest // timedelta(milliseconds=1)
        self._serializer: Final = dated_serializer(keyring, "session", clock)

    async def begin(self, principal: Principal) -> Session:
        """A new session of somebody who has just logged in.

        Raises:
            NotAllowed: A token was shown: tokens open no page.
            StoreUnavailable: No answer in time.
        """
        principal.must_be_here_in_person()
        now_ms = self._clock.now_ms()
        ticket = _Ticket(
            id=secrets.token_urlsafe(_ID_BYTES),
            name_digest=_digest(principal.name),
            by=principal.proven_by,
            admin=principal.admin,
            may_generate=principal.may_generate,
            password_ms=_password_ms(await self._account(principal.name)),
            begun_ms=now_ms,
        )
        note = Note(owner=principal.name, value="", expires_ms=now_ms + self._longest_ms)
        await self._notes.add_note(_key(ticket.id), note, now_ms)
        return Session(ticket.id, principal, self._serializer.dumps(ticket))

    async def find(self, cookie: str) -> Session | None:
        """The session that a cookie stands for, if it is still on.

        Raises:
            StoreUnavailable: No answer in time, from the store or from a directory.
        """
        ticket, age_s = self._read(cookie)
        if ticket is None:
            return None
        note = await self._notes.note(_key(ticket.id), self._clock.now_ms())
        if note is None or _digest(note.owner) != ticket.name_digest:
            return None
        flags = await self._flags(note.owner, ticket)
        if flags is None or flags.disabled:
            await self.end(ticket.id)
            return None
        principal = Principal(
            note.owner, admin=flags.admin, may_generate=flags.may_generate, proven_by=ticket.by
        )
        redated = self._serializer.dumps(ticket) if age_s > _REDATE_SECONDS else None
        return Session(ticket.id, principal, redated)

    async def end(self, session_id: str) -> None:
        """The session is over. Ending it twice does no harm."""
        await self._notes.drop_note(_key(session_id))

    def _read(self, cookie: str) -> tuple[_Ticket | None, float]:
        """What a cookie says, and how many seconds ago it was dated; ``None``: nothing."""
        try:
            said, dated = self._serializer.loads(cookie, return_timestamp=True)
            ticket = _Ticket(*said)
        except (BadData, TypeError):  # the latter: of another version
            return None, 0
        now_ms = self._clock.now_ms()
        age_s = now_ms / 1000 - dated.timestamp()
        since_ms = now_ms - ticket.begun_ms
        on = -_SKEW_SECONDS <= age_s < self._idle_s and since_ms < self._longest_ms
        return (ticket if on else None), age_s

    async def _flags(self, name: str, ticket: _Ticket) -> Flags | None:
        """What the person may do now; ``None``: they are not who logged in any more."""
        account = await self._account(name)
        if _password_ms(account) != ticket.password_ms:
            return None
        if account is not None and account.password_hash is not None:
            return Flags(account.admin, account.may_generate, account.disabled)
        flags: Flags | None = Flags(ticket.admin, ticket.may_generate)
        if ticket.by in self._people:
            flags = await self._people[ticket.by].flags(name)
        return None if flags is None else await with_account(self._accounts, name, flags)

    async def _account(self, name: str) -> Account | None:
        return None if self._accounts is None else await self._accounts.account(name)


def dated_serializer(keyring: Keyring, purpose: str, clock: Clock) -> URLSafeTimedSerializer:
    """Signs and dates values under the newest key; all keys verify.

    Args:
        keyring: Its subkeys.
        purpose: What for: see ``Keyring.subkeys``.
        clock: Dates them.
    """

    class Dated(TimestampSigner):
        def get_timestamp(self) -> int:
            return clock.now_ms() // 1000

    return URLSafeTimedSerializer(
        keyring.subkeys(purpose)[::-1],  # the last one signs
        salt=purpose,
        signer=Dated,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _password_ms(account: Account | None) -> int | None:
    if account is None or account.password_hash is None:
        return None
    return account.password_ms


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(session_id: str) -> str:
    """Of the note: whoever reads the store learns no id."""
    return f"session {_digest(session_id)}"
