"""psycopg's own side. All else is proved on each driver in ``test_sql`` and its neighbours."""

import asyncio
import time

import psycopg
import pytest
from sqlalchemy import make_url

from bearer_guard.stores._sql_psycopg import PsycopgDriver
from tests.stores.servers import Postgresql


@pytest.fixture
def driver(postgresql: Postgresql) -> PsycopgDriver:
    return PsycopgDriver(make_url(postgresql.url()), statement_cache_size=None)


async def test_what_waits_on_a_connection_that_is_cut_fails_at_once(driver: PsycopgDriver) -> None:
    connection = await driver.connect()
    waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(5)"))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    driver.cut(connection)
    with pytest.raises(psycopg.OperationalError):
        await waiting
    assert time.monotonic() - began < 0.5
    assert driver.closed(connection)
    driver.cut(connection)
    driver.hang_up(connection)


@pytest.mark.parametrize(("size", "prepared"), [(None, 1), (0, 0)])
async def test_nothing_is_prepared_without_a_cache(
    postgresql: Postgresql, size: int | None, prepared: int
) -> None:
    driver = PsycopgDriver(make_url(postgresql.url()), statement_cache_size=size)
    connection = await driver.connect()
    for _ in range(10):
        await driver.rows(connection, "SELECT %(n)s::int", {"n": 5})
    left = await driver.rows(connection, "SELECT name FROM pg_prepared_statements", {})
    assert len(left) == prepared
    driver.hang_up(connection)
