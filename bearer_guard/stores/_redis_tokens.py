"""What is done to the tokens of a Redis store."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from bearer_guard.errors import DuplicateToken
from bearer_guard.store import KeyUsage, Page

from . import _redis_scripts as scripts
from ._redis_answers import all_of
from ._redis_rows import (
    Reply,
    decode_token,
    encode_place,
    encode_token,
    new_tag,
    split_place,
)
from ._rows import decode_position, encode_position

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from bearer_guard.record import TokenRecord, Use

    from ._redis_database import Database
    from ._redis_scripts import Arg

__all__ = ["add", "end", "end_all", "fetch", "key_usage", "page", "purge", "touch"]

# So many tokens a script at most: it holds up everybody else, for some milliseconds.
LOOK_TOKENS: Final = 500
TOUCH_TOKENS: Final = 500
PURGE_TOKENS: Final = 500


async def add(db: Database, record: TokenRecord) -> None:
    """Keep a new record.

    Raises:
        DuplicateToken: The id is taken.
    """
    death = record.dead_ms()
    args: list[Arg] = [
        record.id.hex,
        encode_place(record.created_ms, record.id),
        record.owner,
        record.key_id,
        "" if record.family == record.id else record.family.hex,
        "+inf" if death is None else death,
    ]
    for field, value in encode_token(record).items():
        args += (field, value)
    if not await db.write(scripts.ADD, db.shard_of(record.id), *args):
        raise DuplicateToken("a token with this id exists")


async def fetch(db: Database, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
    """The records with these ids; unknown ids are left out."""
    wanted: dict[int, list[UUID]] = defaultdict(list)
    for id in ids:
        wanted[db.shard_of(id)].append(id)
    replies = await db.run_each(
        scripts.FETCH, {shard: [id.hex for id in asked] for shard, asked in wanted.items()}
    )
    return {
        id: decode_token(id, token)
        for shard, asked in wanted.items()
        for id, token in zip(asked, cast("list[Reply]", replies[shard]), strict=True)
        if token is not None
    }


async def end(db: Database, id: UUID, at_ms: int, reason: str) -> TokenRecord | None:
    """End a token's life at ``at_ms``, or leave it where it ends earlier already."""
    args = (id.hex, at_ms, reason, new_tag())
    token = await db.write(scripts.END, db.shard_of(id), *args)
    return None if token is None else decode_token(id, token)


async def end_all(db: Database, owner: str, at_ms: int, *, family: UUID | None, reason: str) -> int:
    """End all tokens of an owner, or those of one family of the owner's.

    A thousand at a time, each thousand of a shard at once: a server that ended a million in one go
    would answer nobody for seconds.
    """
    head = (owner, "" if family is None else family.hex, at_ms, reason)
    return sum(await all_of(_end_all_of(db, shard, *head) for shard in range(db.shards)))


async def _end_all_of(db: Database, shard: int, *head: Arg) -> int:
    total, following = 0, b"-"
    while following:
        reply = await db.write(scripts.END_ALL, shard, *head, new_tag(), following)
        ended, following = cast("tuple[int, bytes]", reply)
        total += ended
    return total


async def touch(db: Database, uses: Mapping[UUID, Use]) -> None:
    """Note when tokens were last used."""
    rows: dict[int, list[Arg]] = defaultdict(list)
    for id, use in uses.items():
        rows[db.shard_of(id)] += (id.hex, use.at_ms, use.source or "")
    await all_of(_touch(db, shard, args) for shard, args in rows.items())


async def _touch(db: Database, shard: int, args: list[Arg]) -> None:
    step = TOUCH_TOKENS * 3
    for start in range(0, len(args), step):
        await db.run(scripts.TOUCH, shard, *args[start : start + step])


class _Placed(NamedTuple):
    place: bytes
    token: Reply


async def page(
    db: Database, owner: str | None, after: str | None, limit: int, *, now_ms: int | None
) -> Page:
    """Records, newest first."""
    below = b"+" if after is None else f"({encode_place(*decode_position(after))}".encode()
    listing = ("", 1) if owner is None else (owner, 0)
    now = "" if now_ms is None else now_ms
    # One more than asked for, to know whether there is a next page.
    found = await all_of(
        _page_of(db, shard, listing, below, limit + 1, now) for shard in range(db.shards)
    )
    # No two tokens have one place: what is compared is never a token.
    placed = sorted((one for shard in found for one in shard), reverse=True)
    shown = [(split_place(one.place), one.token) for one in placed[:limit]]
    records = [decode_token(id, token) for (_, id), token in shown]
    more = len(placed) > limit
    return Page(records, encode_position(*shown[-1][0]) if more else None)


async def _page_of(  # noqa: PLR0917 - the arguments of the script
    db: Database, shard: int, listing: tuple[str, int], below: bytes, wanted: int, now: Arg
) -> list[_Placed]:
    found: list[_Placed] = []
    while below and len(found) < wanted:
        args = (*listing, below, wanted - len(found), LOOK_TOKENS, now)
        reply = await db.run(scripts.PAGE, shard, *args)
        turns, below = cast("tuple[list[Reply], bytes]", reply)
        places = cast("list[bytes]", turns[::2])
        found += map(_Placed, places, turns[1::2])
    return found


async def purge(db: Database, before_ms: int, limit: int | None) -> int:
    """Delete the records that expired or ended before ``before_ms``; returns how many."""
    total = 0
    for shard in range(db.shards):
        while limit is None or total < limit:
            most = PURGE_TOKENS if limit is None else min(PURGE_TOKENS, limit - total)
            purged = cast("int", await db.run(scripts.PURGE, shard, before_ms, most))
            total += purged
            if not purged:
                break
    return total


async def key_usage(db: Database, now_ms: int) -> dict[str, KeyUsage]:
    """The tokens that are live at ``now_ms``, counted by key id."""
    replies = await db.run_each(scripts.KEY_USAGE, dict.fromkeys(range(db.shards), (now_ms,)))
    counts: dict[str, int] = defaultdict(int)
    lasts: dict[str, float] = defaultdict(float)
    for reply in replies.values():
        for key_id, count, last in cast("list[tuple[bytes, int, bytes]]", reply):
            name = key_id.decode()
            counts[name] += count
            lasts[name] = max(lasts[name], float(last))
    return {
        name: KeyUsage(count, None if lasts[name] == float("inf") else int(lasts[name]))
        for name, count in counts.items()
    }
