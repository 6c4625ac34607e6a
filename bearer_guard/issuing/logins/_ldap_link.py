"""One connection to a directory: the port that log-ins use, and its one adapter.

``sansldap`` speaks LDAP (RFC 4511) and does no I/O; asyncio does that here, so that nothing holds
the event loop however the directory hangs, and every wait has a limit. Referrals are never
followed: a password goes to the server that was configured, and to no other.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from bearer_guard.errors import ConfigurationError

from ._people import DirectoryUnavailable

try:
    import sansldap
except ModuleNotFoundError as missing:
    needed = "LDAP log-ins need a package more: pip install 'bearer-guard[ldap]'"
    raise ConfigurationError(needed) from missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sansldap import LDAPMessage

__all__ = ["Connect", "Entry", "Link", "Scope", "Server", "check_filter", "connect"]

_WHOAMI: Final = "1.3.6.1.4.1.4203.1.11.3"  # RFC 4532
_START_TLS: Final = "1.3.6.1.4.1.1466.20037"  # RFC 4511 section 4.14
_MOST_BYTES: Final = 1 << 20  # of one answer: a person in ten thousand groups
_AT_ONCE: Final = 8192  # bytes that are decoded on the event loop, in a millisecond

_OK: Final = 0
_SIZE_LIMIT: Final = 4
_NO_SUCH_OBJECT: Final = 32
# What a bind ends with where it is the name or the password that is wrong: RFC 4511 appendix A.
_DENIED: Final = frozenset(
    {
        19,  # constraintViolation: locked after too many tries
        32,  # noSuchObject
        34,  # invalidDNSyntax
        48,  # inappropriateAuthentication: no password is set
        49,  # invalidCredentials
        50,  # insufficientAccessRights: may not log in
        53,  # unwillingToPerform
    }
)


class Scope(Enum):
    """How far below its base a search looks."""

    BASE = sansldap.SearchScope.BASE
    SUBTREE = sansldap.SearchScope.SUBTREE


class Entry(NamedTuple):
    """An entry of the directory. The attributes' names are in lower case."""

    dn: str
    attributes: Mapping[str, tuple[str, ...]]

    def values(self, attribute: str) -> tuple[str, ...]:
        """The values of an attribute; none: it has none, or they may not be read."""
        return self.attributes.get(attribute.lower(), ())


class Link(Protocol):
    """What log-ins ask of a connection. Each method may raise ``DirectoryUnavailable``."""

    async def bind(self, name: str, password: str) -> bool:
        """Log in on this connection; ``False``: name or password are wrong, or may not be used."""
        ...

    async def whoami(self) -> str | None:
        """Who is logged in, as RFC 4532 has it; ``None``: the directory can't say."""
        ...

    async def search(
        self, base: str, scope: Scope, query: str, attributes: Sequence[str], *, most: int = 0
    ) -> list[Entry]:
        """The entries that a filter matches.

        Args:
            base: The distinguished name to begin at; no entry there: none is found.
            scope: How far to look.
            query: In the form of RFC 4515.
            attributes: What to read of each.
            most: How many to ask for; 0: all.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a directory is, and how long to wait for it.

    Attributes:
        url: ``ldaps://HOST[:PORT]`` or ``ldap://HOST[:PORT]``.
        start_tls: Whether to go over to TLS before anything else.
        tls: Whose certificates are believed; ``None``: no TLS at all.
        connect_timeout: Seconds, until TLS stands.
        operation_timeout: Seconds, for each answer.
    """

    url: str
    start_tls: bool
    tls: ssl.SSLContext | None
    connect_timeout: float
    operation_timeout: float

    def address(self) -> tuple[str, int]:
        """The host and the port."""
        parts = urlsplit(self.url)
        port = parts.port or (636 if parts.scheme == "ldaps" else 389)
        return parts.hostname or "", port


if TYPE_CHECKING:
    Connect = Callable[[Server], AbstractAsyncContextManager[Link]]


def check_filter(query: str) -> None:
    """Make sure that this is a filter, in the form of RFC 4515.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        sansldap.LDAPFilter.from_string(query)
    except ValueError as error:
        raise ConfigurationError(f"search_filter is no filter: {error}") from error


@asynccontextmanager
async def connect(server: Server) -> AsyncIterator[Link]:
    """A connection, closed when the block is left.

    Raises:
        DirectoryUnavailable: There is none in time, or its certificate doesn't hold.
    """
    wire = _Wire()
    try:
        async with _limit(server.connect_timeout, server):
            await _open(wire, server)
        yield _SansLink(wire, server)
    finally:
        wire.close()


async def _open(wire: _Wire, server: Server) -> None:
    host, port = server.address()
    loop = asyncio.get_running_loop()
    at_once = None if server.start_tls else server.tls
    await loop.create_connection(
        lambda: wire, host, port, ssl=at_once, server_hostname=host if at_once else None
    )
    if server.start_tls and server.tls is not None:
        await _SansLink(wire, server).start_tls()
        await wire.go_over_to(server.tls, host)


@asynccontextmanager
async def _limit(seconds: float, server: Server) -> AsyncIterator[None]:
    """Give up after so many seconds; tell an outage from an answer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (OSError, sansldap.LDAPError) as error:  # OSError: TLS and time-outs, too
        raise DirectoryUnavailable(f"{server.url}: {_why(error)}") from error


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate doesn't hold: {error.verify_message}"
    return f"no sound answer: {error}"


class _Wire(asyncio.Protocol):
    """Bytes to and from the directory."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._bytes = bytearray()
        self._news: Final = asyncio.Event()
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # TCP's are both ways

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lost = True
        self._news.set()

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def receive(self) -> bytes:
        """What has come, at least one byte.

        Raises:
            ConnectionError: The directory has hung up.
        """
        await self._news.wait()
        self._news.clear()
        data = bytes(self._bytes)
        self._bytes.clear()
        if not data:
            raise ConnectionResetError("the directory has hung up")
        if self._lost:
            self._news.set()
        return data

    async def go_over_to(self, tls: ssl.SSLContext, host: str) -> None:
        """Talk TLS from here on.

        Raises:
            ConnectionError: Something came ahead of it, which anybody could have written.
        """
        if self._bytes:
            raise ConnectionAbortedError("data came ahead of TLS")
        loop = asyncio.get_running_loop()
        assert self._transport is not None  # noqa: S101 - it is connected
        self._transport = await loop.start_tls(self._transport, self, tls, server_hostname=host)

    def close(self) -> None:
        """Hang up, without waiting for anybody."""
        if self._transport is not None:
            self._transport.abort()


class _SansLink:
    """The port over a wire. One request at a time."""

    def __init__(self, wire: _Wire, server: Server) -> None:
        self._wire: Final = wire
        self._server: Final = server
        self._session: Final = sansldap.LDAPClient()

    async def bind(self, name: str, password: str) -> bool:
        *_, answer = await self._answers(lambda: self._session.bind_simple(name, password))
        code = _code(answer)
        if code != _OK and code not in _DENIED:
            raise self._unable("log in", answer)
        return code == _OK

    async def whoami(self) -> str | None:
        *_, answer = await self._answers(lambda: self._session.extended_request(_WHOAMI))
        if not isinstance(answer, sansldap.ExtendedResponse) or _code(answer) != _OK:
            return None
        return (answer.value or b"").decode("utf-8", "replace")

    async def search(
        self, base: str, scope: Scope, query: str, attributes: Sequence[str], *, most: int = 0
    ) -> list[Entry]:
        *found, done = await self._answers(
            lambda: self._session.search_request(
                base_object=base,
                scope=scope.value,
                filter=sansldap.LDAPFilter.from_string(query),
                attributes=list(attributes),
                size_limit=most,
            )
        )
        code = _code(done)
        if code == _NO_SUCH_OBJECT:
            return []
        if code not in {_OK, _SIZE_LIMIT}:
            raise self._unable("search", done)
        return [_entry(message) for message in found if _is_entry(message)]

    async def start_tls(self) -> None:
        """Ask for TLS. Then this object must be dropped, with all that it has received."""
        *_, answer = await self._answers(lambda: self._session.extended_request(_START_TLS))
        if _code(answer) != _OK:
            raise self._unable("go over to TLS", answer)

    async def _answers(self, ask: Callable[[], int]) -> list[LDAPMessage]:
        """All that answers the request that ``ask`` makes, what ends it last."""
        messages: list[LDAPMessage] = []
        received = 0
        async with _limit(self._server.operation_timeout, self._server):
            ask()
            self._wire.send(self._session.data_to_send())
            while not (messages and isinstance(messages[-1], _ENDS)):
                data = await self._wire.receive()
                received += len(data)
                if received > _MOST_BYTES:
                    raise ConnectionAbortedError("the answer is too long")
                messages += await self._decoded(data)
        return messages

    async def _decoded(self, data: bytes) -> Sequence[LDAPMessage]:
        if len(data) <= _AT_ONCE:
            return self._session.receive(data)
        return await asyncio.to_thread(self._session.receive, data)

    def _unable(self, what: str, answer: LDAPMessage) -> DirectoryUnavailable:
        return DirectoryUnavailable(
            f"{self._server.url}: the directory would not {what}: {_words(answer)}"
        )


_ENDS: Final = (sansldap.BindResponse, sansldap.ExtendedResponse, sansldap.SearchResultDone)


def _code(answer: LDAPMessage) -> int:
    return answer.result.result_code.value if isinstance(answer, _ENDS) else -1


def _words(answer: LDAPMessage) -> str:
    return answer.result.result_code.name.lower() if isinstance(answer, _ENDS) else "no answer"


def _is_entry(message: LDAPMessage) -> bool:
    return isinstance(message, sansldap.SearchResultEntry)


def _entry(message: LDAPMessage) -> Entry:
    assert isinstance(message, sansldap.SearchResultEntry)  # noqa: S101 - asked before
    return Entry(
        message.object_name,
        {
            attribute.name.lower(): tuple(v.decode("utf-8", "replace") for v in attribute.values)
            for attribute in message.attributes
        },
    )
