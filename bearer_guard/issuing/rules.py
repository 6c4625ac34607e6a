"""What a new token may say: pure checks, one for each field.

Each takes what was asked for and returns what is kept, in its one canonical form, or raises
``InvalidRequest`` with a sentence for the caller. ``check_narrowing`` is the one that compares:
what is made with a token is never wider than it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias
from unicodedata import category

from bearer_guard.errors import InvalidRequest, NotAllowed
from bearer_guard.record import is_scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "MAX_DESCRIPTION",
    "MAX_LIST",
    "MAX_NAME",
    "MAX_SCOPE",
    "check_description",
    "check_narrowing",
    "check_networks",
    "check_owner",
    "check_scopes",
    "later_ms",
    "whole_ms",
]

MAX_DESCRIPTION: Final = 256  # characters
MAX_NAME: Final = 256  # characters
MAX_LIST: Final = 100  # scopes, or networks, of one token
MAX_SCOPE: Final = 256  # characters; so that all of a token's fit in 64 KiB
_LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: ISO 8601 goes no further
_MS: Final = timedelta(milliseconds=1)

_CIDR: Final = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", re.ASCII)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2

_Network: TypeAlias = IPv4Network | IPv6Network


def check_description(text: str) -> str:
    """The description as given: at most 256 characters, no control characters."""
    _check_text("the description", text)
    if len(text) > MAX_DESCRIPTION:
        raise InvalidRequest(f"the description is longer than {MAX_DESCRIPTION} characters")
    return text


def check_owner(name: str) -> str:
    """A name as given: 1 to 256 characters, no control characters."""
    _check_text("the name", name)
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidRequest(f"a name has 1 to {MAX_NAME} characters")
    return name


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes, sorted, without duplicates. Each is a scope-token of RFC 6749 section 3.3."""
    kept = sorted(set(_texts("scopes", scopes)))
    for scope in kept:
        if len(scope) > MAX_SCOPE or not is_scope(scope):
            raise InvalidRequest(
                f"a scope has 1 to {MAX_SCOPE} printable ASCII characters other than space,"
                ' " and \\'
            )
    return tuple(kept)


def check_networks(networks: Iterable[str]) -> tuple[str, ...]:
    """The CIDR blocks in canonical form, sorted, without duplicates.

    A bare address is a block of one. A block of IPv4-mapped addresses is one of IPv4.
    """
    blocks = {_block(text) for text in _texts("networks", networks)}
    return tuple(str(block) for block in sorted(blocks, key=_network_order))


def whole_ms(length: timedelta) -> int:
    """Whole milliseconds of a length; a part of one is left out, never added.

    Raises:
        InvalidRequest: It is no length of time.
    """
    if not isinstance(length, timedelta):
        raise InvalidRequest("a length of time must be a timedelta")
    return length // _MS


def later_ms(now_ms: int, length_ms: int) -> int:
    """The instant ``length_ms`` after ``now_ms``.

    Raises:
        InvalidRequest: It lies beyond the year 9999.
    """
    if now_ms + length_ms > _LAST_MS:
        raise InvalidRequest("that is beyond the year 9999")
    return now_ms + length_ms


def check_narrowing(
    *,
    scopes: Sequence[str],
    networks: Sequence[str],
    within_scopes: Sequence[str] | None,
    within_networks: Sequence[str] | None,
) -> None:
    """Make sure that what is made with a token is no wider than that token.

    Args:
        scopes: Of the new one, checked.
        networks: Of the new one, checked; empty: anywhere.
        within_scopes: Of the token that it is made with; ``None``: no token limits it.
        within_networks: Likewise; ``None`` or empty: anywhere.

    Raises:
        NotAllowed: It is wider.
    """
    if within_scopes is not None and not set(scopes) <= set(within_scopes):
        raise NotAllowed("a token can't grant a scope that the token it is made with lacks")
    if within_networks and not (networks and _all_inside(networks, within_networks)):
        raise NotAllowed(
            "the token that this one is made with is bound to networks: name ones within them"
        )


def _check_text(what: str, text: str) -> None:
    if not isinstance(text, str):
        raise InvalidRequest(f"{what} must be text")
    kinds = {category(char) for char in text}
    if "Cc" in kinds:
        raise InvalidRequest(f"{what} has control characters")
    if "Cs" in kinds:
        raise InvalidRequest(f"{what} has half a surrogate pair, which is no character")


def _texts(what: str, values: Iterable[str]) -> list[str]:
    """The values, made sure to be several texts and not the letters of one."""
    if isinstance(values, str):
        raise InvalidRequest(f"{what} must be a list of texts")
    texts = list(values)
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"{what} must be a list of texts")
    if len(texts) > MAX_LIST:
        raise InvalidRequest(f"{what}: at most {MAX_LIST}")
    return texts


def _block(text: str) -> _Network:
    if not _CIDR.fullmatch(text):
        raise InvalidRequest("a network is an address and a prefix length, such as 192.0.2.0/24")
    try:
        block = ip_network(text)
    except ValueError as error:
        raise InvalidRequest(f"a network is no CIDR block: {error}") from error
    if isinstance(block, IPv6Network) and block.subnet_of(_MAPPED):
        address = int(block.network_address) & 0xFFFF_FFFF
        return IPv4Network((address, block.prefixlen - _MAPPED.prefixlen))
    return block


def _network_order(block: _Network) -> tuple[int, int, int]:
    return (block.version, int(block.network_address), block.prefixlen)


def _all_inside(networks: Sequence[str], within: Sequence[str]) -> bool:
    """Whether each block lies in the ground that the others cover together."""
    covered = [ip_network(text) for text in within]
    old = list(collapse_addresses(block for block in covered if isinstance(block, IPv4Network)))
    new = list(collapse_addresses(block for block in covered if isinstance(block, IPv6Network)))
    return all(_inside(ip_network(text), old, new) for text in networks)


def _inside(block: _Network, old: Sequence[IPv4Network], new: Sequence[IPv6Network]) -> bool:
    if isinstance(block, IPv4Network):
        return any(block.subnet_of(other) for other in old)
    return any(block.subnet_of(other) for other in new)
