"""The change log of a SQLite store: who writes takes the next revision, who polls reads on.

The counter is the one row of ``meta``. A reader's cursor holds as long as its revision is there
with the same tag, and not below ``floor``: the log is complete from there.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Changes, Cursor

from ._rows import LOG_IDS, LOG_MS, TAG_BYTES, decode_ids, decode_settings

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from uuid import UUID

    from bearer_guard.policy import Policy

__all__ = ["Poller", "read_changes", "read_policy", "revise", "set_policy"]

T = TypeVar("T")

_GONE: Final = "the counter of revisions is gone: restore a backup"
TRIM_REVISIONS: Final = 100  # by each new one: the log gets shorter, and no write takes long


def revise(connection: sqlite3.Connection, ids: Sequence[bytes], now_ms: int) -> None:
    """Take the next revision, and log what changes with it.

    Args:
        connection: In a transaction that holds the write lock.
        ids: At most ``LOG_IDS + 1`` of them: with more every reader starts anew.
        now_ms: Dates it.
    """
    tag = secrets.token_bytes(TAG_BYTES)
    counted = connection.execute("UPDATE meta SET revision = revision + 1, tag = ?", (tag,))
    if not counted.rowcount:
        raise StoreUnavailable(_GONE)
    connection.execute(
        "INSERT INTO revisions (revision, tag, at_ms) SELECT revision, tag, ? FROM meta", (now_ms,)
    )
    if len(ids) > LOG_IDS:
        connection.execute("UPDATE meta SET floor = revision")
    else:
        connection.executemany(
            "INSERT INTO log (revision, id) SELECT revision, ? FROM meta", [(id,) for id in ids]
        )
    _trim(connection, now_ms)


def _trim(connection: sqlite3.Connection, now_ms: int) -> None:
    """Forget the oldest revisions, but for the newest of those: there a reader may stand."""
    (last,) = connection.execute(
        "SELECT max(revision) FROM"
        " (SELECT revision, at_ms FROM revisions ORDER BY revision LIMIT ?) WHERE at_ms < ?",
        (TRIM_REVISIONS, now_ms - LOG_MS),
    ).fetchone()
    if last is not None:
        connection.execute("DELETE FROM log WHERE revision <= ?", (last,))
        connection.execute("DELETE FROM revisions WHERE revision < ?", (last,))
        connection.execute("UPDATE meta SET floor = max(floor, ?)", (last,))


def read_policy(connection: sqlite3.Connection) -> Policy:
    """The workspace's settings."""
    row = connection.execute("SELECT policy FROM meta").fetchone()
    return decode_settings(_there(row)[0])


def set_policy(connection: sqlite3.Connection, settings: str, now_ms: int) -> None:
    """Change the workspace's settings, with a revision of their own."""
    connection.execute("UPDATE meta SET policy = ?", (settings,))
    revise(connection, [], now_ms)


def read_changes(connection: sqlite3.Connection, cursor: Cursor | None) -> Changes:
    """What changed since ``cursor``, at one instant."""
    connection.execute("BEGIN")
    try:
        row = connection.execute("SELECT epoch, revision, tag, floor, policy FROM meta").fetchone()
        epoch, revision, tag, floor, settings = _there(row)
        now = Cursor(epoch, revision, tag)
        ids = None if cursor is None else _since(connection, cursor, now, floor)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return Changes(
        cursor=now, ids=ids or frozenset(), policy=decode_settings(settings), reset=ids is None
    )


def _since(
    connection: sqlite3.Connection, cursor: Cursor, now: Cursor, floor: int
) -> frozenset[UUID] | None:
    """The tokens that changed; ``None``: the log can't say, or says more than a reader wants."""
    if cursor == now:
        return frozenset()
    if cursor.epoch != now.epoch or not floor <= cursor.revision < now.revision:
        return None
    known = connection.execute(
        "SELECT 1 FROM revisions WHERE revision = ? AND tag = ?", (cursor.revision, cursor.tag)
    ).fetchone()
    if known is None:
        return None
    rows = connection.execute(
        "SELECT id FROM log WHERE revision > ? LIMIT ?", (cursor.revision, LOG_IDS + 1)
    ).fetchall()
    return None if len(rows) > LOG_IDS else decode_ids(id for (id,) in rows)


class Poller:
    """``read_changes`` for who asks twenty times a second: mostly one look at a counter.

    ``data_version`` moves with every commit of another connection. This one never writes, so that
    what this process writes moves it too.
    """

    def __init__(self) -> None:
        self._seen: tuple[sqlite3.Connection, int, Changes] | None = None

    def changes(self, connection: sqlite3.Connection, cursor: Cursor | None) -> Changes:
        """What changed since ``cursor``."""
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if self._seen is not None:
            seen_through, seen_at, seen = self._seen
            if connection is seen_through and version == seen_at and cursor == seen.cursor:
                return seen
        changes = read_changes(connection, cursor)
        # The version was read first: if something is committed in between, the next look differs.
        self._seen = (connection, version, replace(changes, ids=frozenset(), reset=False))
        return changes


def _there(row: T | None) -> T:
    if row is None:
        raise StoreUnavailable(_GONE)
    return row
