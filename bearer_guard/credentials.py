"""What a request's headers say of credentials: RFC 9110 section 11.6.2 and RFC 6750 section 2.1.

Exactly one well-formed ``Authorization: Bearer TOKEN`` is accepted, and nothing else is a
credential: no cookie, no query parameter, no form field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bearer_token", "field_value"]

_OWS: Final = b" \t"  # RFC 9110 section 5.6.3
_SCHEME: Final = b"bearer"
# The characters of an auth-scheme, RFC 9110 section 5.6.2: what follows them ends the scheme.
_TCHAR: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def field_value(headers: Iterable[tuple[bytes, bytes]]) -> bytes | Reason:
    """The value of the one ``Authorization`` field, as it came.

    Returns:
        The value, or ``MISSING`` where there is none, or ``TWO_HEADERS``.
    """
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if not values:
        return Reason.MISSING
    return values[0] if len(values) == 1 else Reason.TWO_HEADERS


def bearer_token(value: bytes) -> bytes | Reason:
    """The text after the scheme ``Bearer``.

    Args:
        value: Of the field; optional white space around it is no part of it (section 5.5).

    Returns:
        What should be a token, ``MISSING`` for another scheme, or ``MALFORMED`` where something
        else than spaces follows the scheme.
    """
    value = value.strip(_OWS)
    scheme, rest = value[: len(_SCHEME)], value[len(_SCHEME) :]
    if scheme.lower() != _SCHEME or (rest and rest[0] in _TCHAR):
        return Reason.MISSING
    return rest.lstrip(b" ") if rest.startswith(b" ") else Reason.MALFORMED
