"""Ids that ended, as they end: the change logs, read as they grow.

Best effort. A log is read from its end on, by a command that waits for more; what is missed while
nobody reads, a poll finds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from redis.crc import key_slot
from redis.exceptions import RedisError, ResponseError

from ._redis_answers import failure
from ._redis_rows import decode_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from uuid import UUID

    from ._redis_database import Database
    from ._redis_link import Link
    from ._redis_node import Command
    from ._redis_rows import Reply

__all__ = ["hints"]

News: TypeAlias = "asyncio.Queue[Collection[UUID] | RedisError | OSError]"
_Entries: TypeAlias = "list[tuple[bytes, list[bytes]]]"

WAIT_SECONDS: Final = 5.0  # for more; then it is asked again, which shows whether anybody is there
GRACE_SECONDS: Final = 1.0
MOST: Final = 100  # entries at once


async def hints(db: Database) -> AsyncIterator[Collection[UUID]]:
    """Ids that changed, over connections of their own, one a shard.

    Raises:
        StoreUnavailable: A connection was lost.
    """
    link = db.another_link()
    news: News = asyncio.Queue()
    logs = [db.log_key(shard) for shard in range(db.shards)]
    readers = [asyncio.ensure_future(_follow(link, log, news)) for log in logs]
    try:
        while True:
            item = await news.get()
            if isinstance(item, RedisError | OSError):
                raise failure(link, item) from item
            yield item
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await link.close()


async def _follow(link: Link, log: str, news: News) -> None:
    try:
        last = cast("_Entries", await _ask(link, log, ("XREVRANGE", log, "+", "-", "COUNT", 1)))
        at = last[0][0] if last else b"0-0"
        wait_ms = round(WAIT_SECONDS * 1000)
        while True:
            command = ("XREAD", "COUNT", MOST, "BLOCK", wait_ms, "STREAMS", log, at)
            for _, entries in cast(
                "list[tuple[bytes, _Entries]]", await _ask(link, log, command) or []
            ):
                at = entries[-1][0]
                news.put_nowait(_told(entries))
    except (RedisError, OSError) as error:
        news.put_nowait(error)


async def _ask(link: Link, log: str, command: Command) -> Reply:
    async with asyncio.timeout(WAIT_SECONDS + GRACE_SECONDS):
        node = await link.node_of(key_slot(log.encode()))
        (reply,) = await node.send([command])
    if isinstance(reply, ResponseError):
        raise reply
    return reply


def _told(entries: _Entries) -> frozenset[UUID]:
    """The ids in these entries. What can't be told in ids is left to the polls."""
    ids = (decode_ids(fields[3]) for _, fields in entries if len(fields) > 3)  # noqa: PLR2004
    return frozenset().union(*(some for some in ids if some))
