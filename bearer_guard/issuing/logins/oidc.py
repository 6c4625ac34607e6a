"""Log-ins by an OpenID provider: OpenID Connect Core 1.0, authorisation code flow with PKCE.

``begin`` sends the browser to the provider, ``finish`` takes what it brings back: a code, which the
provider gives an ID token for, directly. That token proves the name.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError
from bearer_guard.events import LogInFailed, LogInSucceeded, emit, log_event

from . import Denied, Flags
from ._browser import Begun, Journeys, LoggedIn, local_path
from ._oidc_provider import Provider, is_secure
from ._oidc_token import Expected, Rejected, UnknownKey, believe
from ._people import DirectoryUnavailable, admitted
from ._settings import read_file, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.issuing.principal import Principal
    from bearer_guard.store import AccountStore, NoteStore

    from ._oidc_provider import Given

__all__ = ["Begun", "DirectoryUnavailable", "LoggedIn", "OidcConfig", "OidcLogin"]

_LOGGER: Final = logging.getLogger("bearer_guard")
_RANDOM_BYTES: Final = 32  # 43 characters, the least that a code verifier has: RFC 7636 section 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig:
    """The settings of a provider.

    Attributes:
        issuer: Its name, an address; below it is what it publishes of itself.
        client_id: What we are called there.
        redirect_uri: Our address that it sends browsers back to.
        client_secret_file: Holds our secret; ``None``: we are a public client.
        scopes: What is asked for; ``openid`` is always among them.
        name_claim: What names the owner. Only ``sub`` is sure to be one person's for ever;
            ``email`` counts where the provider has made sure of it.
        groups_claim: What lists a person's groups.
        admin_group: Whose members are administrators.
        generate_group: Whose members may make tokens.
        ca_file: Certificates of authorities, in PEM; ``None``: those that the system trusts.
        allow_plaintext: Reach the provider without TLS; for loopback it is not needed.

    Raises:
        ConfigurationError: They can't work.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret_file: str | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claim: str = "sub"
    groups_claim: str | None = None
    admin_group: str | None = None
    generate_group: str | None = None
    ca_file: str | None = None
    allow_plaintext: bool = False
    client_secret: str | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check what can be told without the provider, and read the secret."""
        for name in ("issuer", "redirect_uri"):
            if not is_secure(getattr(self, name), plaintext=self.allow_plaintext):
                raise ConfigurationError(f"{name} is an https:// address")
        if not self.client_id or not self.name_claim:
            raise ConfigurationError("client_id and name_claim are not empty")
        if self.groups_claim is None and (self.admin_group or self.generate_group):
            raise ConfigurationError("admin_group and generate_group need groups_claim")
        file = self.client_secret_file
        secret = None if file is None else read_file(file, "client_secret_file")
        if secret == "":
            raise ConfigurationError("client_secret_file is empty")
        object.__setattr__(self, "client_secret", secret)  # frozen: only here may it be set

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> OidcConfig:
        """The settings in the table ``[logins.oidc]`` of a configuration file.

        Raises:
            ConfigurationError: A key is unknown or of another type, or they can't work.
        """
        return read_table(cls, table, "[logins.oidc]")

    @property
    def scope(self) -> str:
        """What is asked for, as one text."""
        return " ".join(dict.fromkeys(("openid", *self.scopes)))


class OidcLogin:
    """Proves the names of a provider's people.

    Args:
        config: Who the provider is, and how people are named.
        notes: Where log-ins under way are noted.
        accounts: Native accounts: see ``_people``.
        clock: Time.
        listeners: Who is told of each log-in.

    Raises:
        ConfigurationError: The certificates can't be read.
    """

    name: ClassVar[str] = "oidc"

    def __init__(
        self,
        config: OidcConfig,
        notes: NoteStore,
        *,
        accounts: AccountStore | None = None,
        clock: Clock = SYSTEM_CLOCK,
        listeners: Sequence[Listener] = (log_event,),
    ) -> None:
        self._config: Final = config
        self._journeys: Final = Journeys(notes, clock, self.name)
        self._accounts: Final = accounts
        self._clock: Final = clock
        self._listeners: Final = listeners
        self._provider: Final = Provider(
            issuer=config.issuer,
            client_id=config.client_id,
            client_secret=config.client_secret,
            redirect_uri=config.redirect_uri,
            scope=config.scope,
            ca_file=config.ca_file,
            plaintext=config.allow_plaintext,
            clock=clock,
        )

    async def begin(self, return_to: str = "/") -> Begun:
        """Where to send the browser to log in.

        Args:
            return_to: The page that is wanted: a path of this site, anything else is dropped.

        Raises:
            StoreUnavailable: It can't be noted, or the provider gives no answer.
        """
        state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
        url = await self._provider.authorization_url(state=state, nonce=nonce, verifier=verifier)
        await self._journeys.begin(
            state, nonce=nonce, verifier=verifier, return_to=local_path(return_to)
        )
        return Begun(url, state)

    async def finish(
        self, query: Mapping[str, str], *, request_id: str | None, client: str | None = None
    ) -> LoggedIn | Denied:
        """Who has logged in, if what the browser brings back proves it.

        Args:
            query: The parameters that it came back with.
            request_id: From the cookie of this browser; ``None``: it has none.
            client: The caller's address, where the server tells it.

        Raises:
            StoreUnavailable: No answer in time, from the store or the provider.
        """
        try:
            logged_in = await self._finish(query, request_id)
        except Rejected as rejected:
            _LOGGER.warning("an OpenID log-in is refused: %s", rejected)
            event = LogInFailed(
                at_ms=self._clock.now_ms(), account="", method=self.name, client=client
            )
            emit(self._listeners, event)
            return Denied()
        emit(
            self._listeners,
            LogInSucceeded(
                at_ms=self._clock.now_ms(),
                account=logged_in.principal.name,
                method=self.name,
                client=client,
            ),
        )
        return logged_in

    async def _finish(self, query: Mapping[str, str], request_id: str | None) -> LoggedIn:
        journey = await self._journey(query.get("state", ""), request_id)
        await self._must_be_from_the_provider(query.get("iss"))
        if "error" in query or not query.get("code"):
            raise Rejected("the provider did not log the person in")
        given = await self._provider.redeem(query["code"], journey["verifier"])
        claims = await self._claims(given, journey["nonce"])
        return LoggedIn(await self._principal(claims), journey["return_to"])

    async def _journey(self, state: str, request_id: str | None) -> Mapping[str, str]:
        """What was noted when this browser began the log-in."""
        if request_id is None or not hmac.compare_digest(
            state.encode("utf-8", "replace"), request_id.encode("utf-8", "replace")
        ):
            raise Rejected("this browser did not begin it")
        journey = await self._journeys.end(request_id)
        if journey is None:
            raise Rejected("it has ended, or never began")
        return journey

    async def _must_be_from_the_provider(self, issuer: str | None) -> None:
        """The answer names who gave it, where the provider does so at all: RFC 9207."""
        if issuer is None and not (await self._provider.discovery()).names_itself:
            return
        if issuer != self._config.issuer:
            raise Rejected("another provider answered")

    async def _claims(self, given: Given, nonce: str) -> Mapping[str, Any]:
        expected = Expected(
            issuer=self._config.issuer,
            client_id=self._config.client_id,
            nonce=nonce,
            access_token=given.access_token,
        )
        now_ms = self._clock.now_ms()
        try:
            return believe(given.id_token, await self._provider.keys(), expected, now_ms)
        except UnknownKey:  # it may have new ones
            keys = await self._provider.keys(afresh=True)
            return believe(given.id_token, keys, expected, now_ms)

    async def _principal(self, claims: Mapping[str, Any]) -> Principal:
        claim = self._config.name_claim
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise Rejected(f"it has no name in {claim}")
        if claim == "email" and claims.get("email_verified") is not True:
            raise Rejected("the provider has not made sure of the e-mail address")
        groups = _texts(claims.get(self._config.groups_claim or ""))
        flags = Flags(
            admin=self._config.admin_group in groups,
            may_generate=self._config.generate_group in groups,
        )
        principal = await admitted(self._accounts, name, flags, proven_by=self.name)
        if principal is None:
            raise Rejected("the person is disabled here, or the name is a native account's or none")
        return principal


def _texts(value: object) -> list[str]:
    """The texts of a list; none of what is no list."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
