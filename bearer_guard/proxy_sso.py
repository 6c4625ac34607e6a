"""Which request headers say that a reverse proxy has logged somebody in.

A valid token beside such a header is refused: two identities on one request is a confused deputy.
The headers are never *trusted* here, not even looked into: a forged one and a genuine one look
alike, and whoever forges one gains the refusal of his own request.

Theory of operation. A catalogue (``_proxy_sso_catalogue``) lists names, and names only. Both sides
of a comparison go through one *fold*, the catalogue once, when a ``ProxySso`` is made::

    b" X_Remote.User "  -->  strip SP and TAB  -->  ASCII lower case  -->  x-remote-user
                                        every byte but a-z 0-9 becomes "-"
                                        "http-" in front (CGI's mark) goes

The fold is wide on purpose. CGI, WSGI and PHP map what they cannot say to ``_``, so that to the
application behind ``X-Remote-User`` and ``X_Remote_User`` are one variable (CVE-2015-0219); a guard
that told them apart could be walked around. It may merge names, never part them.

A folded name is then judged, first match wins::

    allow       exact or prefix   the user's word wins over everything    no identity
    extra       exact or prefix   the user's own names                    identity
    exact       equal                                                     identity
    except      exact or prefix   known harmless below a prefix           no identity
    prefix      starts with it, and something follows                     identity

A blank value is no identity: Shibboleth clears its headers so when nobody is logged in. Anything
else is one, ``(null)``, ``Unauthenticated`` and ``-`` too, for values are never read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ._proxy_sso_catalogue import ENTRIES, NEAR_MISSES, OPTIONAL, ORDINARY
from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from ._proxy_sso_catalogue import Certainty, Entry, Kind

__all__ = ["DEFAULT_GROUPS", "HARMLESS", "OPTIONAL_GROUPS", "CatalogueRow", "ProxySso"]

DEFAULT_GROUPS: Final = frozenset(entry.group for entry in ENTRIES)
OPTIONAL_GROUPS: Final = frozenset(entry.group for entry in OPTIONAL)
_GROUPS: Final = DEFAULT_GROUPS | OPTIONAL_GROUPS

# Lower-case names, as ASGI servers give them, that need no fold and no look at the catalogue.
# Not Authorization: whoever skips these names has to count that one.
HARMLESS: Final = frozenset((ORDINARY + NEAR_MISSES).lower().encode().split()) - {b"authorization"}

_OWS: Final = b" \t"  # optional white space, RFC 9110 section 5.6.3
_KEPT: Final = b"abcdefghijklmnopqrstuvwxyz0123456789"
_FOLDED: Final = bytes(byte if byte in _KEPT else ord("-") for byte in bytes(range(256)).lower())
_CGI_MARK: Final = "http-"  # RFC 3875 section 4.1.18: HTTP_X_FOO is the field X-Foo

# A header's name is cut here, so that a long one costs no time and the audit gets a bounded one.
# Entries have at most half as many characters (the catalogue's longest has 33), so that the cut
# hides none of them, not even behind a few CGI marks.
_LONGEST: Final = 256
_LONGEST_ENTRY: Final = _LONGEST // 2
_SHORTEST_PREFIX: Final = 3  # "x-" would refuse every request

_TOKEN: Final = re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2, without "*"
_REDIRECTS: Final = re.compile(r"(?:REDIRECT_)+")  # Apache puts one before each, a hop


def _fold(name: bytes) -> str:
    """The name in the form that is compared: ``a-z``, ``0-9`` and ``-``, at most 256 of them."""
    folded = name.strip(_OWS)[:_LONGEST].translate(_FOLDED).decode("ascii")
    while folded.startswith(_CGI_MARK):  # all of them, so that folding twice is folding once
        folded = folded.removeprefix(_CGI_MARK)
    return folded


class _Names(NamedTuple):
    """Folded names, and folded prefixes that something must follow."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Self:
        """From folded patterns, a trailing ``*`` being a prefix."""
        listed = frozenset(patterns)
        prefixes = {name.removesuffix("*") for name in listed if name.endswith("*")}
        return cls(frozenset(n for n in listed if not n.endswith("*")), tuple(sorted(prefixes)))

    def cover(self, folded: str) -> bool:
        """Whether the name is among these, or below one of the prefixes."""
        if folded in self.exact:
            return True
        if not folded.startswith(self.prefixes):
            return False
        return any(folded.startswith(p) and folded != p for p in self.prefixes)


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One name that a ``ProxySso`` knows of, for people to read.

    Attributes:
        name: As it is compared; ``*`` at the end of a prefix.
        header: As its sender spells it; ``*`` at the end of a prefix.
        kind: ``exact``, ``prefix``, ``except`` (wins over a prefix), ``environ`` (a variable of
            the server, never a header) or ``allow`` (wins over everything).
        group: The word that switches it: a product's, or ``extra`` or ``allow`` for the user's own.
        product: Who sends it.
        certainty: How sure that is; ``unverified`` is general knowledge.
        source: Where it was read; empty when unverified.
    """

    name: str
    header: str
    kind: Kind
    group: str
    product: str
    certainty: Certainty
    source: str


def _unfold(entries: Iterable[Entry]) -> Iterator[CatalogueRow]:
    """A row for each name of each entry, in the catalogue's order."""
    for entry in entries:
        for header in entry.headers.split():
            name = _fold_pattern(header)
            yield CatalogueRow(name, header, entry.kind, *entry[:2], *entry[4:6])


def _fold_pattern(text: str) -> str:
    """The pattern folded, its ``*`` kept."""
    return _fold(text.removesuffix("*").encode()) + "*" * text.endswith("*")


_ROWS: Final = (*_unfold(ENTRIES), *_unfold(OPTIONAL))
_ROW_OF: Final = {row.name: row for row in reversed(_ROWS) if row.kind in ("exact", "prefix")}
_ORDINARY: Final = _Names.of([*map(_fold_pattern, ORDINARY.split()), "sec-*"])


@dataclass(frozen=True, slots=True, init=False)
class ProxySso:
    """A catalogue of proxy identities, folded once. Immutable; equal when made alike.

    Args:
        extra: Further names, such as ``X-Corp-User``; a trailing ``*`` makes a prefix, and
            ``HTTP_X_CORP_USER`` is understood.
        allow: Names that are no identity here, in the same form. They win over everything.
        without: Groups to leave out.
        groups: Groups in force. Groups that are off by default *join* the default ones when no
            default group stands beside them; ``()`` leaves ``extra`` only.

    Raises:
        ConfigurationError: A group is unknown (the message lists them); a name is empty, longer
            than 128 characters, or no token of RFC 9110; a prefix has fewer than 3 characters; or
            ``extra`` holds what ordinary clients send, so that every request would be refused.

    Attributes:
        extra: Folded, without duplicates, sorted.
        allow: Likewise.
        groups: In force.
    """

    extra: tuple[str, ...]
    allow: tuple[str, ...]
    groups: frozenset[str]
    _allowed: _Names = field(init=False, repr=False, compare=False)
    _added: _Names = field(init=False, repr=False, compare=False)
    _listed: _Names = field(init=False, repr=False, compare=False)
    _spared: _Names = field(init=False, repr=False, compare=False)
    _variables: frozenset[str] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        *,
        extra: Iterable[str] = (),
        allow: Iterable[str] = (),
        without: Iterable[str] = (),
        groups: Iterable[str] = DEFAULT_GROUPS,
    ) -> None:
        put = object.__setattr__  # frozen: only here may anything be set
        put(self, "extra", _patterns("extra", extra))
        put(self, "allow", _patterns("allow", allow))
        for name in self.extra:
            _refuse_ordinary(name)
        put(self, "groups", _in_force(groups) - _known("without", without))
        put(self, "_allowed", _Names.of(self.allow))
        put(self, "_added", _Names.of(self.extra))
        put(self, "_listed", _Names.of([*self._names("exact", "prefix"), *self.extra]))
        put(self, "_spared", _Names.of(self._names("except")))
        put(self, "_variables", frozenset(self._names("environ")))

    @classmethod
    def default(cls) -> Self:
        """Every product that is known, without the groups that are off by default."""
        return cls()

    @classmethod
    def only(cls, *groups: str, extra: Iterable[str] = (), allow: Iterable[str] = ()) -> Self:
        """The products in use and no others.

        Names that a product shares with others come along: ``authelia`` brings ``Remote-User``,
        which stands in the group ``convention``. So do the server's own variables (``cgi``).

        Args:
            *groups: At least one.
            extra: As for the class.
            allow: As for the class.

        Raises:
            ConfigurationError: No group, an unknown one, or as for the class.
        """
        named = _known("only", groups)
        if not named:
            raise ConfigurationError(f"only() needs a group; the groups are: {_list_groups()}")
        shared = [e.headers.split() for e in ENTRIES if not named.isdisjoint(e.also)]
        extra = _patterns("extra", extra) + tuple(name for names in shared for name in names)
        return cls._exactly(named | {"cgi"}, extra=extra, allow=allow)

    @classmethod
    def _exactly(
        cls, groups: frozenset[str], *, extra: Iterable[str], allow: Iterable[str]
    ) -> Self:
        """These groups, be they off by default or not."""
        return cls(extra=extra, allow=allow, groups=groups, without=_GROUPS - groups)

    def with_groups(self, *groups: str) -> Self:
        """The same, with more groups in force.

        Raises:
            ConfigurationError: A group is unknown; the message lists them.
        """
        wanted = self.groups | _known("with_groups", groups)
        return self._exactly(wanted, extra=self.extra, allow=self.allow)

    def identity_in(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The first header that asserts an identity and is not blank.

        Args:
            headers: As in an ASGI scope, names in any case, with duplicates.

        Returns:
            Its name, folded and at most 256 characters long, fit for a log; never its value.
            ``None``: the request carries no proxy identity.
        """
        for name, value in headers:
            if value.strip(_OWS) and self._asserts(folded := _fold(name)):
                return folded
        return None

    def identity_in_environ(self, environ: Mapping[str, object]) -> str | None:
        """The first WSGI variable that asserts an identity and is not blank.

        ``HTTP_*`` is left out: a bridge to ASGI makes headers of it, see ``identity_in``. What
        is left was set by the server, under the names of the catalogue or as ``REMOTE_USER``
        (RFC 3875 section 4.1.11) or IIS's ``LOGON_USER``, each also below ``REDIRECT_``.
        ``AUTH_TYPE`` alone names no one.

        Args:
            environ: A WSGI environment, such as ``scope["wsgi_environ"]``.

        Returns:
            The variable's name, folded and without ``REDIRECT_``; never its value. ``None``: there
            is no proxy identity.
        """
        for key, value in environ.items():
            if not _blank(value) and (folded := self._variable(key)):
                return folded
        return None

    def matches(self, name: bytes) -> bool:
        """Whether a header of this name, in whatever spelling, asserts an identity."""
        return self._asserts(_fold(name))

    def harmless(self) -> frozenset[bytes]:
        """Lower-case names that assert nothing here, ``HARMLESS`` less what was added."""
        return frozenset(name for name in HARMLESS if not self.matches(name))

    def rows(self) -> list[CatalogueRow]:
        """The effective list: the catalogue's rows in force, then the user's own."""
        theirs = [row for row in _ROWS if row.group in self.groups and self._effective(row)]
        listed = {(row.name, row.kind) for row in theirs}
        ours = [_own_row(name, "extra") for name in self.extra]
        allowed = [_own_row(name, "allow") for name in self.allow]
        ours = [row for row in ours if (row.name, row.kind) not in listed and self._effective(row)]
        return [*theirs, *ours, *allowed]

    def _names(self, *kinds: Kind) -> Iterator[str]:
        """The catalogue's names of these kinds, in the groups in force."""
        return (row.name for row in _ROWS if row.kind in kinds and row.group in self.groups)

    def _effective(self, row: CatalogueRow) -> bool:
        """Whether ``allow`` leaves anything of the row."""
        return row.name not in self.allow and not self._allowed.cover(row.name)

    def _asserts(self, folded: str) -> bool:
        """Judge a folded name by the table in the module's docstring."""
        if not self._listed.cover(folded) or self._allowed.cover(folded):
            return False  # almost every header ends at the first half
        named = folded in self._listed.exact or self._added.cover(folded)
        return named or not self._spared.cover(folded)

    def _variable(self, key: str) -> str | None:
        """A server's variable, folded, if it asserts an identity."""
        name = _REDIRECTS.sub("", key, count=1) if key.startswith("REDIRECT_") else key
        if name.startswith("HTTP_"):
            return None
        folded = _fold(name.encode("latin-1", "replace"))
        set_by_server = folded in self._variables and not self._allowed.cover(folded)
        return folded if set_by_server or self._asserts(folded) else None


def _blank(value: object) -> bool:
    """Whether a WSGI variable's value says nothing. A value of an odd type says something."""
    if isinstance(value, bytes):
        return not value.strip(_OWS)
    return value is None or (isinstance(value, str) and not value.strip(_OWS.decode()))


def _own_row(pattern: str, group: str) -> CatalogueRow:
    """A row for a name of the user's; the product is told where the catalogue knows it."""
    if group == "allow":
        return CatalogueRow(pattern, pattern, "allow", group, "", "configured", "")
    if known := _ROW_OF.get(pattern):
        return known
    kind: Kind = "prefix" if pattern.endswith("*") else "exact"
    return CatalogueRow(pattern, pattern, kind, group, "", "configured", "")


def _list_groups() -> str:
    """The groups' names for a message."""
    return ", ".join(sorted(_GROUPS))


def _texts(option: str, values: Iterable[str]) -> list[str]:
    """The values, made sure to be several texts and not the letters of one."""
    texts = list(values)
    if isinstance(values, str | bytes) or not all(isinstance(text, str) for text in texts):
        raise ConfigurationError(f"{option} takes a sequence of texts, not {values!r}")
    return texts


def _known(option: str, groups: Iterable[str]) -> frozenset[str]:
    """The groups, made sure to exist."""
    wanted = frozenset(_texts(option, groups))
    if unknown := wanted - _GROUPS:
        which = ", ".join(map(repr, sorted(unknown)))
        raise ConfigurationError(f"{option}: unknown {which}; the groups are: {_list_groups()}")
    return wanted


def _in_force(groups: Iterable[str]) -> frozenset[str]:
    """The groups that ``groups`` stands for.

    ``("client-certificate",)`` is meant as more than the default; read as "nothing else" it would
    switch the catalogue off in silence.
    """
    named = _known("groups", groups)
    return named | DEFAULT_GROUPS if named and named <= OPTIONAL_GROUPS else named


def _patterns(option: str, texts: Iterable[str]) -> tuple[str, ...]:
    """The user's names, checked and folded."""
    return tuple(sorted({_pattern(option, text) for text in _texts(option, texts)}))


def _pattern(option: str, text: str) -> str:
    """One of the user's names, checked and folded; a trailing ``*`` is kept."""
    if not text:
        raise ConfigurationError(f"{option}: a header name is empty")
    stem = text.removesuffix("*")
    if stem and not _TOKEN.fullmatch(stem):
        raise ConfigurationError(
            f"{option}: {text!r} is no header name (RFC 9110 section 5.1); a * may only end it"
        )
    if len(stem) > _LONGEST_ENTRY:
        raise ConfigurationError(f"{option}: a name has more than {_LONGEST_ENTRY} characters")
    folded = _fold_pattern(text)
    if folded.endswith("*") and len(folded) <= _SHORTEST_PREFIX:
        raise ConfigurationError(
            f"{option}: the prefix {text!r} is too short and would match nearly every header; "
            f"write at least {_SHORTEST_PREFIX} characters before the *"
        )
    if not folded.strip("-*"):
        raise ConfigurationError(f"{option}: {text!r} has no letter or digit of its own")
    return folded


def _refuse_ordinary(pattern: str) -> None:
    """Stop a name that every client sends from becoming an identity."""
    stem = pattern.removesuffix("*")
    names = [*_ORDINARY.exact, *_ORDINARY.prefixes]
    hit = pattern != stem and any(name.startswith(stem) for name in names)
    if hit or _ORDINARY.cover(stem):
        raise ConfigurationError(
            f"extra: {pattern!r} covers what ordinary clients send, so that every request would "
            "be refused; name the proxy's own header"
        )
