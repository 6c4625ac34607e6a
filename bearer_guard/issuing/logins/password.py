"""Log-ins of native accounts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.issuing.passwords import Passwords
from bearer_guard.issuing.principal import Principal
from bearer_guard.issuing.rules import MAX_NAME, check_owner
from bearer_guard.store import AccountChange

from . import Flags, No

if TYPE_CHECKING:
    from bearer_guard.store import Account, AccountStore

__all__ = ["AccountDirectory", "PasswordLogin"]

_LONGEST: Final = 4 * MAX_NAME  # NFC makes one character of four at most


class PasswordLogin:
    """Proves the names of native accounts.

    Args:
        accounts: Where they are kept.
        passwords: How their passwords are hashed.
    """

    def __init__(self, accounts: AccountStore, passwords: Passwords | None = None) -> None:
        self.name: Final = "password"
        self._accounts: Final = accounts
        self._passwords: Final = passwords or Passwords()

    async def prove(self, name: str, password: str) -> Principal | No:
        """Whose name and password these are.

        Whether the account is disabled is looked at last, so that it can't be told from outside.
        """
        account = await self._find(name)
        password_hash = None if account is None else account.password_hash
        checked = await self._passwords.check(password_hash, password)
        if account is None or password_hash is None:
            return No.STRANGER  # without a password, it may be a directory that knows the person
        if not checked.right or account.disabled:
            return No.WRONG
        if checked.outdated:
            await self._hash_again(account, password)
        return Principal(
            account.name,
            admin=account.admin,
            may_generate=account.may_generate,
            proven_by=self.name,
        )

    async def _find(self, name: str) -> Account | None:
        if len(name) > _LONGEST:
            return None
        try:
            known = check_owner(normalize("NFC", name))
        except InvalidRequest:
            return None
        return await self._accounts.account(known)

    async def _hash_again(self, account: Account, password: str) -> None:
        """Bring the hash to today's parameters, if the password was not changed meanwhile."""
        with suppress(StoreUnavailable, InvalidRequest):  # the next log-in will do
            password_hash = await self._passwords.hash(password)
            now = await self._accounts.account(account.name)
            if now is not None and now.password_hash == account.password_hash:
                change = AccountChange(password_hash=password_hash)
                await self._accounts.change_account(account.name, change)


class AccountDirectory:
    """What native accounts may do."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts: Final = accounts

    async def flags(self, owner: str) -> Flags | None:
        """What the owner may do now; ``None``: there is no native account of the name."""
        account = await self._accounts.account(owner)
        if account is None:
            return None
        return Flags(account.admin, account.may_generate, account.disabled)
