"""The three fields that tell a service whose request it is.

In their values ``%``, control characters, spaces at either end, and what is not ASCII are
percent-encoded UTF-8; nothing else is. So different owners never look alike, whatever charset the
service takes a field for (RFC 9110 section 5.5: fields should be limited to ASCII).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from bearer_guard.record import TokenInfo

__all__ = ["identity_fields"]


def identity_fields(token: TokenInfo) -> tuple[tuple[bytes, bytes], ...]:
    """All three, also where there is nothing to say: they replace a client's."""
    return (
        (b"x-bearer-guard-user", _value(token.owner)),
        (b"x-bearer-guard-token-id", str(token.id).encode()),
        (b"x-bearer-guard-scopes", _value(" ".join(token.scopes))),
    )


def _value(text: str) -> bytes:
    inner = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    before, after = "%20" * start, "%20" * (len(text) - start - len(inner))
    kept = "".join(char if _may_stand(char) else quote(char, safe="") for char in inner)
    return f"{before}{kept}{after}".encode("ascii")


def _may_stand(char: str) -> bool:
    return char != "%" and char.isprintable() and char.isascii()
