"""Every word that PostgreSQL and its kin are told, and no other.

CockroachDB and YugabyteDB can't be had for tests. So whoever needs another word looks it up in
their grammars first (``docs/stores.md`` says where), and adds it here.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Final

import pytest

from bearer_guard.errors import DuplicateToken
from bearer_guard.policy import Policy
from bearer_guard.record import Use
from bearer_guard.store import Account, AccountChange, Note
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import (
    DRIVERS,
    Database,
    Postgresql,
    a_database,
    a_postgresql,
    an_imitation,
)
from tests.stores.sql_support import opened

KEYWORDS: Final = """
    ALL ALWAYS AND ANY ARRAY AS BEGIN BIGINT BOOLEAN BY BYTEA CAST COALESCE COLLATE COMMIT COMMITTED
    CONFLICT CREATE DEALLOCATE DELETE DESC DO EXISTS FOR FROM GENERATED GROUP IF IN INDEX INSERT
    INTEGER INTO IS ISOLATION JOIN KEY LEAST LEFT LEVEL LIMIT LISTEN NOT NULL ON OR ORDER OUTER
    PRIMARY READ RETURNING ROLLBACK SELECT SET STORED TABLE TEXT UPDATE VALUES VARCHAR WHERE
"""
FUNCTIONS: Final = """
    count current_schema current_setting max pg_is_in_recovery pg_notify pg_table_is_visible
    set_config to_regtype unnest version
"""
CATALOGUES: Final = "pg_catalog pg_class pg_namespace pg_settings pg_type"
SIGNS: Final = ":: = < > <= >= != * [ ] [] ;"
# asyncpg asks for each array's type; CockroachDB says that it answers since 23.1.
DRIVERS_OWN: Final = "WITH RECURSIVE typeinfo_tree"
SHOWN: Final = {"show transaction isolation level", "show standard_conforming_strings"}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """One that writes down whatever it is told."""
    with a_postgresql(
        "logging_collector=on", "log_destination=jsonlog", "log_statement=all"
    ) as server:
        yield server


def told(server: Postgresql, database: Database) -> list[str]:
    """The statements that came to a database."""
    lines = [
        json.loads(line)
        for file in sorted((server.folder / "data" / "log").glob("*.json"))
        for line in file.read_text().splitlines()
    ]
    messages = [line["message"] for line in lines if line.get("dbname") == database.name]
    found = [re.fullmatch(r"(?:statement|execute [^:]*): (.*)", m, re.DOTALL) for m in messages]
    statements = [match[1].strip() for match in found if match]
    return [said for said in statements if not said.startswith(DRIVERS_OWN)]


def words(statement: str) -> set[str]:
    """Its keywords, functions, catalogues and signs; names and values are left out."""
    if statement.startswith("show "):
        return {statement}
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", statement)
    found = re.findall(r"\b[A-Z]{2,}\b|\b[a-z_]+(?=\()|\bpg_[a-z_]+\b|[^\w\s().,$]+", bare)
    return set(found)


async def use(database: Database) -> None:
    """Call whatever sends a statement of its own."""
    record, other = a_record(owner="alice"), a_record(owner="bob", last_used_ms=5)
    account = Account(
        name="alice",
        password_hash=None,
        admin=False,
        may_generate=True,
        disabled=True,
        created_ms=1,
        password_ms=1,
    )
    async with opened(database.url()) as store:
        enough = asyncio.Event()
        hearing = asyncio.create_task(hear(store, enough))
        while not enough.is_set():
            await ended(store)
        for _ in range(7):  # until psycopg has prepared a statement, which a ROLLBACK then undoes
            await ended(store)
        cursor = (await store.changes(None)).cursor
        for token in (record, other):
            await store.add(token)
        with pytest.raises(DuplicateToken):
            await store.add(record)
        await store.touch({record.id: Use(10, None)})
        await store.fetch([record.id])
        await store.fetch([record.id, other.id])
        await store.end(record.id, 50)
        await store.changes(cursor)
        await store.end_all("alice", 9, family=record.family)
        await pages(store)
        await store.remember_keys(["k"])
        await store.key_usage(5)
        await store.set_policy(Policy())
        await people(store, account)
        await store.purge(10**15)
        await store.diagnose()
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def hear(store: SqlStore, enough: asyncio.Event) -> None:
    """Until an end is heard, or it is known that none can be."""
    hints = store.hints()
    assert hints is not None
    async for _ in hints:
        enough.set()
    enough.set()


async def ended(store: SqlStore) -> None:
    record = a_record()
    await store.add(record)
    await store.end(record.id, 1)


async def pages(store: SqlStore) -> None:
    first = await store.page(None, None, 1)
    await store.page(None, first.next, 1)
    await store.page("alice", None, 1, now_ms=1)


async def people(store: SqlStore, account: Account) -> None:
    for _ in range(2):
        await store.add_account(account)
    await store.account("alice")
    await store.accounts("a", 5)
    await store.change_account("alice", AccountChange(disabled=False))
    note = Note("alice", "value", 10**15)
    await store.add_note("key", note, 10**14)
    await store.note("key", 1)
    await store.drop_note("key")
    await store.drop_notes("alice")
    await store.policy()


async def test_no_other_word_is_said(server: Postgresql) -> None:
    said = set[str]()
    for driver in ("asyncpg", "psycopg"):
        with a_database(server, DRIVERS[driver]) as database:
            await use(database)
            said |= {word for statement in told(server, database) for word in words(statement)}
    known = {*f"{KEYWORDS} {FUNCTIONS} {CATALOGUES} {SIGNS}".split(), *SHOWN}
    assert (said - known, known - said) == (set(), set())


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_cockroachdb_hears_of_no_collation(server: Postgresql, driver: str) -> None:
    with an_imitation(server, DRIVERS[driver]) as database:
        made = len(told(server, database))
        await use(database)
        said = told(server, database)[made:]
    assert len(said) > 50
    assert [statement for statement in said if "COLLATE" in statement] == []
