"""asyncpg's own side. All else is proved on each driver in ``test_sql`` and its neighbours."""

import pytest
from sqlalchemy import make_url

from bearer_guard.stores._sql_asyncpg import AsyncpgDriver
from tests.stores.servers import Postgresql


@pytest.fixture
def driver(postgresql: Postgresql) -> AsyncpgDriver:
    return AsyncpgDriver(make_url(postgresql.url()), statement_cache_size=None)


async def test_a_connection_that_is_cut_is_closed(driver: AsyncpgDriver) -> None:
    connection = await driver.connect()
    assert not driver.closed(connection)
    assert [tuple(row) for row in await driver.rows(connection, "SELECT $1::int", [5])] == [(5,)]
    driver.cut(connection)
    assert driver.closed(connection)
    driver.cut(connection)
    driver.hang_up(connection)


async def test_without_a_cache_no_statement_is_left_on_the_server(postgresql: Postgresql) -> None:
    driver = AsyncpgDriver(make_url(postgresql.url()), statement_cache_size=0)
    connection = await driver.connect()
    await driver.rows(connection, "SELECT $1::int", [5])
    left = await driver.rows(connection, "SELECT name FROM pg_prepared_statements", [])
    assert list(left) == []
    driver.hang_up(connection)


async def test_parameters_of_the_url_are_the_drivers(postgresql: Postgresql) -> None:
    url = make_url(postgresql.url(tail="?application_name=guard"))
    driver = AsyncpgDriver(url, statement_cache_size=None)
    connection = await driver.connect()
    rows = await driver.rows(connection, "SELECT current_setting('application_name')", [])
    assert [tuple(row) for row in rows] == [("guard",)]
    driver.hang_up(connection)
