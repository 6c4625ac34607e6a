"""Talks to an OpenID provider: what it publishes, and what it gives for a code. All bounded.

authlib speaks OAuth, httpx2 HTTP. No redirect is followed, no answer is longer than it may be, and
whatever goes wrong on the way is an outage.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from bearer_guard.errors import ConfigurationError

from ._oidc_token import NOT_THE_CODE, Rejected
from ._people import DirectoryUnavailable

try:
    import httpx2
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet
except ModuleNotFoundError as missing:
    needed = "OpenID log-ins need a package more: pip install 'bearer-guard[oidc]'"
    raise ConfigurationError(needed) from missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bearer_guard.clock import Clock

__all__ = ["Discovery", "Given", "Provider", "is_secure"]

_SECONDS: Final = 2.0  # for one wait
_WHOLE_SECONDS: Final = 4.0
_MOST_BYTES: Final = 1 << 20  # of one answer
_FRESH_SECONDS: Final = 3600.0  # that what is published is believed without asking again
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What a provider publishes of itself (OpenID Connect Discovery 1.0 section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool  # it tells its name with each answer: RFC 9207


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What it gave for a code."""

    id_token: str
    access_token: str


class Provider:
    """An OpenID provider.

    Args:
        issuer: Its name, an address.
        client_id: What we are called there.
        client_secret: ``None``: a public client.
        redirect_uri: Where it sends browsers back to.
        scope: What is asked for.
        ca_file: Certificates of authorities; ``None``: those that the system trusts.
        plaintext: Whether it may be reached without TLS.
        clock: Time.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        redirect_uri: str,
        scope: str,
        ca_file: str | None,
        plaintext: bool,
        clock: Clock,
    ) -> None:
        self.issuer: Final = issuer
        self._client: Final[dict[str, Any]] = {
            "client_id": client_id,
            "client_secret": client_secret,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "code_challenge_method": "S256",
        }
        self._tls: Final = _tls(ca_file)
        self._plaintext: Final = plaintext
        self._clock: Final = clock
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser to log in.

        Raises:
            DirectoryUnavailable: The provider gives no answer.
        """
        discovery = await self.discovery()
        async with self._session() as session:
            url, _ = session.create_authorization_url(
                discovery.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    async def redeem(self, code: str, verifier: str) -> Given:
        """What the provider gives for a code.

        Raises:
            Rejected: It does not know the code, or it is another browser's.
            DirectoryUnavailable: It gives no answer, or does not know us.
        """
        discovery = await self.discovery()
        async with self._session() as session, self._in_time():
            try:
                token = await session.fetch_token(
                    discovery.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
            except OAuthError as error:
                if error.error == "invalid_grant":
                    raise Rejected(NOT_THE_CODE) from error
                raise DirectoryUnavailable(f"{self.issuer}: it says {error.error!r}") from error
        id_token, access_token = token.get("id_token"), token.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise DirectoryUnavailable(f"{self.issuer}: it gives no ID token")
        return Given(id_token=id_token, access_token=access_token)

    async def discovery(self) -> Discovery:
        """What the provider publishes of itself, at most an hour old.

        Raises:
            DirectoryUnavailable: It gives no answer, or one that can't be used.
        """
        if self._discovery is None or self._is_old(self._discovery[0]):
            found = await self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
            self._discovery = (self._clock.elapsed(), self._read_discovery(found))
        return self._discovery[1]

    async def keys(self, *, afresh: bool = False) -> KeySet:
        """The keys that it signs with, at most an hour old.

        Raises:
            DirectoryUnavailable: It gives no answer, or one that can't be used.
        """
        if afresh or self._keys is None or self._is_old(self._keys[0]):
            found = await self._get((await self.discovery()).jwks_uri)
            try:
                keys = KeySet.import_key_set(cast("Any", found))
            except (JoseError, KeyError, TypeError, ValueError) as error:
                raise DirectoryUnavailable(f"{self.issuer}: its keys can't be used") from error
            self._keys = (self._clock.elapsed(), keys)
        return self._keys[1]

    def _read_discovery(self, found: Mapping[str, object]) -> Discovery:
        if found.get("issuer") != self.issuer:
            raise DirectoryUnavailable(f"{self.issuer}: it says that it is another")
        endpoints: dict[str, str] = {}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            url = found.get(name)
            if not isinstance(url, str) or not is_secure(url, plaintext=self._plaintext):
                raise DirectoryUnavailable(f"{self.issuer}: it has no {name} that can be used")
            endpoints[name] = url
        names_itself = found.get("authorization_response_iss_parameter_supported") is True
        return Discovery(names_itself=names_itself, **endpoints)

    def _is_old(self, elapsed: float) -> bool:
        return self._clock.elapsed() - elapsed > _FRESH_SECONDS

    async def _get(self, url: str) -> Mapping[str, object]:
        """The JSON object at an address."""
        async with self._session() as session, self._in_time():
            answer = await session.request("GET", url, withhold_token=True)
            answer.raise_for_status()
            found = answer.json()
        if not isinstance(found, dict):
            raise DirectoryUnavailable(f"{self.issuer}: no JSON object at {url}")
        return found

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncOAuth2Client]:
        transport = _Bounded(httpx2.AsyncHTTPTransport(verify=self._tls, retries=0))
        async with AsyncOAuth2Client(
            **self._client,
            transport=transport,
            timeout=_SECONDS,
            trust_env=False,
            headers={"accept-encoding": "identity"},
        ) as session:
            yield session

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Whatever goes wrong with an answer is an outage."""
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                yield
        except _TROUBLE as error:
            raise DirectoryUnavailable(f"{self.issuer}: {_why(error)}") from error


# What comes of a network, of TLS, and of JSON that is none, or not of the form that it should be.
_TROUBLE: Final = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    OSError,
    ValueError,
    TypeError,
    RecursionError,
)


class _Bounded(httpx2.AsyncBaseTransport):
    """Cuts off answers that are too long, before they are unpacked or read as a whole."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport: Final = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._transport.handle_async_request(request)
        if "content-encoding" in answer.headers:
            await answer.aclose()
            raise httpx2.DecodingError("the answer is packed, and was not to be", request=request)
        answer.stream = _Cut(cast("httpx2.AsyncByteStream", answer.stream))
        return answer

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Cut(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream: Final = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MOST_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError("the answer is too long")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def is_secure(url: str, *, plaintext: bool) -> bool:
    """Whether an address is one of TLS, or one that needs none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    allowed = parts.scheme == "http" and (plaintext or parts.hostname in _LOOPBACK)
    return bool(parts.hostname) and (parts.scheme == "https" or allowed)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(f"ca_file: no certificates can be read from {ca_file}") from error


def _why(error: Exception) -> str:
    """In words that hold no code and no secret: an address may."""
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answers {error.response.status_code}"
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return "no answer in time"
    return f"no sound answer: {type(error).__name__}"
