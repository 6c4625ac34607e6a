"""The store in a SQLite file: the contract, and what is its own."""
# ruff: noqa: ASYNC240, S608 - small local files; statements of our own

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.keyring import Keyring
from bearer_guard.store import AccountStore, NoteStore, Store, open_store
from bearer_guard.stores._rows import FIXED_COLUMNS
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import (
    AccountStoreContract,
    ManualClock,
    NoteStoreContract,
    StoreContract,
    a_record,
    a_token,
)
from tests.stores.files import folder

KEYRING = Keyring.generate()


@pytest.fixture
def path() -> Iterator[Path]:
    with folder() as where:
        yield where / "tokens.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


def run_sql(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """As somebody else would who can write to the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement, values)


class TestSqliteStore(StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture
    async def store(self, path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(path, clock=clock)
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def second(self, store: SqliteStore, clock: ManualClock) -> AsyncIterator[SqliteStore]:
        other = SqliteStore(store._link.path, clock=clock)
        await other.open()
        yield other
        await other.close()

    async def lose_revisions(self, store: SqliteStore, count: int) -> None:
        run_sql(
            store._link.path,
            "UPDATE meta SET (revision, tag) ="
            " (SELECT revision, tag FROM revisions WHERE revision = meta.revision - ?1)",
            "DELETE FROM revisions WHERE revision > (SELECT revision FROM meta) AND ?1",
            "DELETE FROM log WHERE revision > (SELECT revision FROM meta) AND ?1",
            values=(count,),
        )


@pytest.mark.parametrize("protocol", [Store, AccountStore, NoteStore])
def test_it_is_all_that_a_store_can_be(path: Path, protocol: type) -> None:
    assert isinstance(SqliteStore(path), protocol)


# URLs


def test_a_relative_path_is_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore.from_url("sqlite:///some/tokens.db")
    monkeypatch.chdir("/")
    assert store._link.path == tmp_path / "some" / "tokens.db"


@pytest.mark.parametrize("name", ["tokens.db", "a b.db", "caf\u00e9?.db", "100%.db", "x#1.db"])
async def test_an_absolute_path_has_a_slash_more(tmp_path: Path, name: str) -> None:
    store = open_store(f"sqlite:///{quote(str(tmp_path / name))}")
    await store.open()
    await store.close()
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite://tokens.db",
        "sqlite:tokens.db",
        "sqlite:/tokens.db",
        "sqlite:///:memory:",
        "sqlite:///a.db?timeout=5",
        "sqlite:///a.db#x",
        "sqlite:///a%00b.db",
        "sqlite+aiosqlite:///a.db",
    ],
)
def test_another_form_of_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///relative/path"):
        open_store(url)


def test_options_go_with_the_url() -> None:
    clock = ManualClock()
    store = SqliteStore.from_url("sqlite:///a.db", clock=clock, timeout=0.1)
    assert store._clock is clock
    with pytest.raises(ConfigurationError, match="no such store option: tiemout"):
        SqliteStore.from_url("sqlite:///a.db", tiemout=0.1)


# The file


async def test_a_new_file_is_for_its_owners_eyes_only(path: Path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(path)
        await store.open()
        await store.add(a_record())
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    await store.close()
    assert modes == {"tokens.db": 0o600, "tokens.db-wal": 0o600, "tokens.db-shm": 0o600}


async def test_the_mode_of_a_file_that_is_there_is_left_alone(path: Path) -> None:
    path.touch(0o640)
    store = SqliteStore(path)
    await store.open()
    await store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_store_that_was_not_opened_says_so(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match="not open"):
        store.fetch_now([uuid4()])
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.page(None, None, 5)
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.add(a_record())
    assert not path.exists()


async def test_a_file_that_is_gone_is_no_answer(path: Path) -> None:
    """What is written to it would be lost, and an end that another process writes not seen."""
    clock = ManualClock()
    store = SqliteStore(path, clock=clock)
    await store.open()
    path.unlink()
    clock.advance(1)
    for call in (store.fetch([uuid4()]), store.changes(None), store.end(uuid4(), 5)):
        with pytest.raises(StoreUnavailable, match="No such file"):
            await call
    assert not path.exists()
    await store.close()


async def test_another_file_in_its_place_is_noticed(path: Path) -> None:
    """As when a backup is put back under a running service."""
    clock = ManualClock()
    store, backup = SqliteStore(path, clock=clock), SqliteStore(path.with_name("backup.db"))
    old, restored = a_record(), a_record()
    await store.open()
    await store.add(old)
    cursor = (await store.changes(None)).cursor
    await backup.open()
    await backup.add(restored)
    await backup.close()
    path.with_name("backup.db").rename(path)
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink()
    clock.advance(0.05)
    assert set(await store.fetch([old.id, restored.id])) == {restored.id}
    assert (await store.changes(cursor)).reset
    await store.end(restored.id, 5)
    assert (await store.fetch([restored.id]))[restored.id].ended_ms == 5
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT ended_ms FROM tokens").fetchall() == [(5,)]


# Reading on the loop


async def test_fetch_now_is_fetch(store: SqliteStore) -> None:
    records = [a_record() for _ in range(3)]
    for record in records:
        await store.add(record)
    ids = [uuid4(), *(record.id for record in records)]
    assert store.fetch_now(ids) == await store.fetch(ids) == {r.id: r for r in records}


async def test_no_read_leaves_a_transaction_open(store: SqliteStore, path: Path) -> None:
    """In an open one no later change would be seen, and the WAL would grow for ever."""
    record = a_record()
    await store.add(record)
    store.fetch_now([record.id, uuid4()])
    await store.changes(None)
    await store.policy()
    await store.account("alice")
    await store.note("key", 5)
    await store.end(record.id, 5)
    with closing(sqlite3.connect(path)) as other:
        blocked, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert blocked == 0


async def test_it_serves_one_event_loop_after_the_other(path: Path) -> None:
    store, records = SqliteStore(path), [a_record() for _ in range(3)]

    async def use(record: object) -> object:
        await store.add(record)
        await store.end(record.id, 5)
        return await store.fetch([record.id])

    def loops() -> None:
        asyncio.run(store.open())
        for record in records:
            found = asyncio.run(use(record))
            assert found == {record.id: record.end(5, "deleted")}
        asyncio.run(store.close())

    await asyncio.to_thread(loops)


async def test_two_polls_a_moment_apart_read_once(path: Path) -> None:
    store = SqliteStore(path, clock=ManualClock())
    await store.open()
    cursor = (await store.changes(None)).cursor
    statements: list[str] = []
    store._link.reader().set_trace_callback(statements.append)
    assert (await store.changes(cursor)).cursor == cursor
    assert statements == ["PRAGMA data_version"]
    await store.end_all("nobody", 5)  # writes nothing
    await store.add(a_record())
    statements.clear()
    assert (await store.changes(cursor)).cursor == cursor
    assert len(statements) > 1
    await store.close()


# Rows that somebody else has been at

JUNK = ["NULL", "1", "1.5", "''", "'x'", "'[1]'", "x''", "x'00'", "CAST(x'ff' AS TEXT)", "2e300"]


@pytest.mark.parametrize("column", FIXED_COLUMNS[1:])
async def test_whatever_stands_in_a_column_no_seal_fits_it_and_nothing_fails(
    store: SqliteStore, path: Path, column: str
) -> None:
    run_sql(path, *UNCHECKED)
    store._link.let_go()  # the schema has changed
    for value in JUNK:
        _, record = a_token(KEYRING, a_record(scopes=["a"], parent=uuid4(), binding=b"key"))
        await store.add(record)
        run_sql(path, UNCHECKED[0], f"UPDATE tokens SET {column} = {value}")
        found = await store.fetch([record.id])
        assert KEYRING.sealed(found[record.id]) is False
        assert store.fetch_now([record.id]) == found
        assert len((await store.page(None, None, 5)).records) <= 1
        assert await store.end(record.id, 5) is not None
        await store.key_usage(5)
        assert await store.purge(6) == 1


UNCHECKED = (
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA writable_schema = ON",
    "UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'tokens'",
    "PRAGMA writable_schema = RESET",
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE last_used SET at_ms = 'x'",
        "UPDATE last_used SET source = x'00'",
        "UPDATE tokens SET ended_ms = 'x'",
        "UPDATE tokens SET ended_ms = 1.5",
        "UPDATE tokens SET end_reason = x'ff'",
        "UPDATE accounts SET disabled = 'x'",
    ],
)
async def test_what_is_not_sealed_must_make_sense_all_the_same(
    store: SqliteStore, path: Path, statement: str
) -> None:
    _, record = a_token(KEYRING, a_record(last_used_ms=5, last_used_from="::1"))
    await store.add(record)
    run_sql(path, "INSERT INTO accounts VALUES ('alice', NULL, 0, 0, 0, 1, 1)", statement)
    assert KEYRING.sealed((await store.fetch([record.id]))[record.id]) is False
    assert len((await store.page("alice", None, 5)).records) == 1


@pytest.mark.parametrize("id", ["'x'", "x'00'", "5", "'0123456789abcdef'", "randomblob(17)"])
async def test_a_row_whose_id_is_none_is_not_listed(
    store: SqliteStore, path: Path, id: str
) -> None:
    records = [a_record(created_ms=at_ms) for at_ms in (1, 2, 3)]
    for record in records:
        await store.add(record)
    columns = ", ".join([*FIXED_COLUMNS[1:], "ended_ms", "end_reason"])
    run_sql(
        path,
        "PRAGMA ignore_check_constraints = ON",
        f"INSERT INTO tokens (id, {columns}) SELECT {id}, {columns} FROM tokens LIMIT 1",
    )
    first = await store.page(None, None, 2)
    rest = await store.page(None, first.next, 2)
    assert [r.created_ms for r in (*first.records, *rest.records)] == [3, 2, 1]
    levels = [finding.level for finding in await store.diagnose()]
    assert "error" in levels


async def test_a_log_that_somebody_has_been_at_is_a_reset(store: SqliteStore, path: Path) -> None:
    cursor = (await store.changes(None)).cursor
    record = a_record()
    await store.add(record)
    await store.end(record.id, 5)
    run_sql(path, "UPDATE log SET id = 'x'")
    assert (await store.changes(cursor)).reset


@pytest.mark.parametrize(
    "statement", ["DELETE FROM meta", "UPDATE meta SET policy = '{}'", "DROP TABLE meta"]
)
async def test_settings_that_somebody_has_been_at_are_no_answer(
    store: SqliteStore, path: Path, statement: str
) -> None:
    run_sql(path, statement)
    with pytest.raises(StoreUnavailable):
        await store.policy()
    with pytest.raises(StoreUnavailable):
        await store.changes(None)


async def test_the_counter_that_is_gone_is_no_end(store: SqliteStore, path: Path) -> None:
    """An end that nobody could be told of must not look like one."""
    record = a_record()
    await store.add(record)
    run_sql(path, "DELETE FROM meta")
    with pytest.raises(StoreUnavailable):
        await store.end(record.id, 5)
