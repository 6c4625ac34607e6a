"""The store in an SQL database: the contract on each driver, and what is its own."""

from collections.abc import AsyncIterator, Collection, Iterator

import pytest
import pytest_asyncio

from bearer_guard.record import TokenRecord
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import (
    AccountStoreContract,
    ManualClock,
    NoteStoreContract,
    StoreContract,
)
from bearer_guard.testing._contract_base import Contract
from bearer_guard.testing._contract_lists import PurgingContract
from bearer_guard.testing._contract_records import EndingContract, KeepingContract
from bearer_guard.testing._contract_settings import SettingsContract
from tests.stores.servers import (
    DRIVERS,
    Database,
    Mariadb,
    Postgresql,
    a_database,
    an_imitation,
)
from tests.stores.sql_support import add_all


def on_gateway_of(base: SqlStore, url: str, clock: ManualClock) -> SqlStore:
    """A store on connections that are there already: most of a test would go into making them.

    Calls have more time: on a busy machine the contract's crowds have to queue.
    """
    store = SqlStore.from_url(url, clock=clock)
    store._gateway, store._lookup = base._gateway, base._lookup
    store._poll, store._hints = base._poll, base._hints
    store._gateway.seconds = 10
    return store


@pytest.mark.asyncio(loop_scope="class")
class InDatabase(Contract):
    """How the contract's stores are made."""

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    @classmethod
    async def bases(cls, database: Database) -> AsyncIterator[list[SqlStore]]:
        bases = [SqlStore.from_url(database.url()) for _ in range(2)]
        yield bases
        for base in bases:
            await base.close()

    @pytest_asyncio.fixture(loop_scope="class")
    async def store(
        self, bases: list[SqlStore], database: Database, clock: ManualClock
    ) -> SqlStore:
        store = on_gateway_of(bases[0], database.url(), clock)
        await store.open()
        database.wipe()
        return store

    @pytest_asyncio.fixture(loop_scope="class")
    async def second(
        self,
        store: SqlStore,  # noqa: ARG002 - it has made the tables
        bases: list[SqlStore],
        database: Database,
        clock: ManualClock,
    ) -> SqlStore:
        other = on_gateway_of(bases[1], database.url(), clock)
        await other.open()
        return other

    async def add_many(self, store: SqlStore, records: Collection[TokenRecord]) -> None:
        await add_all(store, records)

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


class TestAsyncpg(InDatabase, StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql: Postgresql) -> Iterator[Database]:
        with a_database(postgresql, DRIVERS["asyncpg"]) as database:
            yield database


class TestPsycopg(
    InDatabase,
    KeepingContract,
    EndingContract,
    PurgingContract,
    SettingsContract,
    NoteStoreContract,
):
    """The server and the statements are asyncpg's: what is another's are values and errors."""

    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql: Postgresql) -> Iterator[Database]:
        with a_database(postgresql, DRIVERS["psycopg"]) as database:
            yield database


class TestAsyncmy(InDatabase, StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, mariadb: Mariadb) -> Iterator[Database]:
        with a_database(mariadb, DRIVERS["asyncmy"]) as database:
            yield database


class TestImitation(InDatabase, StoreContract, AccountStoreContract, NoteStoreContract):
    """Not CockroachDB, but what is said to it: no collations, tables made in no transaction."""

    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql: Postgresql) -> Iterator[Database]:
        with an_imitation(postgresql, DRIVERS["asyncpg"]) as database:
            yield database
