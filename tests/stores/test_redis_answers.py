"""Waiting for Redis: limits, several at once, one kind of error."""

import asyncio
import traceback

import pytest
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores._redis_answers import CALL_SECONDS, NobodyKnows, all_of, answers, failure
from bearer_guard.stores._redis_link import Link
from bearer_guard.stores._redis_url import parse


@pytest.fixture
async def link() -> Link:
    return Link(parse("redis://me:5ecret@localhost:1")[0], SYSTEM_CLOCK)


async def number(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def trouble(error: Exception) -> int:
    raise error


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_all_are_waited_for(count: int) -> None:
    assert await all_of(number(n) for n in range(count)) == list(range(count))


async def test_an_error_comes_when_all_have_ended() -> None:
    done = asyncio.Event()

    async def late() -> int:
        await asyncio.sleep(0.01)
        done.set()
        return 1

    with pytest.raises(RedisError, match="first"):
        await all_of([trouble(RedisError("first")), late(), trouble(RedisError("second"))])
    assert done.is_set()


async def test_time_is_limited(link: Link) -> None:
    clock = asyncio.get_running_loop().time
    start = clock()
    with pytest.raises(StoreUnavailable, match="does not answer within"):
        async with answers(link):
            await asyncio.Event().wait()
    assert CALL_SECONDS <= clock() - start < 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ReadOnlyError("5ecret"), "is a replica"),
        (OutOfMemoryError("5ecret"), "no memory left"),
        (NoPermissionError("5ecret"), "does not let this user"),
        (AuthenticationError("5ecret"), "does not accept the user name or the password"),
        (ResponseError("NOREPLICAS 5ecret"), "lost its replicas"),
        (ResponseError("MISCONF 5ecret"), "disk full"),
        (ResponseError("ERR unknown command 'X', with args beginning with: '5ecret'"), "refuses"),
        (RedisConnectionError("5ecret"), "can't be reached"),
        (NobodyKnows("so"), "localhost:1: so"),
        (ConnectionResetError("5ecret"), "can't be reached"),
    ],
)
async def test_an_error_says_what_is_wrong_and_no_more(
    link: Link, error: RedisError | OSError, words: str
) -> None:
    with pytest.raises(StoreUnavailable, match=words) as caught:
        async with answers(link):
            raise error
    assert caught.value.__cause__ is error
    assert "5ecret" not in str(caught.value)
    assert "localhost:1" in str(caught.value)
    told = "".join(traceback.format_exception_only(failure(link, error)))
    assert "5ecret" not in told


async def test_what_is_no_error_of_the_server_passes(link: Link) -> None:
    with pytest.raises(KeyError):
        async with answers(link):
            raise KeyError
    with pytest.raises(asyncio.CancelledError):
        async with answers(link):
            raise asyncio.CancelledError
