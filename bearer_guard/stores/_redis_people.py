"""What is done to the accounts and notes of a Redis store.

An account is kept in the first shard. Every shard knows which owners are disabled, so that a
look-up is one script on one shard. Where there are several shards, a change is told to one after
the other, in the order that errs on the side of refusing: disabling is told to the others first,
and then written to the account; enabling is written first. News have rising versions, so that of
two changes at once the later holds everywhere. A call that breaks off half-way raises an error, and
is completed when it is made again.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final, cast

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Finding, Note

from . import _redis_scripts as scripts
from ._redis_answers import all_of
from ._redis_rows import Reply, decode_account, encode_account, new_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearer_guard.store import Account, AccountChange

    from ._redis_database import Database
    from ._redis_scripts import Arg

__all__ = [
    "account",
    "accounts",
    "add_account",
    "add_note",
    "change_account",
    "check_news",
    "drop_note",
    "drop_notes",
    "note",
]

HOME: Final = 0  # the shard of accounts and notes


async def account(db: Database, name: str) -> Account | None:
    """The account of exactly this name."""
    found = await _accounts(db, f"[{name}", f"[{name}", 1)
    return found[0] if found else None


async def accounts(db: Database, after: str | None, limit: int) -> list[Account]:
    """Accounts by name: UTF-8 sorts as its code points do."""
    return await _accounts(db, "-" if after is None else f"({after}", "+", limit)


async def _accounts(db: Database, first: str, last: str, limit: int) -> list[Account]:
    reply = cast("list[Reply]", await db.run(scripts.ACCOUNTS, HOME, first, last, limit))
    names = cast("list[bytes]", reply[::2])
    return [_account(name.decode(), found) for name, found in zip(names, reply[1::2], strict=True)]


async def add_account(db: Database, account: Account, now_ms: int) -> bool:
    """Keep a new account; ``False``: the name is taken."""
    args = (account.name, now_ms, new_tag(), *_flat(encode_account(account)))
    new, version = cast("tuple[int, int | None]", await db.write(scripts.ADD_ACCOUNT, HOME, *args))
    if version is not None and (account.disabled or not new):
        await _tell(db, account.name, version, now_ms, disabled=True)
    return bool(new)


async def change_account(
    db: Database, name: str, change: AccountChange, now_ms: int
) -> Account | None:
    """Change an account, and log the owner's tokens where they now work, or don't."""
    disabled, version = change.disabled, None
    if disabled is not None and db.shards > 1:
        version = cast("int | None", await db.write(scripts.ACCOUNT_NEWS, HOME, name, now_ms))
        if version is None:
            return None
        if disabled:
            await _tell(db, name, version, now_ms, disabled=True)
    fields = {
        field: int(value) if isinstance(value, bool) else value
        for field, value in asdict(change).items()
        if value is not None and field != "disabled"
    }
    news: tuple[Arg, Arg] = (_flag(disabled), "" if version is None else version)
    args = (name, now_ms, new_tag(), *news, *_flat(fields))
    reply = await db.write(scripts.CHANGE_ACCOUNT, HOME, *args)
    if version is not None and not disabled:
        await _tell(db, name, version, now_ms, disabled=False)
    return None if reply is None else _account(name, reply)


async def _tell(db: Database, owner: str, version: int, now_ms: int, *, disabled: bool) -> None:
    """Tell the shards that don't hold the account."""
    args = (owner, version, _flag(disabled), now_ms)
    await all_of(
        db.write(scripts.TELL, shard, *args, new_tag())
        for shard in range(db.shards)
        if shard != HOME
    )


async def check_news(db: Database) -> Finding:
    """Whether all shards were told the same of owners' accounts."""
    replies = await db.run_each(scripts.OWNERS_TOLD, dict.fromkeys(range(db.shards), ()))
    told = [_by_turns(reply) for reply in replies.values()]
    names = {name for names in told for name in names}
    odd = [name for name in names if len({shard.get(name, False) for shard in told}) > 1]
    if odd:
        text = (
            f"{len(odd)} accounts, {odd[0]!r} among them, are disabled in a part of the cluster"
            " only: a change broke off; disable or enable them again"
        )
        return Finding("warning", text)
    return Finding("ok", f"{db.shards} shards agree on which accounts are disabled")


def _by_turns(reply: Reply) -> dict[str, bool]:
    words = cast("list[bytes]", reply)
    return {
        name.decode(): int(version) > 0
        for name, version in zip(words[::2], words[1::2], strict=True)
    }


def _account(name: str, reply: Reply) -> Account:
    try:
        return decode_account(name, reply)
    except (ValueError, KeyError) as error:
        raise StoreUnavailable("an account in the store can't be read") from error


async def add_note(db: Database, key: str, note: Note, now_ms: int) -> bool:
    """Keep a note; ``False``: an unexpired one of this key exists."""
    args = (key, note.owner, note.value, note.expires_ms, now_ms)
    return bool(await db.write(scripts.ADD_NOTE, HOME, *args))


async def note(db: Database, key: str, now_ms: int) -> Note | None:
    """The note of this key, if it has not expired."""
    reply = await db.run(scripts.NOTE, HOME, key)
    owner, value, expires_ms = cast("list[bytes | None]", reply)
    if owner is None or value is None or expires_ms is None or int(expires_ms) <= now_ms:
        return None
    return Note(owner.decode(), value.decode(), int(expires_ms))


async def drop_note(db: Database, key: str) -> bool:
    """Forget a note; whether there was one."""
    return bool(await db.write(scripts.DROP_NOTE, HOME, key))


async def drop_notes(db: Database, owner: str) -> int:
    """Forget all notes of an owner; how many there were."""
    return cast("int", await db.write(scripts.DROP_NOTES, HOME, owner))


def _flat(fields: Mapping[str, Arg]) -> list[Arg]:
    return [part for pair in fields.items() for part in pair]


def _flag(value: bool | None) -> str:  # noqa: FBT001 - a value, not a switch
    return {None: "", False: "0", True: "1"}[value]
