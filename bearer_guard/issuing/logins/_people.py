"""What all log-ins of people share whom somebody else vouches for: a directory, a provider.

Native accounts and these people share one space of names. So that one name is never two people's,
whoever has a native account with a password can prove that name by nothing else. An account
*without* a password is how an administrator enables or disables one of these people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.issuing.principal import Principal
from bearer_guard.issuing.rules import check_owner

if TYPE_CHECKING:
    from bearer_guard.store import AccountStore

    from . import Flags

__all__ = ["DirectoryUnavailable", "admitted", "person_name", "with_account"]

_NO_NAMES: Final = frozenset({"me", "*"})  # they mean something else where a name is expected


class DirectoryUnavailable(StoreUnavailable):
    """A directory or an identity provider gave no answer that could be believed, in time.

    Callers answer 503: it says nothing about the person who tries to log in.
    """


def person_name(name: str) -> str:
    """The name as an owner's, in NFC.

    Raises:
        InvalidRequest: No owner could have it.
    """
    kept = check_owner(normalize("NFC", check_owner(name)))
    if kept != kept.strip() or kept in _NO_NAMES:
        raise InvalidRequest("this can't be the name of a person here")
    return kept


async def admitted(
    accounts: AccountStore | None, name: str, flags: Flags, *, proven_by: str
) -> Principal | None:
    """The person as a principal, if nothing here speaks against it.

    Args:
        accounts: Native accounts; ``None``: there are none.
        name: As the directory or the provider spells it.
        flags: What that says of them.
        proven_by: A word for the audit.

    Returns:
        ``None``: the name is none, it is a native account's, or the person is disabled.
    """
    try:
        kept = person_name(name)
    except InvalidRequest:
        return None
    known = await with_account(accounts, kept, flags)
    if known is None or known.disabled:
        return None
    return Principal(kept, admin=known.admin, may_generate=known.may_generate, proven_by=proven_by)


async def with_account(accounts: AccountStore | None, name: str, flags: Flags) -> Flags | None:
    """The flags, and those of the account without a password; ``None``: the name has one with."""
    account = None if accounts is None else await accounts.account(name)
    if account is None:
        return flags
    if account.password_hash is not None:
        return None
    return flags._replace(
        admin=flags.admin or account.admin,
        may_generate=flags.may_generate or account.may_generate,
        disabled=flags.disabled or account.disabled,
    )
