"""Names in LDAP: how a person's words get into them, and when two are one. No I/O.

Whatever a person gives is escaped byte by byte: nothing of it can end a value, of a distinguished
name (RFC 4514 section 2.4) or of a filter (RFC 4515 section 3).
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

__all__ = [
    "PLACE",
    "DnKey",
    "attribute_of",
    "dn_key",
    "fill_dn",
    "fill_filter",
    "fill_upn",
    "parent_of",
]

PLACE: Final = "{username}"  # where the name stands in a template

DnKey: TypeAlias = "tuple[tuple[tuple[str, str], ...], ...]"

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@")
# What Active Directory allows in no user's logon name, and the characters that begin another form
# of name, such as DOMAIN\name and name@domain.
_NOT_IN_UPN: Final = frozenset('"/\\[]:;|=,+*?<>@')
_ATTRIBUTE: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*[~<>]?=\s*\*?$")


def fill_dn(template: str, name: str) -> str:
    """The template of a distinguished name with the name in its place."""
    return template.replace(PLACE, _escaped(name))


def fill_filter(template: str, name: str) -> str:
    """The template of a filter with the name in its place."""
    return template.replace(PLACE, _escaped(name))


def fill_upn(template: str, name: str) -> str | None:
    """The template of a user principal name with the name in its place.

    There is no way to escape anything there; ``None``: no such name can be anybody's.
    """
    if _NOT_IN_UPN & set(name) or name != name.strip() or not name.isprintable():
        return None
    return template.replace(PLACE, name)


def attribute_of(template: str) -> str | None:
    """The attribute whose value the name stands for; ``None``: there are several, or none."""
    before = template.split(PLACE)[:-1]
    found = [_ATTRIBUTE.search(text) for text in before]
    names = {match.group(1) if match else None for match in found}
    return names.pop() if len(names) == 1 else None


def dn_key(dn: str) -> DnKey:
    """What is the same for two spellings of one distinguished name (RFC 4514).

    Case, escapes, white space around and repeated within values, and the order of the parts of one
    step are disregarded: values are taken to be of a kind that ignores case, as nearly all are.
    """
    return tuple(
        tuple(sorted(_pair(part) for part in _split(step, "+")))
        for step in _split(dn, ",")
        if step.strip()
    )


def parent_of(dn: str) -> str:
    """The distinguished name without its first step."""
    return ",".join(_split(dn, ",")[1:])


def _escaped(name: str) -> str:
    """The name, each byte of its UTF-8 that is not plain as a backslash and two digits."""
    return "".join(
        chr(byte) if byte in _PLAIN else f"\\{byte:02x}"
        for byte in name.encode("utf-8", "surrogatepass")
    )


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that no backslash stands before."""
    return re.findall(rf"(?:\\.|[^\\{re.escape(mark)}])+", text, re.DOTALL)


def _pair(part: str) -> tuple[str, str]:
    kind, _, value = part.partition("=")
    return kind.strip().casefold(), " ".join(_plain(value).casefold().split())


def _plain(value: str) -> str:
    """The value without its escapes."""
    raw = re.sub(
        rb"\\([0-9A-Fa-f]{2})|\\(.)",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        value.encode(),
        flags=re.DOTALL,
    )
    return raw.decode("utf-8", "replace")
