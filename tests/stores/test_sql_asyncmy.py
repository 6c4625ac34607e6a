"""asyncmy's own side. All else is proved on each driver in ``test_sql`` and its neighbours."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from bearer_guard.errors import ConfigurationError
from bearer_guard.stores._sql_asyncmy import AsyncmyDriver
from tests.stores.servers import Database, Mariadb, Mysql, a_database


@pytest.fixture
def database(mariadb: Mariadb) -> Iterator[Database]:
    with a_database(mariadb) as database:
        yield database


@pytest.fixture
def driver(database: Database) -> AsyncmyDriver:
    return AsyncmyDriver(make_url(database.url()), statement_cache_size=None)


@pytest.mark.parametrize("name", ["ssl_ca", "ssl_cert"])
def test_a_file_of_tls_that_is_none_is_a_setting_that_cannot_work(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "junk").write_text("junk")
    for path in ("/nosuch", tmp_path / "junk"):
        url = make_url(f"mysql://u@h/d?{name}={path}")
        with pytest.raises(ConfigurationError, match="a file of ssl_ca, ssl_cert, ssl_key"):
            AsyncmyDriver(url, statement_cache_size=None)


async def test_what_waits_on_a_connection_that_is_cut_fails_at_once(driver: AsyncmyDriver) -> None:
    connection = await driver.connect()
    waiting = asyncio.create_task(driver.rows(connection, "SELECT sleep(5)", ()))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    driver.cut(connection)
    with pytest.raises((*driver.errors, OSError)):
        await waiting
    assert time.monotonic() - began < 0.5
    assert driver.closed(connection)
    driver.cut(connection)


async def test_a_session_is_strict_short_and_fresh(driver: AsyncmyDriver) -> None:
    connection = await driver.connect()
    told = dict(await driver.rows(connection, "SHOW SESSION VARIABLES", ()))
    wanted = {
        "autocommit": "ON",
        "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
        "default_storage_engine": "InnoDB",
        "innodb_lock_wait_timeout": "1",
        "wait_timeout": "300",  # the pool keeps none as long
        "character_set_client": "utf8mb4",
    }
    limits = _MYSQL if Mysql.program else _MARIADB
    assert {name: told[name] for name in wanted | limits} == wanted | limits
    await connection.ensure_closed()


_MARIADB: Final = {
    "tx_isolation": "READ-COMMITTED",
    "max_statement_time": "0.600000",
    "idle_transaction_timeout": "1",
}
_MYSQL: Final = {
    "transaction_isolation": "READ-COMMITTED",
    "max_execution_time": "600",
}


async def test_bytes_and_quotes_come_back_as_they_were(driver: AsyncmyDriver) -> None:
    connection = await driver.connect()
    for value in (bytes(range(256)), "'\\\"%s\u2028\U0001f511"):
        rows = await driver.rows(connection, "SELECT %s", (value,))
        assert [tuple(row) for row in rows] == [(value,)]
    await connection.ensure_closed()
