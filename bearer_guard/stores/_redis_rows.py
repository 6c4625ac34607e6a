"""What a Redis store writes down: a token as the fields of a hash, its place in listings, a cursor.

Text is UTF-8, ids are 32 hexadecimal digits, numbers are decimal. The names of a token's fields are
short because every token carries them; what is ``None`` or empty is left out.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast
from uuid import UUID

from bearer_guard.store import Account, Cursor

from ._rows import FIXED_COLUMNS, TAG_BYTES, decode_record, encode_fixed, tampered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bearer_guard.record import TokenRecord

__all__ = [
    "ACCOUNT_FIELDS",
    "ID_LENGTH",
    "NOWHERE",
    "PLACE_DIGITS",
    "TOKEN_FIELDS",
    "Reply",
    "Standpoint",
    "decode_account",
    "decode_cursor",
    "decode_ids",
    "decode_token",
    "encode_account",
    "encode_cursor",
    "encode_place",
    "encode_token",
    "new_tag",
    "split_place",
]

Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""What a script returns."""

TOKEN_FIELDS: Final = {
    "owner": "o",
    "description": "d",
    "scopes": "s",
    "networks": "n",
    "family": "f",  # left out where it is the id
    "parent": "p",
    "binding": "b",
    "created_ms": "c",
    "expires_ms": "x",
    "digest": "h",
    "seal": "z",
    "key_id": "k",
    "ended_ms": "e",
    "end_reason": "r",
    "last_used_ms": "u",
    "last_used_from": "w",
}
"""How a record's columns are called in its hash. They are read in this order."""

ACCOUNT_FIELDS: Final = (
    "password_hash",
    "admin",
    "may_generate",
    "disabled",
    "created_ms",
    "password_ms",
)

ID_LENGTH: Final = 32
PLACE_DIGITS: Final = 16
_LATEST_MS: Final = 10**PLACE_DIGITS - 1
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_EMPTY: Final = ("", "[]")  # no text, no list of words


class Standpoint(NamedTuple):
    """The entry of one shard's log where a reader stands: a stream id and its tag."""

    entry: bytes
    tag: bytes


NOWHERE: Final = Standpoint(b"", b"")
_STANDPOINT_BYTES: Final = 16 + TAG_BYTES


# Tokens


def encode_token(record: TokenRecord) -> dict[str, bytes | str | int]:
    """The fields of a token's hash."""
    columns = dict(zip(FIXED_COLUMNS, encode_fixed(record), strict=True))
    columns["family"] = None if record.family == record.id else record.family.hex
    columns["parent"] = None if record.parent is None else record.parent.hex
    columns |= {
        "ended_ms": record.ended_ms,
        "end_reason": record.end_reason,
        "last_used_ms": record.last_used_ms,
        "last_used_from": record.last_used_from,
    }
    return {
        letter: value
        for name, letter in TOKEN_FIELDS.items()
        if (value := columns[name]) is not None and value not in _EMPTY
    }


def decode_token(id: UUID, reply: Reply) -> TokenRecord:
    """The record that scripts found under ``id``: one that no seal fits where it can't be read."""
    if not isinstance(reply, list):
        return tampered(id)
    *fields, disabled = reply
    try:
        columns = [
            absent if value is None else read(value)
            for (read, absent), value in zip(_FORMS, fields, strict=True)
        ]
    except ValueError:  # no text, no number, no id
        return tampered(id)
    columns[_FAMILY] = columns[_FAMILY] or id.bytes
    return decode_record(id, (id.bytes, *columns, disabled))


def _number(value: bytes) -> int:
    if not _NUMBER.fullmatch(value):
        raise ValueError("no number")
    return int(value)


def _id_bytes(value: bytes) -> bytes:
    return bytes.fromhex(value.decode())


# How each of ``TOKEN_FIELDS`` is read, and what stands for it where it was left out.
_FORMS: Final[Sequence[tuple[Callable[[Any], str | int | bytes], str | None]]] = [
    (bytes.decode, None),  # owner
    (bytes.decode, ""),  # description
    (bytes.decode, "[]"),  # scopes
    (bytes.decode, "[]"),  # networks
    (_id_bytes, None),  # family
    (_id_bytes, None),  # parent
    (bytes, None),  # binding
    (_number, None),  # created_ms
    (_number, None),  # expires_ms
    (bytes, None),  # digest
    (bytes, None),  # seal
    (bytes.decode, None),  # key_id
    (_number, None),  # ended_ms
    (bytes.decode, None),  # end_reason
    (_number, None),  # last_used_ms
    (bytes.decode, None),  # last_used_from
]
_FAMILY: Final = list(TOKEN_FIELDS).index("family")


# Places: when a token was made, then its id. As text they sort as the listing does.


def encode_place(created_ms: int, id: UUID) -> str:
    """Where a token stands in listings."""
    return f"{min(max(created_ms, 0), _LATEST_MS):0{PLACE_DIGITS}d}{id.hex}"


def split_place(place: bytes) -> tuple[int, UUID]:
    """What ``encode_place`` was given."""
    return int(place[:PLACE_DIGITS]), UUID(place[PLACE_DIGITS:].decode())


def decode_ids(blob: bytes) -> frozenset[UUID] | None:
    """The ids that an entry of the log tells; ``None`` where it can't be read."""
    try:
        text = blob.decode("ascii")
        starts = range(0, len(text), ID_LENGTH)
        return frozenset(UUID(text[at : at + ID_LENGTH]) for at in starts)
    except ValueError:
        return None


def new_tag() -> bytes:
    """What tells an entry of the log from another that comes to bear its id."""
    return secrets.token_bytes(TAG_BYTES)


# Cursors: one standpoint a shard, in the tag. The revision is the latest of their entries; that
# it is no other is checked, so that nobody relies on a cursor that was put together.


def encode_cursor(epoch: str, standpoints: Sequence[Standpoint]) -> Cursor:
    """A cursor that stands at these entries, one a shard."""
    entries = [_entry_number(standpoint.entry) for standpoint in standpoints]
    parts = (
        number.to_bytes(16) + standpoint.tag
        for number, standpoint in zip(entries, standpoints, strict=True)
    )
    return Cursor(epoch, max(entries), b"".join(parts))


def decode_cursor(cursor: Cursor | None, shards: int) -> list[Standpoint]:
    """Where a cursor stands in each shard; ``NOWHERE`` where it is none of ours."""
    if cursor is None or len(cursor.tag) != shards * _STANDPOINT_BYTES:
        return [NOWHERE] * shards
    starts = range(0, len(cursor.tag), _STANDPOINT_BYTES)
    parts = [cursor.tag[at : at + _STANDPOINT_BYTES] for at in starts]
    numbers = [int.from_bytes(part[:16]) for part in parts]
    if max(numbers) != cursor.revision:
        return [NOWHERE] * shards
    return [
        Standpoint(_entry(number), part[16:]) for number, part in zip(numbers, parts, strict=True)
    ]


def _entry_number(entry: bytes) -> int:
    at_ms, _, count = entry.partition(b"-")
    return int(at_ms) << 64 | int(count)


def _entry(number: int) -> bytes:
    return b"%d-%d" % (number >> 64, number & (1 << 64) - 1)


# Accounts


def encode_account(account: Account) -> dict[str, bytes | str | int]:
    """The fields of an account's hash."""
    fields = {name: getattr(account, name) for name in ACCOUNT_FIELDS}
    return {
        name: int(value) if isinstance(value, bool) else value
        for name, value in fields.items()
        if value is not None
    }


def decode_account(name: str, reply: Reply) -> Account:
    """The account that scripts found under a name.

    Raises:
        ValueError: It can't be read.
        TypeError: It can't be read.
    """
    values = cast("list[bytes | None]", reply)
    fields = dict(zip(ACCOUNT_FIELDS, values, strict=True))
    password_hash = fields["password_hash"]
    return Account(
        name=name,
        password_hash=None if password_hash is None else password_hash.decode(),
        admin=_flag(fields["admin"]),
        may_generate=_flag(fields["may_generate"]),
        disabled=_flag(fields["disabled"]),
        created_ms=int(fields["created_ms"] or b""),
        password_ms=int(fields["password_ms"] or b""),
    )


def _flag(value: bytes | None) -> bool:
    return {b"0": False, b"1": True}[value or b""]
