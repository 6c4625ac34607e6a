"""Waiting for Redis: for so long, for several at once, and with one kind of error."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar, cast

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from bearer_guard.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable

    from ._redis_link import Link

__all__ = ["CALL_SECONDS", "NobodyKnows", "all_of", "answers", "failure"]

T = TypeVar("T")

CALL_SECONDS: Final = 0.7  # for one round trip, and finding out where to

_REFUSALS: Final = {
    ReadOnlyError: "is a replica, and not the primary",
    OutOfMemoryError: "has no memory left (maxmemory)",
    NoPermissionError: "does not let this user do that: see the rules in the documentation",
    AuthenticationError: "does not accept the user name or the password",
    BusyLoadingError: "is still reading its data",
    ClusterDownError: "lacks a part of its cluster",
    AskError: "is handing the slot over to another node",
    RedisTimeoutError: f"does not answer within {CALL_SECONDS} s",
    TimeoutError: f"does not answer within {CALL_SECONDS} s",
}
_CODES: Final = {
    "NOREPLICAS": "has lost its replicas (min-replicas-to-write)",
    "MISCONF": "can't save its data: is the disk full?",
    "BUSY": "is busy with somebody's script",
    "UNBLOCKED": "is no longer the primary",
}


class NobodyKnows(RedisError):
    """Servers answer, but not where the data are. The text says why."""


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """What these return, waited for together; the first error, once all have ended."""
    waiting = list(calls)
    if len(waiting) == 1:  # it needs no task
        return [await waiting[0]]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("list[T]", outcomes)


@asynccontextmanager
async def answers(link: Link) -> AsyncIterator[None]:
    """Limit the time, and turn what redis-py raises into ``StoreUnavailable``."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except (RedisError, OSError) as error:
        link.forget()
        raise failure(link, error) from error


def failure(link: Link, error: RedisError | OSError) -> StoreUnavailable:
    """What to raise for such an error. Its own text is left out: it may quote what was sent."""
    if isinstance(error, NobodyKnows):
        return StoreUnavailable(f"Redis at {link}: {error}")
    for kind, words in _REFUSALS.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"Redis at {link} {words}")
    if isinstance(error, ResponseError):
        code = str(error).partition(" ")[0]
        return StoreUnavailable(f"Redis at {link} {_CODES.get(code, 'refuses the call')}")
    return StoreUnavailable(f"Redis at {link} can't be reached")
