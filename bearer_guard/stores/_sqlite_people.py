"""What is done to the accounts and notes of a SQLite store: SQL, on the caller's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bearer_guard.store import Account, Note

from ._accounts import changed
from ._sqlite_log import revise
from ._sqlite_tokens import owned_now

if TYPE_CHECKING:
    import sqlite3

    from bearer_guard.store import AccountChange

__all__ = [
    "account",
    "accounts",
    "add_account",
    "add_note",
    "change_account",
    "drop_note",
    "drop_notes",
    "note",
]

SWEEP_NOTES: Final = 100  # expired ones, with each new one: they can't pile up

_ACCOUNT: Final = (
    "SELECT name, password_hash, admin, may_generate, disabled, created_ms, password_ms"
    " FROM accounts"
)


def account(connection: sqlite3.Connection, name: str) -> Account | None:
    """The account of exactly this name."""
    row = connection.execute(f"{_ACCOUNT} WHERE name = ?", (name,)).fetchone()
    return None if row is None else _account(row)


def accounts(connection: sqlite3.Connection, after: str | None, limit: int) -> list[Account]:
    """Accounts by name: UTF-8 sorts as its code points do."""
    where, values = ("", (limit,)) if after is None else (" WHERE name > ?", (after, limit))
    rows = connection.execute(f"{_ACCOUNT}{where} ORDER BY name LIMIT ?", values)
    return [_account(row) for row in rows.fetchall()]


def add_account(connection: sqlite3.Connection, account: Account, now_ms: int) -> bool:
    """Keep a new account; ``False``: the name is taken."""
    added = connection.execute(
        "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (
            account.name,
            account.password_hash,
            account.admin,
            account.may_generate,
            account.disabled,
            account.created_ms,
            account.password_ms,
        ),
    )
    if added.rowcount and account.disabled:
        _log_tokens(connection, account.name, now_ms)
    return added.rowcount > 0


def change_account(
    connection: sqlite3.Connection, *, name: str, change: AccountChange, now_ms: int
) -> Account | None:
    """Change an account, and log the owner's tokens where they now work, or don't."""
    before = account(connection, name)
    if before is None:
        return None
    after = changed(before, change)
    connection.execute(
        "UPDATE accounts SET password_hash = ?, password_ms = ?, admin = ?, may_generate = ?,"
        " disabled = ? WHERE name = ?",
        (
            after.password_hash,
            after.password_ms,
            after.admin,
            after.may_generate,
            after.disabled,
            name,
        ),
    )
    if after.disabled != before.disabled:
        _log_tokens(connection, name, now_ms)
    return after


def _log_tokens(connection: sqlite3.Connection, owner: str, now_ms: int) -> None:
    revise(connection, owned_now(connection, owner, now_ms), now_ms)


def _account(row: tuple[str, str | None, int, int, int, int, int]) -> Account:
    name, password_hash, admin, may_generate, disabled, created_ms, password_ms = row
    return Account(
        name=name,
        password_hash=password_hash,
        admin=bool(admin),
        may_generate=bool(may_generate),
        disabled=bool(disabled),
        created_ms=created_ms,
        password_ms=password_ms,
    )


def add_note(connection: sqlite3.Connection, *, key: str, note: Note, now_ms: int) -> bool:
    """Keep a note; ``False``: an unexpired one of this key exists."""
    connection.execute(
        "DELETE FROM notes WHERE key IN"
        " (SELECT key FROM notes WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)",
        (now_ms, SWEEP_NOTES),
    )
    added = connection.execute(
        "INSERT INTO notes (key, owner, value, expires_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, value = excluded.value,"
        " expires_ms = excluded.expires_ms WHERE expires_ms <= ?",
        (key, note.owner, note.value, note.expires_ms, now_ms),
    )
    return added.rowcount > 0


def note(connection: sqlite3.Connection, key: str, now_ms: int) -> Note | None:
    """The note of this key, if it has not expired."""
    row = connection.execute(
        "SELECT owner, value, expires_ms FROM notes WHERE key = ? AND expires_ms > ?", (key, now_ms)
    ).fetchone()
    return None if row is None else Note(*row)


def drop_note(connection: sqlite3.Connection, key: str) -> bool:
    """Forget a note; whether there was one."""
    return connection.execute("DELETE FROM notes WHERE key = ?", (key,)).rowcount > 0


def drop_notes(connection: sqlite3.Connection, owner: str) -> int:
    """Forget all notes of an owner; how many there were."""
    return connection.execute("DELETE FROM notes WHERE owner = ?", (owner,)).rowcount
