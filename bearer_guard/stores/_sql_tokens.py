"""Tokens in an SQL store: how they are added, listed, ended and purged. ``_sql_lookup`` reads them.

Who changes or deletes a token holds the counter's lock (``_sql_log``); adding needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bearer_guard.errors import DuplicateToken
from bearer_guard.store import KeyUsage, Page

from ._rows import FIXED_COLUMNS, decode_position, encode_fixed, encode_position
from ._sql_fence import fenced_rows
from ._sql_lookup import records, whole_records
from ._sql_tables import LAST_USED, NEVER_MS, TOKENS
from ._sql_text import check_storable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bearer_guard.record import TokenRecord

    from ._sql_gateway import Writing
    from ._sql_speech import Speech

__all__ = [
    "CHUNK",
    "add",
    "chunks",
    "dead",
    "delete_tokens",
    "end",
    "end_all",
    "key_usage",
    "live_ids",
    "one",
    "page",
    "wanted",
]

CHUNK: Final = 1_000  # rows a statement


_AT_MS: Final = bindparam("at_ms", type_=TOKENS.c.ended_ms.type)
_REASON: Final = bindparam("reason", type_=TOKENS.c.end_reason.type)
_ENDED: Final = {"ended_ms": _AT_MS, "end_reason": _REASON}
_ENDS_LATER: Final = or_(  # those whose end `TokenRecord.end` would change
    TOKENS.c.ended_ms.is_(None),
    TOKENS.c.ended_ms > _AT_MS,
    and_(TOKENS.c.ended_ms == _AT_MS, TOKENS.c.end_reason > _REASON),
)
_IT: Final = TOKENS.c.id == bindparam("its_id")
_END: Final = update(TOKENS).where(_IT, _ENDS_LATER).values(_ENDED)
_ONE: Final = whole_records().where(_IT)
_OWNED: Final = (
    select(TOKENS.c.id, TOKENS.c.ended_ms)
    .where(TOKENS.c.owner == bindparam("owned_by"), _ENDS_LATER)
    .order_by(TOKENS.c.id)
)


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """In parts of what one statement handles."""
    return (items[at : at + CHUNK] for at in range(0, len(items), CHUNK))


async def add(connection: AsyncConnection, record: TokenRecord) -> None:
    """Keep a new record.

    Raises:
        DuplicateToken: The id is taken.
        InvalidRequest: A text in it can't be kept.
    """
    row = dict(zip(FIXED_COLUMNS, encode_fixed(record), strict=True))
    row |= {"ended_ms": record.ended_ms, "end_reason": record.end_reason}
    check_storable([*row.values(), record.last_used_from])
    try:
        await connection.execute(insert(TOKENS), row)
    except IntegrityError as error:
        raise DuplicateToken("a token with this id exists") from error
    if record.last_used_ms is not None:
        use = {"id": row["id"], "at_ms": record.last_used_ms, "source": record.last_used_from}
        await connection.execute(insert(LAST_USED), use)


async def end(connection: AsyncConnection, id: UUID, at_ms: int, reason: str) -> bool:
    """End a token's life at ``at_ms``, or leave it where it ends earlier already; whether it did.

    Within a transaction that has locked the counter.
    """
    values = {"its_id": id.bytes, "at_ms": at_ms, "reason": reason}
    done = await connection.execute(_END, values)
    return done.rowcount > 0


async def end_all(
    writing: Writing, speech: Speech, owner: str, family: UUID | None, *, at_ms: int, reason: str
) -> tuple[int, list[bytes]]:
    """End all tokens of an owner, or those of one family.

    Within a transaction that has locked the counter. Returns how many were not ended before, and
    the ids of those whose end is another now.
    """
    changing = _OWNED if family is None else _OWNED.where(TOKENS.c.family == family.bytes)
    values = {"at_ms": at_ms, "reason": reason}
    rows = (await writing.connection.execute(changing, {"owned_by": owner} | values)).all()
    ids = [row.id for row in rows]
    one_chunk = update(TOKENS).where(speech.among(TOKENS.c.id)).values(_ENDED)
    for chunk in chunks(ids):
        writing.limit.renew()
        await writing.connection.execute(one_chunk, {"ids": chunk} | values)
    writing.limit.renew()
    return sum(row.ended_ms is None or row.ended_ms > at_ms for row in rows), ids


async def live_ids(connection: AsyncConnection, owner: str, now_ms: int, most: int) -> list[bytes]:
    """Of an owner's tokens that have not ended by then; one more than ``most`` if there are."""
    found = await connection.scalars(
        select(TOKENS.c.id).where(TOKENS.c.owner == owner, _ends_after(now_ms)).limit(most + 1)
    )
    return list(found)


def wanted(owner: str | None, after: str | None, now_ms: int | None) -> Select[Any]:
    """Which tokens a page is of, without its limit.

    Raises:
        InvalidRequest: ``after`` is not of this store.
    """
    newest = (TOKENS.c.created_ms.desc(), TOKENS.c.id.desc())
    listed = select(TOKENS.c.id).order_by(*newest)
    if owner is not None:
        listed = listed.where(TOKENS.c.owner == owner)
    if after is not None:
        listed = listed.where(_older(*decode_position(after)))
    if now_ms is not None:
        listed = listed.where(_ends_after(now_ms))
    return listed


async def page(
    connection: AsyncConnection, speech: Speech, listed: Select[Any], limit: int
) -> Page:
    """The first of what ``wanted`` says."""
    # One more than asked for, to know whether there is a next page. Chosen before they are joined
    # with anything: MySQL would join all that there are, then sort, then choose.
    chosen = listed.limit(limit + 1).subquery("chosen")
    whole = whole_records(chosen.join(TOKENS, TOKENS.c.id == chosen.c.id))
    rows = await fenced_rows(connection, speech, whole)
    rows.sort(key=_place, reverse=True)
    more = len(rows) > limit
    shown = rows[:limit]
    last = encode_position(shown[-1].created_ms, UUID(bytes=shown[-1].id)) if more else None
    return Page(list(records(shown).values()), last)


async def one(connection: AsyncConnection, id: UUID) -> TokenRecord | None:
    """The record with this id, as the transaction sees it."""
    found = await connection.execute(_ONE, {"its_id": id.bytes})
    return records(found.all()).get(id)


async def dead(connection: AsyncConnection, before_ms: int, limit: int) -> list[bytes]:
    """The ids of tokens that expired or ended before then, sorted."""
    found = await connection.scalars(
        select(TOKENS.c.id)
        .where(TOKENS.c.dead_ms < before_ms)
        .order_by(TOKENS.c.dead_ms)
        .limit(limit)
    )
    return sorted(found)


async def delete_tokens(connection: AsyncConnection, speech: Speech, ids: Sequence[bytes]) -> None:
    """Delete tokens and what hangs on them.

    Within a transaction that has locked the counter. Last uses are locked in the order in which
    flushes lock them.
    """
    named = {"ids": list(ids)}
    await connection.execute(delete(TOKENS).where(speech.among(TOKENS.c.id)), named)
    used = speech.among(LAST_USED.c.id)
    await connection.execute(
        select(LAST_USED.c.id).where(used).order_by(LAST_USED.c.id).with_for_update(), named
    )
    await connection.execute(delete(LAST_USED).where(used), named)


async def key_usage(connection: AsyncConnection, now_ms: int) -> dict[str, KeyUsage]:
    """The tokens that are live then, counted by key id."""
    live = (
        select(TOKENS.c.key_id, func.count(), func.max(TOKENS.c.dead_ms))
        .where(TOKENS.c.dead_ms > now_ms)
        .group_by(TOKENS.c.key_id)
    )
    found = (await connection.execute(live)).all()
    return {
        key_id: KeyUsage(count, None if until == NEVER_MS else until)
        for key_id, count, until in found
    }


def _ends_after(now_ms: int) -> ColumnElement[bool]:
    return or_(TOKENS.c.ended_ms.is_(None), TOKENS.c.ended_ms > now_ms)


def _older(created_ms: int, id: UUID) -> ColumnElement[bool]:
    """Those after a place in a listing; the first part alone can be looked up in an index."""
    same, earlier = TOKENS.c.created_ms == created_ms, TOKENS.c.created_ms < created_ms
    return and_(TOKENS.c.created_ms <= created_ms, or_(earlier, and_(same, TOKENS.c.id < id.bytes)))


def _place(row: Row[Any]) -> tuple[int, bytes]:
    return row.created_ms, row.id
