"""Log-ins by a directory: LDAP, Active Directory.

The password goes to the directory and nowhere else; whoever it lets log in has proved their name,
in the spelling that the directory has for it. A directory that gives no answer is an outage
(``DirectoryUnavailable``) and never a wrong password.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from unicodedata import category, normalize

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError
from bearer_guard.issuing.sweep import Standing, remember_person

from . import Flags, No
from ._ldap_config import LdapConfig
from ._ldap_groups import ANYTHING, groups_of
from ._ldap_link import Scope, connect
from ._ldap_people import WAYS, bind_reader, disabled, find_owner, owner_of, people_base
from ._people import DirectoryUnavailable, admitted, with_account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bearer_guard.clock import Clock
    from bearer_guard.issuing.principal import Principal
    from bearer_guard.store import AccountStore, NoteStore

    from ._ldap_link import Connect, Entry, Link

__all__ = ["DirectoryUnavailable", "LdapConfig", "LdapLogin"]

_LOGGER: Final = logging.getLogger("bearer_guard")
_WHOLE_SECONDS: Final = 4.0  # for all of a log-in: the 503 is out within five
_AT_ONCE: Final = 4  # log-ins; to begin with TLS takes the event loop two milliseconds for each
_PAUSE_SECONDS: Final = 1.0  # after an outage: who queued behind it fails at once, and not in turn
_MOST_CHARS: Final = 256  # of a name
_MOST_BYTES: Final = 1024  # of a password
_NO_CHARACTERS: Final = frozenset({"Cc", "Cs"})  # controls, and halves of a surrogate pair
_AD: Final = "1.2.840.113556.1.4.800"  # LDAP_CAP_ACTIVE_DIRECTORY_OID


class LdapLogin:
    """Proves the names of a directory's people, and says what they may do.

    Args:
        config: Where the directory is, and how people are found in it.
        accounts: Native accounts: see ``_people``.
        notes: Where it is remembered whom the directory knew, for the sweep; ``None``: nowhere.
        clock: Time.
        connect: Makes connections.
    """

    def __init__(
        self,
        config: LdapConfig,
        *,
        accounts: AccountStore | None = None,
        notes: NoteStore | None = None,
        clock: Clock = SYSTEM_CLOCK,
        connect: Connect = connect,
    ) -> None:
        self.name: Final = "ldap"
        self._config: Final = config
        self._accounts: Final = accounts
        self._notes: Final = notes
        self._clock: Final = clock
        self._connect: Final = connect
        self._turns: Final = asyncio.Semaphore(_AT_ONCE)
        self._down_until = float("-inf")
        self._is_ad: bool | None = None

    @property
    def looks_up(self) -> bool:
        """Whether it can be asked about people who aren't there to log in: it takes a ``bind_dn``.

        Without one ``flags`` knows nobody, which says nothing about them.
        """
        return self._config.bind_dn is not None

    async def prove(self, name: str, password: str) -> Principal | No:
        """Whose name and password these are.

        Raises:
            StoreUnavailable: The directory, or the store of accounts, gives no answer.
        """
        if not _could_be(name, password):
            return No.STRANGER
        async with self._link() as link:
            entry = await WAYS[self._config.way](link, self._config, name, password)
            if isinstance(entry, No):
                return entry
            owner, flags = owner_of(entry, self._config), await self._flags_of(link, entry)
        if owner is None:
            return No.WRONG
        principal = await admitted(self._accounts, owner, flags, proven_by=self.name)
        if principal is None:
            return No.WRONG
        if self._notes is not None:
            await remember_person(self._notes, principal.name, self._clock.now_ms())
        return principal

    async def flags(self, owner: str) -> Flags | None:
        """What the owner may do now; ``None``: not known, or it can't be asked: see ``looks_up``.

        Raises:
            StoreUnavailable: The directory, or the store of accounts, gives no answer.
        """
        if not self.looks_up:
            return None
        if await with_account(self._accounts, owner, Flags()) is None:
            return None
        async with self._link() as link:
            await bind_reader(link, self._config)
            found = await find_owner(link, self._config, owner)
            if len(found) != 1 or not self._is_spelled(found[0], owner):
                return None
            flags = await self._flags_of(link, found[0])
        return await with_account(self._accounts, owner, flags)

    async def standings(self, owners: Sequence[str]) -> dict[str, Standing]:
        """How the directory stands to each of these owners, all asked on one connection.

        Raises:
            ConfigurationError: There is no ``bind_dn`` to ask as.
            DirectoryUnavailable: It gave no answer, or shows nobody at all.
        """
        if not self.looks_up:
            raise ConfigurationError("to sweep, a directory needs bind_dn and bind_password_file")
        async with self._connect(self._config.server) as link:
            await bind_reader(link, self._config)
            await self._make_sure_of_people(link)
            return {owner: await self._standing(link, owner) for owner in owners}

    async def _standing(self, link: Link, owner: str) -> Standing:
        found = await find_owner(link, self._config, owner)
        if not found:
            return Standing.GONE
        return Standing.DISABLED if all(map(disabled, found)) else Standing.PRESENT

    async def _make_sure_of_people(self, link: Link) -> None:
        """Tell a directory of which nobody is left from one that shows nothing to the reader."""
        base = await people_base(link, self._config)
        anybody = f"({self._config.owner_attribute}=*)"
        if not await link.search(base, Scope.SUBTREE, anybody, ["1.1"], most=1):
            raise DirectoryUnavailable(f"{self._config.url}: the directory shows nobody at all")

    async def _flags_of(self, link: Link, entry: Entry) -> Flags:
        groups = await groups_of(
            link, entry, self._config.groups, in_chain=await self._walks_chains(link)
        )
        return Flags(
            admin=self._config.admin_group in groups,
            may_generate=self._config.generate_group in groups,
            disabled=disabled(entry),
        )

    async def _walks_chains(self, link: Link) -> bool:
        """Whether this is Active Directory. It stays what it is."""
        if self._is_ad is None and self._config.groups:
            name = "supportedCapabilities"
            roots = await link.search("", Scope.BASE, ANYTHING, [name])
            self._is_ad = any(_AD in root.values(name) for root in roots)
        return bool(self._is_ad)

    def _is_spelled(self, entry: Entry, owner: str) -> bool:
        return normalize("NFC", owner_of(entry, self._config) or "") == owner

    @asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        """A connection for one log-in, all within the time limit."""
        try:
            async with asyncio.timeout(_WHOLE_SECONDS), self._turns:
                self._must_not_be_down()
                async with self._connect(self._config.server) as link:
                    yield link
        except _StillDown:
            raise
        except TimeoutError as error:
            self._note_outage("it was too slow")
            raise DirectoryUnavailable(f"{self._config.url}: it was too slow") from error
        except DirectoryUnavailable as error:
            self._note_outage(str(error))
            raise

    def _must_not_be_down(self) -> None:
        if self._clock.elapsed() < self._down_until:
            raise _StillDown(f"{self._config.url}: it gave no answer a moment ago")

    def _note_outage(self, why: str) -> None:
        self._down_until = self._clock.elapsed() + _PAUSE_SECONDS
        _LOGGER.warning("log-ins by the directory are not possible now: %s", why)


class _StillDown(DirectoryUnavailable):
    """The directory was not asked: a moment ago it gave no answer."""


def _could_be(name: str, password: str) -> bool:
    """Whether a directory is to be asked at all.

    Without a password many would take the name for nobody's in particular, and let it in: RFC 4513
    section 5.1.2.
    """
    return (
        0 < len(name.strip()) <= _MOST_CHARS
        and 0 < len(password) <= _MOST_BYTES
        and not any(category(char) in _NO_CHARACTERS for char in name + password)
    )
