"""The change logs of a Redis store, and what is known about the store as a whole."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from bearer_guard.errors import StoreUnavailable
from bearer_guard.policy import Policy
from bearer_guard.store import Changes

from . import _redis_scripts as scripts
from ._redis_rows import (
    NOWHERE,
    Reply,
    Standpoint,
    decode_cursor,
    decode_ids,
    encode_cursor,
    new_tag,
)
from ._rows import TAG_BYTES, decode_settings, encode_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from bearer_guard.store import Cursor

    from ._redis_database import Database

__all__ = ["SCHEMA", "changes", "found", "remember_keys", "set_policy", "upgrade"]

SCHEMA: Final = 1

_LOST: Final = (
    "the settings of this store are gone while the rest is there, so that nobody knows whether"
    " tokens may be used: restore a backup, or run `bearer-guard store upgrade`, which makes new"
    " settings with tokens switched off"
)


class _About(NamedTuple):
    """What a shard knows about the store."""

    shards: int
    epoch: str
    policy: bytes | None  # in the first one only


class _Polled(NamedTuple):
    """What a poll of one shard found."""

    here: Standpoint
    ids: frozenset[UUID] | None  # None: it can't tell
    has_tokens: bool
    about: _About | None


async def changes(db: Database, cursor: Cursor | None) -> Changes:
    """What changed since ``cursor``; with ``None``, a reset that tells where the log stands."""
    polled = await _poll(db, decode_cursor(cursor, db.shards))
    about = polled[0].about
    if about is None or about.shards != db.shards:
        await found(db)
        polled = await _poll(db, [NOWHERE] * db.shards)
        about = polled[0].about
    if about is None:
        raise StoreUnavailable(_LOST)
    told = [one.ids for one in polled if one.ids is not None]
    reset = cursor is None or cursor.epoch != about.epoch or len(told) < db.shards
    return Changes(
        cursor=encode_cursor(about.epoch, [one.here for one in polled]),
        ids=frozenset() if reset else frozenset().union(*told),
        policy=decode_settings(about.policy),
        reset=reset,
    )


async def found(db: Database) -> None:
    """Learn how many shards the store has; make a store where there is none.

    Raises:
        StoreUnavailable: No answer, a store of a newer version, or one that lost its settings.
    """
    if await _is_lost(db):
        raise StoreUnavailable(_LOST)


async def upgrade(db: Database) -> str:
    """``found``, and new settings where they are lost."""
    if not await _is_lost(db):
        return f"the schema has version {SCHEMA} already"
    await set_policy(db, Policy(enabled=False))
    await _create(db)
    return "the settings were lost: they are those of a new store now, with tokens switched off"


async def _is_lost(db: Database) -> bool:
    polled = await _poll(db, [NOWHERE] * db.shards)
    known = [one.about for one in polled if one.about is not None]
    if known:
        db.shards = known[0].shards
    elif not any(one.has_tokens for one in polled):
        await _create(db)
        return False
    return polled[0].about is None


async def set_policy(db: Database, policy: Policy) -> None:
    """Change the workspace's settings."""
    await db.write(scripts.SET_POLICY, 0, new_tag(), encode_settings(policy))


async def remember_keys(db: Database, ids: Collection[str]) -> frozenset[str]:
    """The key ids that the store was used with before this call."""
    reply = await db.write(scripts.REMEMBER_KEYS, 0, *ids)
    return frozenset(id.decode() for id in cast("list[bytes]", reply))


async def _create(db: Database) -> None:
    """Tell all shards how many they are; the first one last, for it is asked first."""
    args = (SCHEMA, db.shards, secrets.token_hex(TAG_BYTES))
    await db.run_each(scripts.CREATE, dict.fromkeys(range(1, db.shards), args))
    await db.write(scripts.CREATE, 0, *args)


async def _poll(db: Database, standpoints: Sequence[Standpoint]) -> list[_Polled]:
    replies = await db.run_each(
        scripts.CHANGES, {shard: (*here, new_tag()) for shard, here in enumerate(standpoints)}
    )
    return [_polled(replies[shard]) for shard in range(len(standpoints))]


def _polled(reply: Reply) -> _Polled:
    entry, tag, blob, has_tokens, about = cast(
        "tuple[bytes, bytes, bytes | None, int, list[bytes | None]]", reply
    )
    ids = None if blob is None else decode_ids(blob)
    return _Polled(Standpoint(entry, tag), ids, has_tokens=bool(has_tokens), about=_about(about))


def _about(fields: list[bytes | None]) -> _About | None:
    schema, shards, epoch, policy = fields
    if schema is None or shards is None or epoch is None:
        return None
    if int(schema) > SCHEMA:
        raise StoreUnavailable(
            f"the store has schema {int(schema)} and this is a program for {SCHEMA}: upgrade it"
        )
    return _About(int(shards), epoch.decode(), policy)
