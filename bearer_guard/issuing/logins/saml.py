"""Log-ins by a SAML 2.0 identity provider: a service provider for browsers (Web Browser SSO).

``begin`` sends the browser to the provider, ``finish`` takes what it brings back. Who vouches is
the provider alone, by a signature over the assertion. Requests go by HTTP-Redirect, responses come
by HTTP-POST (SAML 2.0 profiles section 4.1).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError
from bearer_guard.events import LogInFailed, LogInSucceeded, emit, log_event

from . import Denied, Flags
from ._browser import Begun, Journeys, LoggedIn, local_path
from ._people import DirectoryUnavailable, admitted
from ._saml_assertion import SKEW_MS, Expected, judge, read
from ._saml_filter import Rejected, Why, decode, sift
from ._saml_library import PySaml2
from ._settings import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.issuing.principal import Principal
    from bearer_guard.store import AccountStore, NoteStore

    from ._saml_assertion import Assertion
    from ._saml_library import SamlLibrary

__all__ = ["Begun", "DirectoryUnavailable", "LoggedIn", "SamlConfig", "SamlLogin"]

_LOGGER: Final = logging.getLogger("bearer_guard")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlConfig:
    """The settings of a provider.

    Attributes:
        entity_id: What we are called there; by custom, the address of our metadata.
        acs_url: Our address that takes its responses.
        idp_metadata: The file with its metadata: its name, its address, its certificate.
        name_attribute: Whose one value is the owner's name; ``None``: the NameID.
        groups_attribute: Whose values are a person's groups.
        admin_group: Whose members are administrators.
        generate_group: Whose members may make tokens.
        key_file: Signs our requests; ``None``: they are not signed.
        cert_file: The certificate of that key.
        idp_initiated: Also take responses that nobody asked for. Then anybody can log somebody
            else in as themselves.

    Raises:
        ConfigurationError: They can't work.
    """

    entity_id: str
    acs_url: str
    idp_metadata: str
    name_attribute: str | None = None
    groups_attribute: str | None = None
    admin_group: str | None = None
    generate_group: str | None = None
    key_file: str | None = None
    cert_file: str | None = None
    idp_initiated: bool = False

    def __post_init__(self) -> None:
        """Check what can be told without the provider."""
        parts = urlsplit(self.acs_url)
        if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
            raise ConfigurationError("acs_url is an https:// address of this service")
        if not self.entity_id:
            raise ConfigurationError("entity_id is what this service is called")
        if (self.key_file is None) != (self.cert_file is None):
            raise ConfigurationError("key_file and cert_file go together")
        if self.groups_attribute is None and (self.admin_group or self.generate_group):
            raise ConfigurationError("admin_group and generate_group need groups_attribute")

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> SamlConfig:
        """The settings in the table ``[logins.saml]`` of a configuration file.

        Raises:
            ConfigurationError: A key is unknown or of another type, or they can't work.
        """
        return read_table(cls, table, "[logins.saml]")


class SamlLogin:
    """Proves the names of a provider's people.

    Args:
        config: Who the provider is, and how people are named.
        notes: Where log-ins under way are noted.
        accounts: Native accounts: see ``_people``.
        clock: Time.
        listeners: Who is told of each log-in.
        library: Looks at signatures; ``None``: pysaml2.

    Raises:
        ConfigurationError: A file can't be used, or ``xmlsec1`` is missing.
    """

    name: ClassVar[str] = "saml"

    def __init__(
        self,
        config: SamlConfig,
        notes: NoteStore,
        *,
        accounts: AccountStore | None = None,
        clock: Clock = SYSTEM_CLOCK,
        listeners: Sequence[Listener] = (log_event,),
        library: SamlLibrary | None = None,
    ) -> None:
        self._config: Final = config
        self._journeys: Final = Journeys(notes, clock, self.name)
        self._accounts: Final = accounts
        self._clock: Final = clock
        self._listeners: Final = listeners
        self._library: Final[SamlLibrary] = library or PySaml2(
            entity_id=config.entity_id,
            acs_url=config.acs_url,
            idp_metadata=config.idp_metadata,
            key_file=config.key_file,
            cert_file=config.cert_file,
            unsolicited=config.idp_initiated,
        )

    def metadata(self) -> bytes:
        """What a provider has to know of us, in XML; of ``application/samlmetadata+xml``."""
        return self._library.metadata()

    async def begin(self, return_to: str = "/") -> Begun:
        """Where to send the browser to log in.

        Args:
            return_to: The page that is wanted: a path of this site, anything else is dropped.

        Raises:
            StoreUnavailable: It can't be noted, or a request can't be made.
        """
        request_id, url = await self._library.request()
        await self._journeys.begin(request_id, return_to=local_path(return_to))
        return Begun(url, request_id)

    async def finish(
        self, form: Mapping[str, str], *, request_id: str | None, client: str | None = None
    ) -> LoggedIn | Denied:
        """Who has logged in, if what the browser brings back proves it.

        Args:
            form: The fields that it posted.
            request_id: From the cookie of this browser; ``None``: it has none.
            client: The caller's address, where the server tells it.

        Raises:
            StoreUnavailable: No answer in time.
        """
        try:
            logged_in = await self._finish(form, request_id)
        except Rejected as rejected:
            return self._deny(rejected.why, client)
        event = LogInSucceeded(
            at_ms=self._clock.now_ms(),
            account=logged_in.principal.name,
            method=self.name,
            client=client,
        )
        emit(self._listeners, event)
        return logged_in

    async def _finish(self, form: Mapping[str, str], request_id: str | None) -> LoggedIn:
        """Everything that costs nothing comes first, the signature last."""
        document, assertion = await asyncio.to_thread(_look_at, form.get("SAMLResponse", ""))
        unasked = self._config.idp_initiated and assertion.in_response_to == (None, None)
        expected = Expected(
            issuer=self._library.provider,
            entity_id=self._config.entity_id,
            acs_url=self._config.acs_url,
            request_id=None if unasked else request_id,
        )
        judge(assertion, expected, self._clock.now_ms())
        return_to = "/" if unasked else await self._return_to(request_id)
        if await self._library.verify(document, expected.request_id) != assertion.id:
            raise Rejected(Why.SIGNATURE)
        if not await self._journeys.first_time(assertion.id, assertion.not_after_ms + SKEW_MS):
            raise Rejected(Why.REPLAY)
        return LoggedIn(await self._principal(assertion), return_to)

    async def _return_to(self, request_id: str | None) -> str:
        """The page that was wanted when this browser asked for the log-in."""
        journey = None if request_id is None else await self._journeys.end(request_id)
        if journey is None:
            raise Rejected(Why.NOT_ASKED)
        return journey["return_to"]

    async def _principal(self, assertion: Assertion) -> Principal:
        attribute = self._config.name_attribute
        names = (assertion.name,) if attribute is None else assertion.attributes.get(attribute, ())
        if len(names) != 1 or not names[0]:
            raise Rejected(Why.NAME)
        groups = assertion.attributes.get(self._config.groups_attribute or "", ())
        flags = Flags(
            admin=self._config.admin_group in groups,
            may_generate=self._config.generate_group in groups,
        )
        principal = await admitted(self._accounts, names[0], flags, proven_by=self.name)
        if principal is None:
            raise Rejected(Why.PERSON)
        return principal

    def _deny(self, why: Why, client: str | None) -> Denied:
        """Tell the log why, the audit that, and the person neither."""
        _LOGGER.warning("a SAML response is refused: %s", why)
        event = LogInFailed(at_ms=self._clock.now_ms(), account="", method=self.name, client=client)
        emit(self._listeners, event)
        return Denied()


def _look_at(text: str) -> tuple[bytes, Assertion]:
    """The document in a field, and what it says."""
    document = decode(text)
    return document, read(sift(document))
