"""The schema of a SQLite store and how it changes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.stores import _sqlite_schema as schema
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import ManualClock, a_record
from tests.stores.files import folder

NEXT = ("ALTER TABLE tokens ADD COLUMN colour TEXT", "UPDATE tokens SET colour = 'red'")
BROKEN = ("ALTER TABLE tokens ADD COLUMN colour TEXT", "UPDATE nothing SET colour = 'red'")


@pytest.fixture
def path() -> Iterator[Path]:
    with folder() as where:
        yield where / "tokens.db"


async def filled(path: Path) -> SqliteStore:
    """A store with one token, closed again."""
    store = SqliteStore(path)
    await store.open()
    await store.add(a_record())
    await store.close()
    return store


def asked(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def add_migration(monkeypatch: pytest.MonkeyPatch, statements: tuple[str, ...]) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, statements))


async def test_a_new_file_says_whose_it_is_and_which_version(path: Path) -> None:
    await filled(path)
    assert asked(path, "PRAGMA application_id") == int.from_bytes(b"bgrd")
    assert asked(path, "PRAGMA user_version") == 1


async def test_a_new_file_has_every_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_migration(monkeypatch, NEXT)
    store = await filled(path)
    assert asked(path, "PRAGMA user_version") == 2
    assert await store.upgrade() == "the schema has version 2 already"


async def test_an_older_schema_waits_for_an_upgrade(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of the version before may still be at work."""
    store = await filled(path)
    add_migration(monkeypatch, NEXT)
    with pytest.raises(StoreUnavailable, match=r"has version 1, .* needs 2: .*store upgrade"):
        await store.open()
    assert await store.upgrade() == "the schema was brought from version 1 to 2"
    await store.open()
    assert len((await store.page(None, None, 5)).records) == 1
    await store.close()
    assert asked(path, "SELECT colour FROM tokens") == "red"


async def test_an_upgrade_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(path)
    with monkeypatch.context() as patch:
        add_migration(patch, BROKEN)
        with pytest.raises(StoreUnavailable):
            await store.upgrade()
    assert asked(path, "PRAGMA user_version") == 1
    await store.open()
    await store.close()


async def test_a_new_file_that_can_not_be_filled_stays_empty(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        add_migration(patch, BROKEN)
        with pytest.raises(StoreUnavailable):
            await SqliteStore(path).open()
    assert asked(path, "SELECT count(*) FROM sqlite_schema") == 0
    await filled(path)


async def test_a_newer_schema_is_not_touched(path: Path) -> None:
    store = await filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(StoreUnavailable, match="version 7, this bearer-guard knows 1"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="version 7"):
        await store.upgrade()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.add(a_record())


async def test_a_schema_that_becomes_newer_is_noticed_by_who_is_at_work(path: Path) -> None:
    """What it means may be more than this process knows."""
    clock = ManualClock()
    store = SqliteStore(path, clock=clock)
    await store.open()
    await store.add(a_record())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    clock.advance(0.05)
    for call in (store.fetch([]), store.changes(None), store.page(None, None, 5)):
        with pytest.raises(StoreUnavailable, match="version 7"):
            await call
    with pytest.raises(StoreUnavailable, match="version 7"):
        await store.add(a_record())
    await store.close()
    assert asked(path, "SELECT count(*) FROM tokens") == 1


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE theirs (a)", "PRAGMA user_version = 1", "PRAGMA application_id = 5"],
)
async def test_another_applications_file_is_not_touched(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA user_version = 0")
        connection.execute(statement)
    before = path.read_bytes()  # noqa: ASYNC240 - a small local file
    store = SqliteStore(path)
    for call in (store.open, store.upgrade):
        with pytest.raises(ConfigurationError, match="another application's database"):
            await call()
    assert path.read_bytes() == before  # noqa: ASYNC240
    assert [file.name for file in path.parent.iterdir()] == ["tokens.db"]


async def test_an_upgrade_makes_the_schema_of_an_empty_file(path: Path) -> None:
    path.touch()  # noqa: ASYNC240
    store = SqliteStore(path)
    assert await store.upgrade() == "the schema was brought from version 0 to 1"
    await store.open()
    await store.close()


async def test_every_revision_and_epoch_is_of_one_store(path: Path) -> None:
    cursors = []
    for name in ("a.db", "b.db"):
        store = SqliteStore(path.with_name(name))
        await store.open()
        cursors.append((await store.changes(None)).cursor)
        await store.close()
    assert cursors[0].epoch != cursors[1].epoch
    assert cursors[0].tag != cursors[1].tag
    assert {len(cursor.epoch) for cursor in cursors} == {16}
