"""What administrators are told of a SQLite file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Finding
from bearer_guard.stores import _sqlite_care as care
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import a_record
from tests.stores.files import folder


@pytest.fixture
def path() -> Iterator[Path]:
    with folder() as where:
        yield where / "tokens.db"


@pytest.fixture
async def store(path: Path) -> SqliteStore:
    """With one token, and closed: it need not be open to be looked at."""
    store = SqliteStore(path)
    await store.open()
    await store.add(a_record())
    await store.close()
    return store


async def worst(store: SqliteStore) -> list[Finding]:
    return [finding for finding in await store.diagnose() if finding.level != "ok"]


async def test_a_sound_file_is_all_well(store: SqliteStore) -> None:
    findings = await store.diagnose()
    assert [finding.level for finding in findings] == ["ok"] * 5


async def test_a_file_that_others_can_read_is_a_warning(store: SqliteStore, path: Path) -> None:
    path.chmod(0o644)  # noqa: ASYNC240
    (finding,) = await worst(store)
    assert finding.level == "warning"
    assert "mode 0644" in finding.text


async def test_another_journal_is_an_error_until_the_store_is_opened(
    store: SqliteStore, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    (finding,) = await worst(store)
    assert finding == Finding("error", "journal_mode is delete, not WAL; opening the store sets it")
    await store.open()
    await store.close()
    assert await worst(store) == []


async def test_a_newer_schema_is_an_error(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    (finding,) = await worst(store)
    assert (finding.level, "version 7" in finding.text) == ("error", True)


async def test_damage_is_an_error(store: SqliteStore, path: Path) -> None:
    page = bytes(4096)
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 4096 // 2 * 4096)
        file.write(page)
    levels = [finding.level for finding in await worst(store)]
    assert "error" in levels


async def test_a_file_that_is_not_there_is_no_answer(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        await SqliteStore(path).diagnose()
    assert not path.exists()  # noqa: ASYNC240


def test_a_connection_that_does_not_wait_for_the_disk_is_an_error() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        assert care._synchronous(connection).level == "error"
        connection.execute("PRAGMA synchronous = EXTRA")
        assert care._synchronous(connection).level == "ok"
