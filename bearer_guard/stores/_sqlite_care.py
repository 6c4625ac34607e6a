"""What administrators ask of a SQLite store: is it sound, and bring it up to date."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.store import Finding

from . import _sqlite_schema as schema

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["diagnose", "upgrade"]

_FULL: Final = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous
_DAMAGES: Final = 20  # to tell of


def diagnose(connection: sqlite3.Connection, path: Path) -> list[Finding]:
    """What can be said of the file, the worst included. Takes long where there is much."""
    return [
        _schema(connection),
        _journal(connection),
        _synchronous(connection),
        _permissions(path),
        *_damages(connection),
    ]


def upgrade(connection: sqlite3.Connection) -> str:
    """Run the migrations that are missing, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = schema.migrate(connection)
        schema.check(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    now = len(schema.MIGRATIONS)
    if found == now:
        return f"the schema has version {now} already"
    return f"the schema was brought from version {found} to {now}"


def _schema(connection: sqlite3.Connection) -> Finding:
    try:
        schema.check(connection)
    except (StoreUnavailable, ConfigurationError) as error:
        return Finding("error", str(error))
    return Finding("ok", f"the schema has version {len(schema.MIGRATIONS)}")


def _journal(connection: sqlite3.Connection) -> Finding:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        return Finding("ok", "journal_mode is WAL: reads don't wait for writes")
    return Finding("error", f"journal_mode is {mode}, not WAL; opening the store sets it")


def _synchronous(connection: sqlite3.Connection) -> Finding:
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    if level >= _FULL:
        return Finding("ok", "synchronous is FULL: what is acknowledged survives a power cut")
    return Finding("error", "synchronous is not FULL: a power cut may undo the last changes")


def _permissions(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    others = mode & (stat.S_IRWXG | stat.S_IRWXO)
    if others:
        text = f"{path} has mode {mode:04o}: others than its owner can get at it; chmod 600"
        return Finding("warning", text)
    return Finding("ok", f"only its owner can get at {path}")


def _damages(connection: sqlite3.Connection) -> Iterator[Finding]:
    lines = connection.execute(f"PRAGMA quick_check({_DAMAGES})").fetchall()
    if lines == [("ok",)]:
        yield Finding("ok", "SQLite finds the file undamaged")
    else:
        yield from (Finding("error", f"damaged: {line}") for (line,) in lines)
