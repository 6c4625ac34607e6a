"""The counter, the change log, and what travels with them: settings and known keys.

One row holds the revision. Whoever changes a token locks that row first and takes the next number
in the same transaction, so that revisions become visible in their order. The same lock keeps the
writers of tokens from deadlocks among themselves.
"""

from __future__ import annotations

import secrets
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, func, insert, literal_column, select, true, update

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Changes, Cursor

from ._rows import LOG_IDS, LOG_MS, TAG_BYTES, decode_settings
from ._sql_fence import fence, fenced_rows, refuse_replica
from ._sql_spoken import spoken
from ._sql_tables import KEYS, LOG, META, NEVER_MS
from ._sql_types import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bearer_guard.policy import Policy

    from ._sql_gateway import Gateway
    from ._sql_speech import Speech

__all__ = [
    "Poll",
    "advance",
    "lock_counter",
    "remember_keys",
    "settings",
    "trim",
    "write_settings",
]

_ID_BYTES: Final = 16
_LOST: Final = "the store has lost its counter: restore it from a backup"


_LOCK: Final = select(META.c.revision).with_for_update()
_ADVANCE: Final = update(META).values(revision=bindparam("next"), tag=bindparam("new_tag"))
_OLD: Final = select(func.max(LOG.c.revision)).where(LOG.c.at_ms < bindparam("before"))
_TRIM: Final = delete(LOG).where(LOG.c.revision < bindparam("keep"))


async def lock_counter(connection: AsyncConnection) -> int:
    """Let no other writer of tokens begin until this transaction ends. Returns the revision.

    Raises:
        StoreUnavailable: There is no counter.
    """
    revision: int | None = await connection.scalar(_LOCK)
    if revision is None:
        raise StoreUnavailable(_LOST)
    return revision


async def advance(
    connection: AsyncConnection,
    speech: Speech,
    revision: int,
    ids: Sequence[bytes],
    now_ms: int,
) -> None:
    """Take the next revision and log it.

    Args:
        connection: Within a transaction that has locked the counter.
        speech: The server's.
        revision: What the counter was then.
        ids: Of the tokens that changed.
        now_ms: Unix milliseconds.
    """
    tag = secrets.token_bytes(TAG_BYTES)
    await connection.execute(_ADVANCE, {"next": revision + 1, "new_tag": tag})
    told = None if len(ids) > LOG_IDS else b"".join(ids)
    row = {"revision": revision + 1, "tag": tag, "at_ms": now_ms, "ids": told}
    # Put, not insert: after a backup that was put back in part, the number may be in use.
    await connection.execute(speech.put_log, row)


async def trim(connection: AsyncConnection, now_ms: int) -> None:
    """Forget revisions of more than ten minutes ago, but the latest of them: there one may stand.

    What goes is always the older part, however the clocks of the processes differ.
    """
    keep = await connection.scalar(_OLD, {"before": now_ms - LOG_MS})
    if keep is not None:
        await connection.execute(_TRIM, {"keep": keep})


@cache
def _poll(fence_text: str) -> Select[*tuple[Any, ...]]:
    """One row for the counter, repeated for each row of the log from ``:since`` on."""
    here = fence(fence_text)
    logged = and_(LOG.c.revision >= bindparam("since"), LOG.c.revision <= META.c.revision)
    return (
        select(
            here.c.fence,
            META.c.epoch,
            META.c.revision,
            META.c.tag,
            META.c.policy,
            LOG.c.revision.label("logged"),
            LOG.c.tag.label("logged_tag"),
            LOG.c.ids,
        )
        .select_from(here.outerjoin(META, true()).outerjoin(LOG, logged))
        .order_by(LOG.c.revision)
        .limit(LOG_IDS + 2)  # the reader's own, as many as are told, and one to see that
    )


class Poll:
    """Asks what changed. Nearly always nothing has: then one row is all that is read.

    Args:
        gateway: To the database.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway: Final = gateway
        fenced: ColumnElement[bool] = literal_column(gateway.driver.speech.fence)
        head = select(fenced, META.c.epoch, META.c.revision, META.c.tag, META.c.policy)
        self._head: Final = spoken(gateway.driver.dialect, head)

    async def changes(self, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``; with ``None``, a reset that tells where the log stands.

        Raises:
            StoreUnavailable: No answer, one of a replica, or the counter is gone.
        """
        if cursor is not None:
            rows: Sequence[Sequence[Any]] = await self._head.rows(self._gateway, {})
            for fenced, epoch, revision, tag, policy in rows:
                head = Cursor(str(plain(epoch)), revision, tag)
                if cursor == head and not fenced:
                    return Changes(cursor=head, ids=frozenset(), policy=decode_settings(policy))
        async with self._gateway.reading() as connection:
            return await _changes(connection, self._gateway.driver.speech, cursor)


async def _changes(connection: AsyncConnection, speech: Speech, cursor: Cursor | None) -> Changes:
    since = NEVER_MS if cursor is None else cursor.revision
    rows = (await connection.execute(_poll(speech.fence), {"since": since})).all()
    first = rows[0]
    refuse_replica(first.fence)
    if first.epoch is None:
        raise StoreUnavailable(_LOST)
    head = Cursor(first.epoch, first.revision, first.tag)
    ids = None if cursor is None else _since(cursor, head, rows)
    return Changes(
        cursor=head,
        ids=frozenset() if ids is None else ids,
        policy=decode_settings(first.policy),
        reset=ids is None,
    )


def _since(cursor: Cursor, head: Cursor, rows: Sequence[Row[Any]]) -> frozenset[UUID] | None:
    """The tokens that changed between two cursors; ``None``: the log can't say, or it is too much.

    The log must hold the reader's own revision, by its tag, and each one after it.
    """
    if cursor == head:
        return frozenset()
    whole = len(rows) == head.revision - cursor.revision + 1
    own = (cursor.epoch, cursor.revision, cursor.tag)
    if not whole or own != (head.epoch, rows[0].logged, rows[0].logged_tag):
        return None
    ids: set[UUID] = set()
    for row in rows[1:]:
        if row.ids is None or len(row.ids) % _ID_BYTES != 0:
            return None
        ids.update(UUID(bytes=row.ids[at : at + _ID_BYTES]) for at in range(0, len(row.ids), 16))
    return frozenset(ids) if len(ids) <= LOG_IDS else None


async def settings(connection: AsyncConnection, speech: Speech) -> Policy:
    """The settings.

    Raises:
        StoreUnavailable: A replica answered, or they can't be read.
    """
    rows = await fenced_rows(connection, speech, select(META.c.id, META.c.policy))
    if not rows:
        raise StoreUnavailable(_LOST)
    return decode_settings(rows[0].policy)


async def write_settings(connection: AsyncConnection, text: str) -> None:
    """Set the settings, within a transaction that takes a revision."""
    await connection.execute(update(META).values(policy=text))


async def remember_keys(connection: AsyncConnection, ids: Collection[str]) -> frozenset[str]:
    """The key ids known before; ``ids`` are added where they may be."""
    await lock_counter(connection)  # of two keyrings that come first, one gets in
    known = frozenset(await connection.scalars(select(KEYS.c.id)))
    new = sorted(set(ids) - known)
    if new and (not known or known & set(ids)):
        await connection.execute(insert(KEYS), [{"id": id} for id in new])
    return known
