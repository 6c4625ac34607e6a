"""What the tests of SQL stores share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores.sql import SqlStore
from tests.stores.servers import DRIVERS, Database, Mariadb, Postgresql, a_database


@pytest.fixture(scope="module", params=DRIVERS)
def database(
    request: pytest.FixtureRequest, postgresql: Postgresql, mariadb: Mariadb
) -> Iterator[Database]:
    """An empty database for each driver."""
    server = mariadb if request.param == "asyncmy" else postgresql
    with a_database(server, DRIVERS[request.param]) as database:
        yield database


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[SqlStore]:
    """A store, closed at the end."""
    store = SqlStore.from_url(url, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def outcome(call: Awaitable[object]) -> tuple[type[BaseException] | None, float]:
    """How a call ended, and after how many seconds."""
    began = time.monotonic()
    try:
        await call
    except StoreUnavailable:
        return StoreUnavailable, time.monotonic() - began
    return None, time.monotonic() - began


async def until_it_answers(ask: Callable[[], Awaitable[object]], seconds: float = 2) -> None:
    """Try again, as a caller would, and fail when it takes longer than so many seconds."""
    began = time.monotonic()
    while (await outcome(ask()))[0] is not None:
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.02)
