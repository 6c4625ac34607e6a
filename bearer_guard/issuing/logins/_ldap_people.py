"""How a person is found in a directory and proved: three ways, and what an entry says.

Each way leaves the connection logged in as somebody who may read groups, and returns the entry
that the *directory* says has logged in. The name that somebody typed is nobody's name.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Final

from . import No
from ._ldap_groups import ANYTHING, MEMBER_OF
from ._ldap_link import Scope
from ._ldap_names import PLACE, dn_key, fill_dn, fill_filter, fill_upn, parent_of
from ._people import DirectoryUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._ldap_config import LdapConfig
    from ._ldap_link import Entry, Link

__all__ = ["WAYS", "bind_reader", "disabled", "find_owner", "owner_of", "people_base"]

_LOGGER: Final = logging.getLogger("bearer_guard")
_SAM: Final = "sAMAccountName"
_UPN: Final = "userPrincipalName"
_ACCOUNT_DISABLED: Final = 2  # ADS_UF_ACCOUNTDISABLE
_UNTIL_UNLOCKED: Final = "000001010000Z"  # slapo-ppolicy(5): locked by an administrator


async def by_dn(link: Link, config: LdapConfig, name: str, password: str) -> Entry | No:
    """By the distinguished name that a template makes of the name."""
    dn = fill_dn(config.user_dn or "", name)
    if not await link.bind(dn, password):
        return No.STRANGER
    return await _logged_in(link, config, dn, Scope.BASE, ANYTHING)


async def by_upn(link: Link, config: LdapConfig, name: str, password: str) -> Entry | No:
    """By the user principal name: Active Directory logs in by it, and has no other use for it."""
    upn = fill_upn(config.upn or "", name)
    if upn is None or not await link.bind(upn, password):
        return No.STRANGER
    base, query = await people_base(link, config), fill_filter(f"({_UPN}={PLACE})", upn)
    return await _logged_in(link, config, base, Scope.SUBTREE, query)


async def by_search(link: Link, config: LdapConfig, name: str, password: str) -> Entry | No:
    """By a search, and then with the distinguished name that it found.

    Whether it found one, several, none, or somebody disabled, the directory is asked as often.
    """
    await bind_reader(link, config)
    base, query = config.search_base or "", fill_filter(config.search_filter or "", name)
    found = await link.search(base, Scope.SUBTREE, query, _read(config), most=2)
    entry = found[0] if len(found) == 1 and not disabled(found[0]) else None
    dn = f"cn={secrets.token_hex(8)},{base}" if entry is None else entry.dn
    if not await link.bind(dn, password) or entry is None:
        return No.WRONG if found else No.STRANGER
    return await _logged_in(link, config, dn, Scope.BASE, ANYTHING)


WAYS: Final[dict[str, Callable[[Link, LdapConfig, str, str], Awaitable[Entry | No]]]] = {
    "user_dn": by_dn,
    "upn": by_upn,
    "search_filter": by_search,
}


async def bind_reader(link: Link, config: LdapConfig) -> None:
    """Log in as the one who searches, where there is one.

    Raises:
        DirectoryUnavailable: The directory does not let them.
    """
    if config.bind_dn is not None and not await link.bind(config.bind_dn, config.bind_password):
        raise DirectoryUnavailable(f"{config.url}: the directory does not let bind_dn log in")


async def find_owner(link: Link, config: LdapConfig, owner: str) -> list[Entry]:
    """The entries whose name is the owner's, in any spelling."""
    if config.user_dn is not None:
        dn = fill_dn(config.user_dn, owner)
        return await link.search(dn, Scope.BASE, ANYTHING, _read(config))
    base = await people_base(link, config)
    query = fill_filter(f"({config.owner_attribute}={PLACE})", owner)
    return await link.search(base, Scope.SUBTREE, query, _read(config), most=2)


async def people_base(link: Link, config: LdapConfig) -> str:
    """Where people are: as configured, or the directory's own naming context."""
    if config.search_base is not None:
        return config.search_base
    if config.user_dn is not None:
        return parent_of(config.user_dn)
    name = "defaultNamingContext"
    found = [root.values(name) for root in await link.search("", Scope.BASE, ANYTHING, [name])]
    if not any(found):
        raise DirectoryUnavailable(f"{config.url}: set search_base, the directory names none")
    return found[0][0]


def owner_of(entry: Entry, config: LdapConfig) -> str | None:
    """The name as the directory spells it; ``None``: it gives none, or none that is the one."""
    values = entry.values(config.owner_attribute)
    if len(values) > 1:
        kind = config.owner_attribute.casefold()
        own = {part for step in dn_key(entry.dn)[:1] for part in step}
        values = tuple(value for value in values if (kind, value.casefold()) in own)
    if len(values) == 1:
        return values[0]
    _LOGGER.warning("an entry of the directory has no one value of %s", config.owner_attribute)
    return None


def disabled(entry: Entry) -> bool:
    """Whether the entry says, in any directory's way, that its person may not log in."""
    control = next(iter(entry.values("userAccountControl")), "0")
    return (
        (control.isdecimal() and bool(int(control) & _ACCOUNT_DISABLED))
        or "true" in {value.casefold() for value in entry.values("nsAccountLock")}
        or entry.values("pwdAccountLockedTime")[:1] == (_UNTIL_UNLOCKED,)
    )


async def _logged_in(
    link: Link, config: LdapConfig, base: str, scope: Scope, query: str
) -> Entry | No:
    """The one entry that is found, if it is the one that the directory says has logged in."""
    who = await link.whoami()
    await bind_reader(link, config)
    found = await link.search(base, scope, query, _read(config), most=2)
    if len(found) == 1 and _is(who, found[0]):
        return found[0]
    _LOGGER.warning(
        "somebody logged in to the directory, and which of %d entries they are is not certain",
        len(found),
    )
    return No.WRONG


def _is(who: str | None, entry: Entry) -> bool:
    """Whether ``who``, as RFC 4532 has it, is this entry, and not nobody in particular.

    ``None``: the directory can't say, and the password is all there is.
    """
    if who is None:
        return True
    kind, _, name = who.partition(":")
    if kind == "dn":
        return dn_key(name) == dn_key(entry.dn)
    account = name.rpartition("\\")[2].casefold()  # DOMAIN\name, of Active Directory
    return account in {value.casefold() for value in entry.values(_SAM)}


def _read(config: LdapConfig) -> list[str]:
    """What is read of a person's entry."""
    flags = ("userAccountControl", "nsAccountLock", "pwdAccountLockedTime")
    return [config.owner_attribute, _SAM, MEMBER_OF, *flags]
