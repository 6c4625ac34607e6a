"""The URLs of Redis stores: which servers, how to get in, and the store's options.

::

    redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]        one server; rediss:// with TLS
    redis+sentinel://…HOST:PORT,HOST:PORT/SERVICE[/DATABASE]    whichever Sentinels call primary
    redis+cluster://…HOST:PORT,HOST:PORT                  a Redis Cluster, by some of its nodes

``rediss+sentinel://`` and ``rediss+cluster://`` speak TLS. In the query: ``ca_file``, ``cert_file``
and ``key_file`` for TLS, ``sentinel_username`` and ``sentinel_password``, and the store's options.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Address", "Kind", "Login", "Target", "parse"]

_OPTIONS: Final = ("prefix", "shards", "unsafe")  # of ``RedisStore``
_TLS: Final = {"ca_file": "ssl_ca_certs", "cert_file": "ssl_certfile", "key_file": "ssl_keyfile"}
_SENTINEL: Final = ("sentinel_username", "sentinel_password")
_FORMS: Final = (
    "the URL of a Redis store is redis://HOST:PORT/DATABASE,"
    " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT, with"
    " USER:PASSWORD@ (with % escapes) before the first host, and rediss in place of redis for TLS"
)


class Kind(StrEnum):
    """How servers are found."""

    SINGLE = ""
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_PORTS: Final = {Kind.SINGLE: 6379, Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Login:
    """Who to be, with a server that asks."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a URL names.

    Attributes:
        kind: How servers are found.
        addresses: Of the server, of Sentinels, or of some nodes of the cluster.
        service: What Sentinels call the primary; empty without them.
        database: The number of the database, 0 in a cluster.
        login: With servers.
        sentinel_login: With Sentinels.
        tls: Options of a TLS connection, as redis-py calls them; ``None``: no TLS.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    service: str = ""
    database: int = 0
    login: Login = field(default_factory=Login)
    sentinel_login: Login = field(default_factory=Login)
    tls: Mapping[str, str] | None = None

    def __str__(self) -> str:
        """The addresses, for messages: no secrets."""
        return ", ".join(f"{host}:{port}" for host, port in self.addresses)


def parse(url: str) -> tuple[Target, dict[str, str]]:
    """What a URL names, and the options of the store in it.

    Raises:
        ConfigurationError: It has another form. The URL is not told: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        base, _, kind_name = parts.scheme.partition("+")
        kind, tls = Kind(kind_name), {"redis": False, "rediss": True}[base]
        login, addresses = _authority(parts.netloc, _PORTS[kind])
        service, database = _path(parts.path, kind)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
    except (ValueError, KeyError):
        raise ConfigurationError(_FORMS) from None  # its cause could quote a part of the URL
    _check_names(query, tls=tls)
    target = Target(
        kind=kind,
        addresses=addresses,
        service=service,
        database=database,
        login=login,
        sentinel_login=Login(*(query.get(name) for name in _SENTINEL)),
        tls={_TLS[name]: query[name] for name in _TLS if name in query} if tls else None,
    )
    return target, {name: value for name, value in query.items() if name in _OPTIONS}


def _authority(text: str, port: int) -> tuple[Login, tuple[Address, ...]]:
    login, _, hosts = text.rpartition("@")
    username, _, password = login.partition(":")
    addresses = tuple(_address(host, port) for host in hosts.split(","))
    return Login(unquote(username) or None, unquote(password) or None), addresses


def _address(text: str, port: int) -> Address:
    parts = urlsplit(f"//{text}")  # knows IPv6 in brackets
    if not parts.hostname:
        raise ValueError("no host")
    return Address(parts.hostname, parts.port or port)


def _path(text: str, kind: Kind) -> tuple[str, int]:
    """The service of Sentinels, and the number of the database."""
    service, database = "", text.strip("/")
    if kind is Kind.SENTINEL:
        service, _, database = database.partition("/")
    number = int(database or 0)
    if number < 0 or bool(service) != (kind is Kind.SENTINEL) or (number and kind is Kind.CLUSTER):
        raise ValueError("another path")
    return unquote(service), number


def _check_names(query: Mapping[str, str], *, tls: bool) -> None:
    known = (*_OPTIONS, *_TLS, *_SENTINEL)
    if unknown := sorted(set(query) - set(known)):
        msg = f"no such Redis option: {', '.join(unknown)}; there are {', '.join(known)}"
        raise ConfigurationError(msg)
    if not tls and (files := sorted(set(query) & set(_TLS))):
        raise ConfigurationError(f"{', '.join(files)}: the URL must begin with rediss for TLS")
