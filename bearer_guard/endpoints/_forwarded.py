"""What a reverse proxy tells of the request that it asks about.

Two families of header fields tell the method and the URI: ``X-Original-Method`` with
``X-Original-URL`` or ``-URI`` (nginx), and ``X-Forwarded-Method`` with ``X-Forwarded-Uri``
(Traefik, Caddy). Others put the path behind that of the endpoint (Envoy). A client can send those
fields too, through a proxy that does not replace them: so whatever is told must agree.

Nothing of it is believed of a caller who is not a known proxy.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.types import Scope

__all__ = ["SIMPLE", "TELLING", "URIS", "USUAL", "Asked", "Proxies", "Told", "is_plain"]

_METHODS: Final = frozenset({b"x-original-method", b"x-forwarded-method"})
URIS: Final = frozenset({b"x-original-url", b"x-original-uri", b"x-forwarded-uri"})
_FROM: Final = b"x-forwarded-for"
TELLING: Final = _METHODS | URIS
# Names of TELLING in a request of which nothing is told twice.
USUAL: Final = frozenset(
    {(), *((name,) for name in TELLING)}
    | {pair for uri in URIS for m in _METHODS for pair in ((uri, m), (m, uri))}
)
_FIELDS: Final = TELLING | {_FROM}
_OWS: Final = b" \t"
_MOST_ADDRESSES: Final = 1024
SIMPLE: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")  # as most paths are
# What one server takes for another path than the next does: an escape that is left after one
# decoding, a fragment, a backslash, a control character, bytes that are no UTF-8.
_ODD: Final = re.compile(r"%[0-9A-Fa-f]{2}|[#\\\x00-\x1f\x7f\ufffd]")


class Asked(NamedTuple):
    """What the client asked the proxy for.

    Attributes:
        method: As the client sent it.
        path: Percent-decoded once, without the query; empty where the proxy did not tell.
        agreed: Whether all that tells of it says the same.
    """

    method: str
    path: str
    agreed: bool = True


class Told:
    """What a known proxy tells, read when somebody wants to know.

    Args:
        scope: Of the request to the endpoint.
        below: The path behind that of the endpoint; empty where there is none.

    Attributes:
        hops: The values of ``X-Forwarded-For``.
        doubtful: Whether more than one thing tells of the method, or of the URI.
    """

    __slots__ = ("_below", "_line", "_methods", "_uris", "doubtful", "hops")

    def __init__(self, scope: Scope, below: str) -> None:
        # Every request pays for this: lists, and nothing is decoded.
        told = [field for field in scope["headers"] if field[0] in _FIELDS]
        self._below: Final = below
        self._line: Final[str] = scope.get("method", "GET")
        self._methods: Final = [value for name, value in told if name in _METHODS]
        self._uris: Final = [value for name, value in told if name in URIS]
        self.hops: Final = [value for name, value in told if name == _FROM]
        most = 0 if below else 1
        self.doubtful: Final = len(self._methods) > most or len(self._uris) > most

    def asked(self) -> Asked:
        """What it comes to."""
        methods = {value.strip(_OWS).decode("latin-1") for value in self._methods}
        paths = {_path(uri) for value in self._uris if (uri := value.strip(_OWS))}
        if self._below:  # then the request line is the client's own
            methods.add(self._line)
            paths.add(self._below)
        methods.discard("")
        agreed = len(methods) <= 1 and len(paths) <= 1
        return Asked(min(methods, default=self._line), min(paths, default=""), agreed)


class _Kind(Enum):
    PROXY = auto()
    CLIENT = auto()
    NONE = auto()  # no address at all


class Proxies:
    """The addresses of the proxies that are believed.

    Args:
        addresses: Each an address or a CIDR block.

    Raises:
        ConfigurationError: One is neither.
    """

    def __init__(self, addresses: Collection[str]) -> None:
        if isinstance(addresses, str):
            raise ConfigurationError("trusted_proxies is a list of addresses, not one string")
        try:
            self._networks: Final = tuple(ip_network(address) for address in addresses)
        except ValueError as error:
            raise ConfigurationError(f"trusted_proxies: {error}") from error
        self._known: Final[dict[str, _Kind]] = {}  # addresses are parsed once

    def __contains__(self, address: str) -> bool:
        """Whether this is one of them. What is no address is none."""
        return (self._known.get(address) or self._look(address)) is _Kind.PROXY

    def _look(self, address: str) -> _Kind:
        if len(self._known) >= _MOST_ADDRESSES:
            self._known.clear()
        try:
            here = ip_address(address)
        except ValueError:
            return _Kind.NONE
        here = getattr(here, "ipv4_mapped", None) or here  # RFC 4291 section 2.5.5.2
        kind = _Kind.PROXY if any(here in net for net in self._networks) else _Kind.CLIENT
        self._known[address] = kind
        return kind

    def client_behind(self, peer: str, values: Sequence[bytes]) -> str | None:
        """The first address, from the last on, that is no proxy's.

        Args:
            peer: Who has sent the request; one of the proxies.
            values: Of ``X-Forwarded-For``, in their order.

        Returns:
            ``None``: what stands there is no address. Without any, the peer itself.
        """
        hops = [hop.strip(" \t") for v in values for hop in v.decode("latin-1").split(",")]
        for hop in reversed(hops):
            kind = self._known.get(hop) or self._look(hop)
            if kind is not _Kind.PROXY:
                return hop if kind is _Kind.CLIENT else None
        return hops[0] if hops else peer


def is_plain(path: str) -> bool:
    """Whether every server understands the same by this path, but for case and parameters."""
    if path and SIMPLE.fullmatch(path):
        return True
    segments = path.split("/")
    inner = {segment.partition(";")[0] for segment in segments[1:-1]}
    last = segments[-1].partition(";")[0]
    ways_out = {".", ".."}
    return (
        path.startswith("/")
        and not _ODD.search(path)
        and not ({"", *ways_out} & inner)
        and last not in ways_out
    )


def _path(uri: bytes) -> str:
    """The path of a URI, with or without scheme and host, decoded once."""
    text = uri.decode("latin-1")
    if not text.startswith("/"):
        try:
            text = urlsplit(text).path or "/"
        except ValueError:
            return text  # no path, and so not plain
    return unquote(text.partition("?")[0], errors="replace")
