"""Native accounts, and short-lived notes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bearer_guard.store import Account, Note

from ._accounts import changed
from ._sql_fence import fenced_rows
from ._sql_tables import ACCOUNTS, NOTES
from ._sql_text import check_storable

if TYPE_CHECKING:
    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bearer_guard.store import AccountChange

    from ._sql_speech import Speech

__all__ = [
    "account",
    "accounts",
    "add_account",
    "add_note",
    "change_account",
    "drop_note",
    "drop_notes",
    "forget_notes",
    "note",
]

_OLD_NOTES: Final = 1_000  # deleted at once

# Accounts


async def account(connection: AsyncConnection, speech: Speech, name: str) -> Account | None:
    """The account of exactly this name."""
    wanted = select(ACCOUNTS).where(ACCOUNTS.c.name == name)
    rows = await fenced_rows(connection, speech, wanted)
    return _account(rows[0]) if rows else None


async def accounts(
    connection: AsyncConnection, speech: Speech, after: str | None, limit: int
) -> list[Account]:
    """Accounts in the order of their names' code points, those after ``after``."""
    wanted = select(ACCOUNTS).order_by(ACCOUNTS.c.name).limit(limit)
    if after is not None:
        wanted = wanted.where(ACCOUNTS.c.name > after)
    rows = await fenced_rows(connection, speech, wanted)
    return sorted((_account(row) for row in rows), key=lambda account: account.name)


async def add_account(connection: AsyncConnection, account: Account) -> bool:
    """Keep a new account; ``False``: the name is taken."""
    row = asdict(account)
    check_storable(row.values())
    try:
        await connection.execute(insert(ACCOUNTS), row)
    except IntegrityError:
        return False
    return True


async def change_account(
    connection: AsyncConnection, name: str, change: AccountChange
) -> tuple[Account, Account] | None:
    """An account before and after; ``None``: there is none.

    Within a transaction that has locked the counter.
    """
    check_storable(asdict(change).values())
    its_own = ACCOUNTS.c.name == name
    row = (await connection.execute(select(ACCOUNTS).where(its_own))).one_or_none()
    if row is None:
        return None
    before = _account(row)
    after = changed(before, change)
    await connection.execute(update(ACCOUNTS).where(its_own).values(asdict(after)))
    return before, after


def _account(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        password_hash=row.password_hash,
        admin=row.admin,
        may_generate=row.may_generate,
        disabled=row.disabled,
        created_ms=row.created_ms,
        password_ms=row.password_ms,
    )


# Notes


async def add_note(connection: AsyncConnection, key: str, note: Note, now_ms: int) -> bool:
    """Keep a note; ``False``: an unexpired one of this key exists.

    In autocommit: the key decides who is first, and what has expired may go in any case.
    """
    row = asdict(note) | {"key": key}
    check_storable(row.values())
    await connection.execute(delete(NOTES).where(NOTES.c.key == key, NOTES.c.expires_ms <= now_ms))
    try:
        await connection.execute(insert(NOTES), row)
    except IntegrityError:
        return False
    return True


async def note(connection: AsyncConnection, speech: Speech, key: str, now_ms: int) -> Note | None:
    """The note of this key, if it has not expired."""
    wanted = select(NOTES.c.owner, NOTES.c.value, NOTES.c.expires_ms).where(
        NOTES.c.key == key, NOTES.c.expires_ms > now_ms
    )
    rows = await fenced_rows(connection, speech, wanted)
    return Note(rows[0].owner, rows[0].value, rows[0].expires_ms) if rows else None


async def drop_note(connection: AsyncConnection, key: str) -> bool:
    """Forget a note; whether there was one."""
    done = await connection.execute(delete(NOTES).where(NOTES.c.key == key))
    return done.rowcount > 0


async def drop_notes(connection: AsyncConnection, owner: str) -> int:
    """Forget all notes of an owner; how many there were."""
    done = await connection.execute(delete(NOTES).where(NOTES.c.owner == owner))
    return done.rowcount


async def forget_notes(connection: AsyncConnection, now_ms: int) -> None:
    """Delete some that have expired."""
    old = await connection.scalars(
        select(NOTES.c.key)
        .where(NOTES.c.expires_ms <= now_ms)
        .order_by(NOTES.c.expires_ms)
        .limit(_OLD_NOTES)
    )
    keys = old.all()
    await connection.execute(
        delete(NOTES).where(NOTES.c.key.in_(keys), NOTES.c.expires_ms <= now_ms)
    )
