"""Native accounts: who makes and changes them, and how.

Passwords are set, and administrators made, by people who have logged in, never with a token: with
one that leaked, somebody could make themselves more than the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict
from unicodedata import normalize

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import InvalidRequest, NotFound
from bearer_guard.events import AccountChanged, emit, log_event
from bearer_guard.store import Account, AccountChange

from .passwords import Passwords
from .rules import check_owner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.store import AccountStore

    from .principal import Principal

__all__ = ["AccountFlags", "Accounts", "NameTaken"]

# A colon can't be in a name that Basic carries (RFC 7617 section 2), a slash not in a path's
# segment; the words mean something else in the place of a name.
_NOT_IN_NAMES: Final = frozenset(":/")
_NO_NAMES: Final = frozenset({"me", "*", ".", ".."})
_PAGE: Final = 1000


class NameTaken(InvalidRequest):
    """An account of this name exists. Nothing was written."""


class AccountFlags(TypedDict, total=False):
    """What an account may do; what is left out stays as it is, or is off in a new one."""

    admin: bool
    may_generate: bool
    disabled: bool


class Accounts:
    """Makes and changes native accounts.

    Args:
        store: Where they are kept.
        passwords: How their passwords are hashed.
        clock: Time.
        listeners: Who is told what happened.
    """

    def __init__(
        self,
        store: AccountStore,
        *,
        passwords: Passwords | None = None,
        clock: Clock = SYSTEM_CLOCK,
        listeners: Sequence[Listener] = (log_event,),
    ) -> None:
        self._store: Final = store
        self._passwords: Final = passwords or Passwords()
        self._clock: Final = clock
        self._listeners: Final = listeners

    async def list(self, principal: Principal) -> list[Account]:
        """All accounts, in the order of their names' code points.

        Raises:
            NotAllowed: The principal is no administrator.
        """
        principal.must_be_admin()
        accounts: list[Account] = []
        after = None
        while page := await self._store.accounts(after, _PAGE):
            accounts += page
            after = page[-1].name
        return accounts

    async def add(
        self,
        principal: Principal,
        name: str,
        *,
        password: str | None = None,
        **flags: Unpack[AccountFlags],
    ) -> Account:
        """Make an account.

        Args:
            principal: An administrator; to set a password or make another one, not by a token.
            name: 1 to 256 characters, kept in NFC; no colon, no slash, no white space around it.
            password: ``None``: nobody can log in to it until one is set.
            flags: What it may do.

        Raises:
            NotAllowed: The principal is no administrator, or a token is too little for this.
            InvalidRequest: The name or the password can't be one.
            NameTaken: There is one of this name.
        """
        _check_may(principal, password, flags)
        kept = check_account_name(name)
        now_ms = self._clock.now_ms()
        account = Account(
            name=kept,
            password_hash=None if password is None else await self._passwords.hash(password),
            created_ms=now_ms,
            password_ms=now_ms,
            **flags,
        )
        if not await self._store.add_account(account):
            raise NameTaken("there is an account of this name")
        self._tell(principal, kept, flags, password_set=password is not None)
        return account

    async def change(
        self,
        principal: Principal,
        name: str,
        *,
        password: str | None = None,
        **flags: Unpack[AccountFlags],
    ) -> Account:
        """Change an account, all at once; returns it as it is then.

        Raises:
            NotAllowed: The principal is no administrator, or a token is too little for this.
            NotFound: There is no account of this name.
            InvalidRequest: The password can't be one.
        """
        _check_may(principal, password, flags)
        return await self._change(principal, name, password, flags)

    async def change_own_password(self, principal: Principal, password: str) -> None:
        """Set the principal's own password. The caller has made sure of the current one.

        Raises:
            NotFound: The principal has no native account, or one without a password: it is a
                directory that they log in by.
            InvalidRequest: The password can't be one.
        """
        account = await self._store.account(principal.name)
        if account is None or account.password_hash is None:
            raise NotFound("you have no password here")
        await self._change(principal, principal.name, password, {})

    async def _change(
        self, principal: Principal, name: str, password: str | None, flags: AccountFlags
    ) -> Account:
        if await self._store.account(name) is None:  # before a hash is made for nobody
            raise NotFound("there is no such account")
        change = AccountChange(
            password_hash=None if password is None else await self._passwords.hash(password),
            password_ms=None if password is None else self._clock.now_ms(),
            **flags,
        )
        account = await self._store.change_account(name, change)
        if account is None:
            raise NotFound("there is no such account")
        self._tell(principal, name, flags, password_set=password is not None)
        return account

    def _tell(
        self, principal: Principal, name: str, flags: AccountFlags, *, password_set: bool
    ) -> None:
        changes: dict[str, object] = {**flags}
        if password_set:
            changes["password_set"] = True
        emit(
            self._listeners,
            AccountChanged(
                at_ms=self._clock.now_ms(), account=name, by=principal.name, changes=changes
            ),
        )


def check_account_name(name: str) -> str:
    """The name as it is kept, in NFC.

    Raises:
        InvalidRequest: It can't be one.
    """
    kept = check_owner(normalize("NFC", check_owner(name)))
    if kept != kept.strip() or _NOT_IN_NAMES & set(kept):
        raise InvalidRequest("a name has no colon, no slash, and no white space around it")
    if kept in _NO_NAMES:
        raise InvalidRequest("this name means something else here")
    return kept


def _check_may(principal: Principal, password: str | None, flags: AccountFlags) -> None:
    principal.must_be_admin()
    if password is not None or flags.get("admin", False):
        principal.must_be_here_in_person()
