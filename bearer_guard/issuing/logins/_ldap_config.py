"""How a directory is reached, and how a person is found in it: the table ``[logins.ldap]``."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bearer_guard.errors import ConfigurationError

from ._ldap_link import Server, check_filter
from ._ldap_names import PLACE, attribute_of, dn_key, fill_filter
from ._settings import read_file, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LdapConfig"]

_LONGEST: Final = 4.0  # seconds for one wait; the caller has its 503 within five
_SCHEMES: Final = frozenset({"ldap", "ldaps"})
_UPN: Final = "userPrincipalName"
_WAYS: Final = ("user_dn", "upn", "search_filter")


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapConfig:
    """The settings of a directory. Exactly one of ``user_dn``, ``upn``, ``search_filter`` is set.

    Attributes:
        url: ``ldaps://HOST[:PORT]``, or ``ldap://HOST[:PORT]`` with ``start_tls``.
        start_tls: Go over to TLS on a connection that begins without.
        ca_file: Certificates of authorities, in PEM; ``None``: those that the system trusts.
        allow_plaintext: Send passwords without TLS. For tests, and for nothing else.
        connect_timeout: Seconds until a connection stands, TLS included.
        operation_timeout: Seconds for each answer.
        user_dn: The distinguished name of a person, with ``{username}`` in it.
        upn: The user principal name that a person logs in by: Active Directory.
        search_base: Below which people are searched for.
        search_filter: Finds a person, with ``{username}`` in it.
        bind_dn: Who searches, and reads groups; ``None``: the person, or nobody in particular.
        bind_password_file: Holds the password of ``bind_dn``.
        name_attribute: Whose one value is the owner's name; ``None``: the attribute that
            ``{username}`` stands for.
        admin_group: Whose members are administrators; groups in groups count.
        generate_group: Whose members may make tokens.

    Raises:
        ConfigurationError: They can't work.
    """

    url: str
    start_tls: bool = False
    ca_file: str | None = None
    allow_plaintext: bool = False
    connect_timeout: float = 2.0
    operation_timeout: float = 2.0
    user_dn: str | None = None
    upn: str | None = None
    search_base: str | None = None
    search_filter: str | None = None
    bind_dn: str | None = None
    bind_password_file: str | None = None
    name_attribute: str | None = None
    admin_group: str | None = None
    generate_group: str | None = None
    server: Server = field(init=False, repr=False)
    bind_password: str = field(init=False, repr=False)
    owner_attribute: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check everything, and read the files."""
        self._check_url()
        self._check_waits()
        self._check_way()
        self._check_groups()
        put = object.__setattr__  # frozen: only here may anything be set
        put(self, "server", self._server())
        put(self, "bind_password", self._read_password())
        put(self, "owner_attribute", self._owner_attribute())

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> LdapConfig:
        """The settings in the table ``[logins.ldap]`` of a configuration file.

        Raises:
            ConfigurationError: A key is unknown or of another type, or they can't work.
        """
        return read_table(cls, table, "[logins.ldap]")

    @property
    def way(self) -> str:
        """Which of the three ways to find a person is set."""
        return next(name for name in _WAYS if getattr(self, name) is not None)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that count."""
        return tuple(group for group in (self.admin_group, self.generate_group) if group)

    def _check_url(self) -> None:
        parts = urlsplit(self.url)
        bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if parts.scheme not in _SCHEMES or not parts.hostname or self.url.rstrip("/") != bare:
            raise ConfigurationError("the url of a directory is ldaps://HOST or ldap://HOST")
        _check_port(self.url)
        if parts.scheme == "ldaps":
            if self.start_tls:
                raise ConfigurationError("start_tls is for ldap://, ldaps:// begins with TLS")
        elif not (self.start_tls or self.allow_plaintext):
            raise ConfigurationError(
                "ldap:// would send passwords in the clear: use ldaps://, or start_tls = true"
            )

    def _check_waits(self) -> None:
        for name in ("connect_timeout", "operation_timeout"):
            if not 0 < getattr(self, name) <= _LONGEST:
                raise ConfigurationError(f"{name} is more than 0 and at most {_LONGEST:g} seconds")

    def _check_way(self) -> None:
        chosen = [name for name in _WAYS if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise ConfigurationError(f"set exactly one of {', '.join(_WAYS)} for the directory")
        template = getattr(self, chosen[0])
        if PLACE not in template or set("{}") & set(template.replace(PLACE, "")):
            raise ConfigurationError(
                f"{chosen[0]} has {PLACE} where the name goes, no other braces"
            )
        if self.search_filter is not None:
            check_filter(fill_filter(self.search_filter, "x"))
            if self.search_base is None:
                raise ConfigurationError("search_filter needs search_base")
        if (self.bind_dn is None) != (self.bind_password_file is None):
            raise ConfigurationError("bind_dn and bind_password_file go together")

    def _check_groups(self) -> None:
        for group in self.groups:
            if not all(kind and value for step in dn_key(group) for kind, value in step):
                raise ConfigurationError(f"a group is a distinguished name, not {group!r}")

    def _server(self) -> Server:
        secure = self.start_tls or self.url.startswith("ldaps:")
        return Server(
            url=self.url,
            start_tls=self.start_tls,
            tls=_tls(self.ca_file) if secure else None,
            connect_timeout=self.connect_timeout,
            operation_timeout=self.operation_timeout,
        )

    def _read_password(self) -> str:
        if self.bind_password_file is None:
            return ""
        password = read_file(self.bind_password_file, "bind_password_file")
        if not password:
            raise ConfigurationError("bind_password_file is empty")
        return password

    def _owner_attribute(self) -> str:
        name = self.name_attribute
        if name is None:
            template = self.user_dn or self.search_filter
            name = _UPN if template is None else attribute_of(template)
        if name is None:
            raise ConfigurationError(
                "set name_attribute: which attribute {username} stands for is not one"
            )
        return name


def _check_port(url: str) -> None:
    try:
        urlsplit(url).port  # noqa: B018 - it is worked out here
        (urlsplit(url).hostname or "").encode("idna")
    except ValueError as error:  # a host that can't be encoded, too
        raise ConfigurationError(f"the url of the directory is none: {error}") from error


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"ca_file: no certificates can be read from {ca_file}") from error
