"""What the tests of SQL stores share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.record import TokenRecord
from bearer_guard.stores import _sql_tokens as tokens
from bearer_guard.stores._sql_gateway import CALL_SECONDS, Writing
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


def numbers(most: int) -> str:
    """A table of MariaDB or MySQL, with the column ``n``: 1, 2, 3."""
    array = f"concat('[0', repeat(',0', {most - 1}), ']')"
    return f"json_table({array}, '$[*]' COLUMNS (n FOR ORDINALITY)) AS numbers"


async def add_all(store: SqlStore, records: Iterable[TokenRecord]) -> None:
    """Add many, in one transaction."""

    async def add(writing: Writing) -> None:
        for record in records:
            await tokens.add(writing.connection, record)

    await store._gateway.write(add)


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
    """Try again, as a caller would, and fail when there is no answer after so many seconds."""
    async with asyncio.timeout(seconds):
        while (await outcome(ask()))[0] is not None:  # noqa: ASYNC110 - a client asks
            await asyncio.sleep(0.02)


@contextmanager
def taken_back(database: Database, times: int, *, at: str) -> Iterator[None]:
    """A server that takes so many transactions back, at the INSERT or at the COMMIT.

    The sequence counts them, whatever is taken back.
    """
    database.sql(
        f"""
        CREATE SEQUENCE tries;
        CREATE FUNCTION take_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') <= {times} THEN
                RAISE 'restart transaction' USING ERRCODE = '40001';
            END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER take_back AFTER INSERT ON bearer_guard_log
            DEFERRABLE INITIALLY {at} FOR EACH ROW EXECUTE FUNCTION take_back()
        """
    )
    try:
        yield
    finally:
        database.sql("DROP FUNCTION take_back CASCADE; DROP SEQUENCE tries")
