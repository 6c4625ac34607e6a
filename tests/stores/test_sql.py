"""The store in an SQL database: the contract on each driver, and what is its own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import (
    AccountStoreContract,
    ManualClock,
    NoteStoreContract,
    StoreContract,
)
from tests.stores.servers import DRIVERS, Database, Mariadb, Postgresql, a_database


def patient(store: SqlStore) -> SqlStore:
    """With more time for an answer: on a busy machine the contract's crowds have to queue."""
    store._gateway.seconds = 10
    return store


class SqlContract(StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture
    async def store(self, database: Database, clock: ManualClock) -> AsyncIterator[SqlStore]:
        store = patient(SqlStore.from_url(database.url(), clock=clock))
        await store.open()
        database.wipe()
        yield store
        await store.close()

    @pytest.fixture
    async def second(
        self,
        store: SqlStore,  # noqa: ARG002 - it has made the tables
        database: Database,
        clock: ManualClock,
    ) -> AsyncIterator[SqlStore]:
        other = patient(SqlStore.from_url(database.url(), clock=clock))
        await other.open()
        yield other
        await other.close()

    async def lose_revisions(self, store: SqlStore, count: int) -> None:
        async with store._gateway.patient() as connection:
            await connection.exec_driver_sql(
                "DELETE FROM bearer_guard_log WHERE revision >"  # noqa: S608 - numbers and names
                f" (SELECT revision - {count} FROM bearer_guard_meta)"
            )
            for column in ("tag", "revision"):
                await connection.exec_driver_sql(
                    f"UPDATE bearer_guard_meta SET {column} = (SELECT {column}"  # noqa: S608
                    " FROM bearer_guard_log ORDER BY revision DESC LIMIT 1)"
                )


class TestAsyncpg(SqlContract):
    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql: Postgresql) -> Iterator[Database]:
        with a_database(postgresql, DRIVERS["asyncpg"]) as database:
            yield database


class TestPsycopg(SqlContract):
    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql: Postgresql) -> Iterator[Database]:
        with a_database(postgresql, DRIVERS["psycopg"]) as database:
            yield database


class TestAsyncmy(SqlContract):
    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, mariadb: Mariadb) -> Iterator[Database]:
        with a_database(mariadb, DRIVERS["asyncmy"]) as database:
            yield database
