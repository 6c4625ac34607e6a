"""Who answers, and what is left out for CockroachDB, which an imitation by PostgreSQL can show."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column

from bearer_guard.stores._sql_dialect import is_cockroachdb
from bearer_guard.stores._sql_tables import METADATA
from bearer_guard.stores._sql_types import Exact
from bearer_guard.stores.sql import SqlStore
from tests.stores.servers import DRIVERS, Database, Postgresql, a_database, an_imitation
from tests.stores.sql_support import opened

COLLATED = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND collation_name = 'C'
"""
COLUMNS = [column for table in METADATA.sorted_tables for column in table.columns]


def is_exact(column: Column[object]) -> bool:
    return isinstance(column.type, Exact)


@pytest.fixture(params=["asyncpg", "psycopg"])
def imitation(request: pytest.FixtureRequest, postgresql: Postgresql) -> Iterator[Database]:
    with an_imitation(postgresql, DRIVERS[request.param]) as database:
        yield database


async def dialect_of(store: SqlStore) -> tuple[bool, tuple[int, ...]]:
    async with store._gateway.reading() as connection:
        dialect = connection.dialect
        return is_cockroachdb(dialect), dialect.server_version_info or ()


async def test_cockroachdb_is_told_from_postgresql(
    imitation: Database, postgresql: Postgresql
) -> None:
    async with opened(imitation.url()) as store:
        assert await dialect_of(store) == (True, (13, 0))
    with a_database(postgresql, DRIVERS["asyncpg"]) as database:
        async with opened(database.url()) as store:
            known, version = await dialect_of(store)
    assert not known
    assert version > (17,)


async def test_cockroachdb_is_given_no_collations_and_postgresql_is(
    imitation: Database, postgresql: Postgresql
) -> None:
    async with opened(imitation.url()):
        assert len(imitation.sql(COLLATED)) == 0
    with a_database(postgresql) as database:
        async with opened(database.url()):
            assert len(database.sql(COLLATED)) == len([c for c in COLUMNS if is_exact(c)])


async def test_tables_are_made_outside_a_transaction(imitation: Database) -> None:
    """CockroachDB may refuse them within one, or end it before."""
    imitation.sql(
        "CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'stopped'; END $$;"
        "CREATE EVENT TRIGGER no_index ON ddl_command_start WHEN TAG IN ('CREATE INDEX')"
        " EXECUTE FUNCTION stop()"
    )
    store = SqlStore.from_url(imitation.url())
    with pytest.raises(Exception, match="stopped"):
        await store.open()
    assert len(imitation.sql("SELECT * FROM bearer_guard_meta")) == 0  # there, and left as it is
    imitation.sql("DROP EVENT TRIGGER no_index")
    async with opened(imitation.url()):
        assert len(imitation.sql("SELECT * FROM bearer_guard_meta")) == 1


def test_no_name_is_a_word_that_cockroachdb_alone_keeps_for_itself() -> None:
    """By its grammar: the words that can be no column's name there, and can be in PostgreSQL."""
    kept = {"family", "index", "nothing"}
    quoted = [column for column in COLUMNS if getattr(column.name, "quote", False)]
    assert {column.name for column in COLUMNS if column not in quoted} & kept == set()
