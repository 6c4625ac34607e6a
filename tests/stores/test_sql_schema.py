"""The tables: made once, by whoever comes first; brought forward, never back."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores import _sql_schema as schema
from bearer_guard.stores._sql_tables import METADATA, VERSION_TABLE
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import Database, Mariadb, Postgresql, a_database
from tests.stores.sql_support import opened

ROOT: Final = Path(__file__).resolve().parents[2]
OPENER: Final = """
import asyncio, sys
from bearer_guard.stores.sql import SqlStore

async def main():
    store = SqlStore.from_url(sys.argv[1])
    await store.open()
    print((await store.changes(None)).cursor.epoch)
    await store.close()

asyncio.run(main())
"""


@pytest.fixture(params=["postgresql", "mariadb"])
def empty(
    request: pytest.FixtureRequest, postgresql: Postgresql, mariadb: Mariadb
) -> Iterator[Database]:
    with a_database(mariadb if request.param == "mariadb" else postgresql) as database:
        yield database


def test_the_version_that_opening_knows_is_that_of_the_last_migration() -> None:
    scripts = ScriptDirectory(str(ROOT / "bearer_guard" / "stores" / "migrations"))
    assert scripts.get_heads() == [schema.HEAD]


async def test_many_processes_may_open_an_empty_database_at_once(empty: Database) -> None:
    openers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", OPENER, empty.url()),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    outputs = [await opener.communicate() for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * 2, outputs
    assert len({epoch for epoch, _ in outputs}) == 1  # all see one store
    assert len(empty.sql("SELECT revision FROM bearer_guard_log")) == 1


async def test_many_stores_may_open_an_empty_database_at_once(empty: Database) -> None:
    stores = [SqlStore.from_url(empty.url(tail="?pool_size=1")) for _ in range(6)]
    for store in stores:
        store._gateway.seconds = 10
    await asyncio.gather(*(store.open() for store in stores))
    epochs = {(await store.changes(None)).cursor.epoch for store in stores}
    assert len(epochs) == 1
    for store in stores:
        await store.close()


async def test_what_broke_off_half_way_is_finished(empty: Database) -> None:
    """Where DDL has no transactions, a process that was killed leaves a part of the tables."""
    async with opened(empty.url()):
        pass
    empty.sql("DELETE FROM bearer_guard_version")
    empty.sql("DROP TABLE bearer_guard_notes")
    empty.sql("DROP TABLE bearer_guard_last_used")
    async with opened(empty.url()) as store:
        record = a_record(last_used_ms=5)
        await store.add(record)
        assert await store.fetch([record.id]) == {record.id: record}


async def test_tables_of_others_are_left_alone(empty: Database) -> None:
    empty.sql("CREATE TABLE theirs (id INTEGER PRIMARY KEY)")
    async with opened(empty.url()):
        pass
    assert empty.sql("SELECT count(*) FROM theirs")[0][0] in {0, "0"}


async def test_the_migrations_make_the_tables_that_the_statements_use(empty: Database) -> None:
    def difference(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return compare_metadata(context, METADATA)

    async with opened(empty.url()) as store, store._gateway.patient() as connection:
        assert await connection.run_sync(difference) == []


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("9999", "upgrade bearer-guard"), ("0000", "store upgrade"), ("abcdef", "upgrade bearer-g")],
)
async def test_tables_of_another_version_are_refused(
    empty: Database, version: str, sentence: str
) -> None:
    async with opened(empty.url()):
        pass
    empty.sql(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")  # noqa: S608
    store = SqlStore.from_url(empty.url())
    with pytest.raises(StoreUnavailable, match=sentence):
        await store.open()
    if version != "0000":
        with pytest.raises(StoreUnavailable, match=sentence):
            await store.upgrade()
    findings = await store.diagnose()
    assert [f.level for f in findings if version in f.text] == ["error"]
    await store.close()


async def test_an_upgrade_says_in_one_line_what_it_did(empty: Database) -> None:
    store = SqlStore.from_url(empty.url())
    assert await store.upgrade() == "the tables were made: version 0001"
    assert await store.upgrade() == "the tables are of version 0001 already"
    await store.close()


async def test_who_may_not_make_tables_is_told_so(postgresql: Postgresql) -> None:
    with a_database(postgresql) as database:
        role = f"r{database.name}"
        database.sql(f"CREATE ROLE {role} LOGIN")
        url = database.url().replace("//bg@", f"//{role}@")
        try:
            with pytest.raises(StoreUnavailable, match="permission denied"):
                await SqlStore.from_url(url).open()
        finally:
            database.sql(f"DROP ROLE {role}")
