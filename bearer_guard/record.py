"""What a store keeps of a token, and how two views of it merge.

The first part of a record is fixed at creation and sealed. The second, ``ended_*`` and
``last_used_*``, is a lattice: an end can only be set or move earlier, a use only later. Merging
is commutative, associative and idempotent, so that retries and races are harmless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["DIGEST_BYTES", "EndReason", "TokenInfo", "TokenRecord", "Use", "is_scope"]

DIGEST_BYTES: Final = 32  # HMAC-SHA-256, for the digest and for the seal
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def is_scope(text: str) -> bool:
    """Whether this is a scope-token of RFC 6749 section 3.3."""
    return _SCOPE.fullmatch(text) is not None


class EndReason(StrEnum):
    """Why a token's life was cut short.

    Only ``RENEWED`` may lie ahead, as a grace. Any other holds at once, whatever its time says: the
    clock of whoever ended the token may be ahead of ours.
    """

    DELETED = "deleted"
    RENEWED = "renewed"
    REPLACED = "replaced"  # renewed without a grace
    LEAKED = "leaked"
    OWNER_GONE = "owner-gone"
    TAMPERED = "tampered"  # no key vouched for the record, nor for the owner that it names


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a token.

    Attributes:
        at_ms: When, in Unix milliseconds.
        source: The client's address, where the server tells it.
    """

    at_ms: int
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What an application may see of the token that came with a request.

    Attributes:
        id: The public half, safe in logs and URLs.
        owner: Who made it, and so whose request this is.
        expires_ms: Unix milliseconds from which it is refused; ``None``: never.
        scopes: What it may be used for, each in the sense of RFC 6749 section 3.3.
    """

    id: UUID
    owner: str
    description: str
    created_ms: int
    expires_ms: int | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What a store keeps of one token. The token itself is never among it.

    Attributes:
        id: The public half, safe in logs and URLs.
        owner: Who proved who they are when it was made.
        description: The owner's own words, at most 256 characters.
        scopes: What it may be used for, sorted, no duplicates.
        networks: CIDR blocks that it may be used from; empty: anywhere.
        family: The id of the first token of its line; its own, where it has no parent.
        parent: The token that it renews or was made with.
        binding: Reserved for the confirmation of RFC 7800 (``cnf``); ``None`` today.
        created_ms: Unix milliseconds.
        expires_ms: Unix milliseconds from which it is refused; ``None``: never.
        digest: HMAC-SHA-256 of the whole token, 32 bytes.
        seal: HMAC-SHA-256 over all of the above, 32 bytes.
        key_id: Which master key made the digest and the seal.
        ended_ms: When it was, or will be, ended. Only ever set, or moved earlier.
        end_reason: Why.
        last_used_ms: The latest use known. Only ever later.
        last_used_from: The client's address then.
        owner_disabled: How the owner's account stood when the record was read. Not kept with it.
    """

    id: UUID
    owner: str
    description: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    family: UUID
    parent: UUID | None
    binding: bytes | None
    created_ms: int
    expires_ms: int | None
    digest: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    key_id: str
    ended_ms: int | None = None
    end_reason: str | None = None
    last_used_ms: int | None = None
    last_used_from: str | None = None
    owner_disabled: bool = False

    def __post_init__(self) -> None:
        """Refuse what no token could have been stored as.

        Raises:
            ValueError: The digest or the seal is not 32 bytes, or the scopes are not in order.
        """
        if len(self.digest) != DIGEST_BYTES or len(self.seal) != DIGEST_BYTES:
            msg = "digest and seal must be 32 bytes each"
            raise ValueError(msg)
        if list(self.scopes) != sorted(set(self.scopes)):
            msg = "scopes must be sorted and without duplicates"
            raise ValueError(msg)

    def info(self) -> TokenInfo:
        """The part that applications may see."""
        return TokenInfo(
            id=self.id,
            owner=self.owner,
            description=self.description,
            created_ms=self.created_ms,
            expires_ms=self.expires_ms,
            scopes=self.scopes,
        )

    def ended(self, now_ms: int) -> bool:
        """Whether its life has been cut short by ``now_ms``: see ``EndReason``."""
        if self.ended_ms is None:
            return False
        return self.end_reason != EndReason.RENEWED or self.ended_ms <= now_ms

    def dead_ms(self) -> int | None:
        """Unix milliseconds from which it is refused, expired or ended; ``None``: never."""
        if self.ended_ms is None or self.expires_ms is None:
            return self.expires_ms if self.ended_ms is None else self.ended_ms
        return min(self.ended_ms, self.expires_ms)

    def end(self, at_ms: int, reason: str) -> TokenRecord:
        """This record, ended at ``at_ms`` or earlier."""
        ours = (self.ended_ms, self.end_reason)
        ended_ms, end_reason = _earlier(ours, (at_ms, reason))
        return replace(self, ended_ms=ended_ms, end_reason=end_reason)

    def use(self, use: Use) -> TokenRecord:
        """This record, used at ``use.at_ms`` or later."""
        ours = (self.last_used_ms, self.last_used_from)
        last_used_ms, last_used_from = _later(ours, (use.at_ms, use.source))
        return replace(self, last_used_ms=last_used_ms, last_used_from=last_used_from)

    def merge(self, other: TokenRecord) -> TokenRecord:
        """What two views of the same token say together.

        Raises:
            ValueError: They are not views of the same token: a sealed field differs.
        """
        if self.fixed() != other.fixed():
            msg = "these are not two views of one token"
            raise ValueError(msg)
        ended = _earlier((self.ended_ms, self.end_reason), (other.ended_ms, other.end_reason))
        used = _later(
            (self.last_used_ms, self.last_used_from), (other.last_used_ms, other.last_used_from)
        )
        return replace(
            self,
            ended_ms=ended[0],
            end_reason=ended[1],
            last_used_ms=used[0],
            last_used_from=used[1],
            owner_disabled=self.owner_disabled or other.owner_disabled,
        )

    def fixed(self) -> tuple[object, ...]:
        """Every field that is fixed at creation, the seal last."""
        return (
            self.id,
            self.owner,
            self.description,
            self.scopes,
            self.networks,
            self.family,
            self.parent,
            self.binding,
            self.created_ms,
            self.expires_ms,
            self.digest,
            self.key_id,
            self.seal,
        )


_Mark: TypeAlias = tuple[int | None, str | None]


def _earlier(one: _Mark, other: _Mark) -> _Mark:
    """The earlier end; of two at the same instant the one whose reason sorts first."""
    known = [mark for mark in (one, other) if mark[0] is not None]
    return min(known, key=_order) if known else (None, None)


def _later(one: _Mark, other: _Mark) -> _Mark:
    known = [mark for mark in (one, other) if mark[0] is not None]
    return max(known, key=_order) if known else (None, None)


def _order(mark: _Mark) -> tuple[int, bool, str]:
    at_ms, word = mark
    return (at_ms or 0, word is not None, word or "")
