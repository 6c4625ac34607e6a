"""What is done to the tokens of a SQLite store: SQL, on a connection that the caller has.

Whatever writes runs in a transaction that holds the write lock from its beginning.
"""
# ruff: noqa: S608 - what is put together are names and conditions of this module; values are bound

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import UUID

from bearer_guard.errors import DuplicateToken
from bearer_guard.store import KeyUsage, Page

from ._rows import (
    FIXED_COLUMNS,
    LOG_IDS,
    decode_record,
    encode_fixed,
    encode_position,
)
from ._sqlite_log import revise

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bearer_guard.record import TokenRecord, Use

__all__ = [
    "TOUCH_ROWS",
    "add",
    "end",
    "end_all",
    "fetch",
    "key_usage",
    "owned_now",
    "page",
    "purge",
    "remember_keys",
    "sorted_uses",
    "touch",
]

TOUCH_ROWS: Final = 1_000  # in one transaction: some 7 ms
PURGE_ROWS: Final = 500  # in one transaction: an index entry or two each, in as many places

_COLUMNS: Final = ", ".join(
    [f"t.{column}" for column in (*FIXED_COLUMNS, "ended_ms", "end_reason")]
    + ["u.at_ms", "u.source", "a.disabled"]
)
_JOINED: Final = "LEFT JOIN last_used u ON u.id = t.id LEFT JOIN accounts a ON a.name = t.owner"
_READ_ONE: Final = f"SELECT {_COLUMNS} FROM tokens t {_JOINED} WHERE t.id = ?"
# The places are found in an index alone: an owner may have far more tokens that are to be left out
# than such that are listed.
_READ_PAGE: Final = (
    f"SELECT {_COLUMNS} FROM (SELECT id, created_ms FROM tokens WHERE {{where}}"
    " ORDER BY created_ms DESC, id DESC LIMIT :rows) p"
    f" CROSS JOIN tokens t ON t.id = p.id {_JOINED} ORDER BY p.created_ms DESC, p.id DESC"
)
_ADD: Final = (
    f"INSERT INTO tokens ({', '.join(FIXED_COLUMNS)}, ended_ms, end_reason)"
    f" VALUES ({', '.join('?' * len(FIXED_COLUMNS))}, ?, ?)"
)
# Only ever later, and nothing for a token that is not there. With a SELECT, SQLite wants a WHERE
# before ON CONFLICT: https://www.sqlite.org/lang_upsert.html section 2.2.
_TOUCH: Final = (
    "INSERT INTO last_used (id, at_ms, source) SELECT ?1, ?2, ?3"
    " WHERE EXISTS (SELECT 1 FROM tokens WHERE id = ?1)"
    " ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms, source = excluded.source"
    " WHERE (excluded.at_ms, coalesce(excluded.source, '')) > (at_ms, coalesce(source, ''))"
)
_NOT_YET_ENDED: Final = "(ended_ms IS NULL OR ended_ms > :at_ms)"
# Of two ends at one instant the reason that sorts first stays.
_CHANGES_END: Final = "(ended_ms IS NULL OR (ended_ms, end_reason) > (:at_ms, :reason))"
# The plus keeps the planner from going through all of the owner's.
_OF_FAMILY: Final = (
    "+owner = :owner AND id IN (SELECT id FROM tokens WHERE id = :family"
    " UNION ALL SELECT id FROM tokens WHERE family = :family AND family <> id)"
)
# The schema's own checks can be switched off by who writes to the file; a listing must not fail.
_LISTABLE: Final = "typeof(id) = 'blob' AND length(id) = 16 AND typeof(created_ms) = 'integer'"
_USAGE: Final = (
    "SELECT key_id, count(*), count(dead_ms), max(dead_ms) FROM"
    " (SELECT key_id,"
    " min(coalesce(ended_ms, expires_ms), coalesce(expires_ms, ended_ms)) AS dead_ms FROM tokens)"
    " WHERE dead_ms IS NULL OR dead_ms > ? GROUP BY key_id"
)


def add(connection: sqlite3.Connection, record: TokenRecord) -> None:
    """Keep a new record."""
    try:
        connection.execute(_ADD, (*encode_fixed(record), record.ended_ms, record.end_reason))
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
            raise
        raise DuplicateToken("a token with this id exists") from error
    if record.last_used_ms is not None:
        use = (record.id.bytes, record.last_used_ms, record.last_used_from)
        connection.execute(_TOUCH, use)


def fetch(connection: sqlite3.Connection, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
    """The records with these ids.

    One by one: there is no round trip to save, and the statement stays compiled.
    """
    found = ((id, connection.execute(_READ_ONE, (id.bytes,)).fetchone()) for id in ids)
    return {id: decode_record(id, row) for id, row in found if row is not None}


def end(
    connection: sqlite3.Connection, *, id: UUID, at_ms: int, reason: str, now_ms: int
) -> TokenRecord | None:
    """End one token, and return it as it is then."""
    values = {"id": id.bytes, "at_ms": at_ms, "reason": reason}
    changed = connection.execute(
        "UPDATE tokens SET ended_ms = :at_ms, end_reason = :reason"
        f" WHERE id = :id AND {_CHANGES_END}",
        values,
    )
    if changed.rowcount:
        revise(connection, [id.bytes], now_ms)
    return fetch(connection, [id]).get(id)


def end_all(
    connection: sqlite3.Connection,
    *,
    owner: str,
    at_ms: int,
    family: UUID | None,
    reason: str,
    now_ms: int,
) -> tuple[int, list[bytes]]:
    """End all of an owner's, or of one family of the owner's.

    Returns how many had not ended before, and the ids of those whose end is another now, as
    ``revise`` wants them.
    """
    values = {"owner": owner, "at_ms": at_ms, "reason": reason}
    where = "owner = :owner"
    if family is not None:
        values["family"] = family.bytes
        where = _OF_FAMILY
    ids = connection.execute(
        f"SELECT id FROM tokens WHERE {where} AND {_CHANGES_END} LIMIT {LOG_IDS + 1}",
        values,
    ).fetchall()
    if not ids:
        return 0, []
    (count,) = connection.execute(
        f"SELECT count(*) FROM tokens WHERE {where} AND {_NOT_YET_ENDED}",
        values,
    ).fetchone()
    connection.execute(
        "UPDATE tokens SET ended_ms = :at_ms, end_reason = :reason"
        f" WHERE {where} AND {_CHANGES_END}",
        values,
    )
    changed = [id for (id,) in ids]
    revise(connection, changed, now_ms)
    return int(count), changed


def owned_now(connection: sqlite3.Connection, owner: str, now_ms: int) -> list[bytes]:
    """Ids of the owner's tokens that have not ended, at most as many as ``revise`` wants."""
    rows = connection.execute(
        f"SELECT id FROM tokens WHERE owner = :owner AND {_NOT_YET_ENDED} LIMIT {LOG_IDS + 1}",
        {"owner": owner, "at_ms": now_ms},
    )
    return [id for (id,) in rows.fetchall()]


def sorted_uses(uses: Mapping[UUID, Use]) -> list[list[tuple[bytes, int, str | None]]]:
    """Rows for ``touch``, in chunks, each in the order of ids as the whole is."""
    rows = iter(sorted((id.bytes, use.at_ms, use.source) for id, use in uses.items()))
    return list(iter(lambda: list(islice(rows, TOUCH_ROWS)), []))


def touch(connection: sqlite3.Connection, rows: Sequence[tuple[bytes, int, str | None]]) -> None:
    """Note the latest uses."""
    connection.executemany(_TOUCH, rows)


def page(
    connection: sqlite3.Connection,
    *,
    owner: str | None,
    after: tuple[int, UUID] | None,
    limit: int,
    now_ms: int | None,
) -> Page:
    """Records, newest first."""
    query, values = page_query(owner=owner, after=after, limit=limit, now_ms=now_ms)
    rows = connection.execute(query, values).fetchall()
    ids = [UUID(bytes=row[0]) for row in rows[:limit]]
    records = [decode_record(id, row) for id, row in zip(ids, rows, strict=False)]
    more = len(rows) > limit
    created_ms = FIXED_COLUMNS.index("created_ms")
    return Page(records, encode_position(rows[limit - 1][created_ms], ids[-1]) if more else None)


def page_query(
    *, owner: str | None, after: tuple[int, UUID] | None, limit: int, now_ms: int | None
) -> tuple[str, dict[str, object]]:
    """The query for a page and one record more, and its values."""
    created_ms, id = after or (0, UUID(int=0))
    values: dict[str, object] = {
        "owner": owner,
        "created_ms": created_ms,
        "id": id.bytes,
        "at_ms": now_ms,
        "rows": limit + 1,
    }
    wanted = {
        "owner = :owner": owner,
        "(created_ms, id) < (:created_ms, :id)": after,
        _NOT_YET_ENDED: now_ms,
    }
    conditions = [condition for condition, value in wanted.items() if value is not None]
    return _READ_PAGE.format(where=" AND ".join([_LISTABLE, *conditions])), values


def purge(connection: sqlite3.Connection, *, before_ms: int, limit: int) -> int:
    """Delete at most ``limit`` records that died before; how many."""
    ids: list[tuple[bytes]] = []
    for column in ("expires_ms", "ended_ms"):
        if not ids:
            ids = connection.execute(
                f"SELECT id FROM tokens WHERE {column} < ? ORDER BY {column} LIMIT ?",
                (before_ms, limit),
            ).fetchall()
    connection.executemany("DELETE FROM tokens WHERE id = ?", ids)
    connection.executemany("DELETE FROM last_used WHERE id = ?", ids)
    return len(ids)


def key_usage(connection: sqlite3.Connection, now_ms: int) -> dict[str, KeyUsage]:
    """The tokens that are live at ``now_ms``, counted by key id."""
    rows = connection.execute(_USAGE, (now_ms,)).fetchall()
    return {
        key_id: KeyUsage(count, until_ms if mortal == count else None)
        for key_id, count, mortal, until_ms in rows
    }


def remember_keys(connection: sqlite3.Connection, ids: Collection[str]) -> frozenset[str]:
    """Remember these, if it is for them to be known here; those that were known before."""
    known = known_keys(connection)
    if not known or known & set(ids):
        connection.executemany("INSERT OR IGNORE INTO keys (id) VALUES (?)", [(i,) for i in ids])
    return known


def known_keys(connection: sqlite3.Connection) -> frozenset[str]:
    """The key ids that are known."""
    return frozenset(id for (id,) in connection.execute("SELECT id FROM keys").fetchall())
