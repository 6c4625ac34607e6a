"""What the tests of SQL stores share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.record import TokenRecord
from bearer_guard.stores import _sql_tokens as tokens
from bearer_guard.stores._sql_gateway import CALL_SECONDS
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


PATIENCE: Final = 10.0  # seconds: a busy machine is no bug


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[SqlStore]:
    """A store, closed at the end. Its calls have more time than others', until ``in_haste``."""
    store = SqlStore.from_url(url, **options)
    store._gateway.seconds = PATIENCE
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def add_all(store: SqlStore, records: Iterable[TokenRecord]) -> None:
    """Add many, in one transaction."""
    async with store._gateway.writing() as writing:
        for record in records:
            await tokens.add(writing.connection, record)


def in_haste(store: SqlStore) -> SqlStore:
    """Its calls have the time that calls have: for tests of what is not answered."""
    store._gateway.seconds = CALL_SECONDS
    return store


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
