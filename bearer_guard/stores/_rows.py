"""What adapters write down: a record as columns, the settings as text, a place in a listing.

Reading never fails: whatever a store holds under an id comes back as a record, and where it can't
be one, as one that no seal fits. Somebody has been at it, and the core says so (``tampered``).
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, get_args
from uuid import UUID

from bearer_guard.errors import ConfigurationError, InvalidRequest, StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.record import DIGEST_BYTES, TokenRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "FIXED_COLUMNS",
    "LOG_IDS",
    "LOG_MS",
    "READ_COLUMNS",
    "TAG_BYTES",
    "decode_ids",
    "decode_position",
    "decode_record",
    "decode_settings",
    "encode_fixed",
    "encode_position",
    "encode_settings",
    "tampered",
]

TAG_BYTES: Final = 8  # of a revision; no two revisions of one number share them by chance
LOG_MS: Final = 600_000  # revisions are kept for ten minutes: polls come every second
LOG_IDS: Final = 1_000  # for a reader who has more to catch up with, a reset is cheaper

FIXED_COLUMNS: Final = (
    "id",
    "owner",
    "description",
    "scopes",
    "networks",
    "family",
    "parent",
    "binding",
    "created_ms",
    "expires_ms",
    "digest",
    "seal",
    "key_id",
)
"""Written at creation. Ids and the like are bytes, scopes and networks JSON lists of strings."""

READ_COLUMNS: Final = (
    *FIXED_COLUMNS,
    "ended_ms",
    "end_reason",
    "last_used_ms",
    "last_used_from",
    "owner_disabled",
)
"""What ``decode_record`` wants, in this order."""

_Row: TypeAlias = tuple[
    bytes,
    str,
    str,
    str,
    str,
    bytes,
    bytes | None,
    bytes | None,
    int,
    int | None,
    bytes,
    bytes,
    str,
    int | None,
    str | None,
    int | None,
    str | None,
    int | bool | None,  # drivers differ
]
# The types that a sound row can have, all at once. They are compared because a float passes for the
# number that it is cut to when the seal is checked.
_SHAPES: Final = frozenset(product(*(get_args(column) or (column,) for column in get_args(_Row))))

_UNREADABLE: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


def encode_fixed(record: TokenRecord) -> tuple[bytes | str | int | None, ...]:
    """The values of ``FIXED_COLUMNS``."""
    return (
        record.id.bytes,
        record.owner,
        record.description,
        _encode_words(record.scopes),
        _encode_words(record.networks),
        record.family.bytes,
        None if record.parent is None else record.parent.bytes,
        record.binding,
        record.created_ms,
        record.expires_ms,
        record.digest,
        record.seal,
        record.key_id,
    )


def decode_record(id: UUID, row: Sequence[object]) -> TokenRecord:
    """The record that is kept under ``id``.

    Args:
        id: Under which the row was found.
        row: The values of ``READ_COLUMNS``.
    """
    if tuple(map(type, row)) not in _SHAPES:
        return tampered(id)
    try:
        return _record(id, cast("_Row", row))
    except (ValueError, RecursionError):  # a UUID of another length, text that is no JSON
        return tampered(id)


class _Thawed:
    """A record whose fields can be set. A frozen class sets its own at six times the price."""

    __slots__ = TokenRecord.__slots__


def _record(id: UUID, row: _Row) -> TokenRecord:
    record: Any = _Thawed()
    record.id = id
    (
        id_bytes,
        record.owner,
        record.description,
        scopes,
        networks,
        family,
        parent,
        record.binding,
        record.created_ms,
        record.expires_ms,
        record.digest,
        record.seal,
        record.key_id,
        record.ended_ms,
        record.end_reason,
        record.last_used_ms,
        record.last_used_from,
        owner_disabled,
    ) = row
    record.scopes = _decode_words(scopes)
    record.networks = _decode_words(networks)
    # Most tokens are the first of their line: one UUID less to make.
    record.family = id if family == id_bytes else UUID(bytes=family)
    record.parent = None if parent is None else UUID(bytes=parent)
    record.owner_disabled = bool(owner_disabled)
    record.__class__ = TokenRecord
    record.__post_init__()
    return cast("TokenRecord", record)


def decode_ids(values: Iterable[object]) -> frozenset[UUID] | None:
    """Ids that a log holds as bytes; ``None`` where one of them is none."""
    try:
        return frozenset(UUID(bytes=value) for value in values)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None


def tampered(id: UUID) -> TokenRecord:
    """What stands for a row that can't be decoded: no key is called so, thus no seal fits."""
    nothing = bytes(DIGEST_BYTES)
    return TokenRecord(
        id=id,
        owner="",
        description="",
        scopes=(),
        networks=(),
        family=id,
        parent=None,
        binding=None,
        created_ms=0,
        expires_ms=0,
        digest=nothing,
        seal=nothing,
        key_id="",
    )


def encode_settings(policy: Policy) -> str:
    """The settings as JSON. Microseconds as a whole number: exact for every ``timedelta``."""
    limit = policy.max_lifetime
    return json.dumps(
        {
            "enabled": policy.enabled,
            "users_may_generate": policy.users_may_generate,
            "max_lifetime_us": None if limit is None else limit // timedelta(microseconds=1),
            "allow_non_expiring": policy.allow_non_expiring,
        }
    )


def decode_settings(text: object) -> Policy:
    """The settings; ``None`` where none were set gives those of a new store.

    Raises:
        StoreUnavailable: They can't be read. Nobody knows then whether tokens are switched off.
    """
    if text is None:
        return Policy()
    try:
        return _policy(json.loads(text))  # type: ignore[arg-type] # TypeError is caught
    except (ConfigurationError, *_UNREADABLE) as error:
        msg = "the settings in the store can't be read; set them again"
        raise StoreUnavailable(msg) from error


def encode_position(created_ms: int, id: UUID) -> str:
    """Where a page ends: the ``next`` of that page."""
    return f"{created_ms}.{id.hex}"


def decode_position(text: str) -> tuple[int, UUID]:
    """What ``encode_position`` was given.

    Raises:
        InvalidRequest: It did not make this text.
    """
    match = re.fullmatch(r"(-?[0-9]{1,18})\.([0-9a-f]{32})", text)
    if match is None:
        msg = "`after` is not the end of a page of this listing"
        raise InvalidRequest(msg)
    return int(match[1]), UUID(hex=match[2])


def _encode_words(words: tuple[str, ...]) -> str:
    return json.dumps(words, ensure_ascii=False) if words else "[]"


def _decode_words(text: str) -> tuple[str, ...]:
    if text == "[]":
        return ()
    words = json.loads(text)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        msg = "no list of strings"
        raise ValueError(msg)
    # JSON can spell half a surrogate pair, over which no seal could be made.
    "".join(words).encode()
    return tuple(words)


def _policy(fields: dict[str, Any]) -> Policy:
    limit = fields["max_lifetime_us"]
    if limit is not None and type(limit) is not int:
        msg = "no whole number"
        raise ValueError(msg)
    return Policy(
        enabled=fields["enabled"],
        users_may_generate=fields["users_may_generate"],
        max_lifetime=None if limit is None else timedelta(microseconds=limit),
        allow_non_expiring=fields["allow_non_expiring"],
    )
