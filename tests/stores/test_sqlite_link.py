"""The connections to a SQLite file: waiting, failing, forking."""
# ruff: noqa: ASYNC240 - small local files

import asyncio
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError, DuplicateToken, StoreUnavailable
from bearer_guard.stores import _sqlite_link as link_module
from bearer_guard.stores._sqlite_link import Link
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import ManualClock, a_record
from bearer_guard.testing._contract_base import Heard
from tests.stores.files import folder

SHORT = 0.2  # seconds that a write waits in these tests


@pytest.fixture
def path() -> Iterator[Path]:
    with folder() as where:
        yield where / "tokens.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, timeout=SHORT)
    await store.open()
    yield store
    await store.close()


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else is writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM tokens").fetchone()[0])


# Waiting


async def test_a_locked_file_is_no_answer_within_a_second(path: Path) -> None:
    store, record = SqliteStore(path), a_record()  # with the times of everyday use
    await store.open()
    heard = Heard()
    store.subscribe(heard)
    with locked(path):
        started = SYSTEM_CLOCK.elapsed()
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            await store.add(record)
        took = SYSTEM_CLOCK.elapsed() - started
        assert await store.fetch([record.id]) == {}  # reads go on
    assert 0.5 < took < 1.0
    assert heard.of(record.id)
    assert rows(path) == 0
    await store.add(record)
    await store.close()


async def test_a_lock_that_goes_away_in_time_is_waited_for(path: Path) -> None:
    store = SqliteStore(path, timeout=30)
    await store.open()
    with locked(path) as other:
        write = asyncio.create_task(store.add(a_record()))
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
    await write
    await store.close()


async def test_many_who_wait_get_their_answer_in_the_same_second(
    store: SqliteStore, path: Path
) -> None:
    with locked(path):
        started = SYSTEM_CLOCK.elapsed()
        outcomes = await asyncio.gather(
            *(store.end(uuid4(), 5) for _ in range(20)), return_exceptions=True
        )
        took = SYSTEM_CLOCK.elapsed() - started
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert took < SHORT + 0.5


async def test_the_loop_goes_on_while_a_write_waits(store: SqliteStore, path: Path) -> None:
    turns = 0
    with locked(path):
        write = asyncio.create_task(store.add(a_record()))
        while not write.done():
            await asyncio.sleep(0.01)
            turns += 1
    assert isinstance(write.exception(), StoreUnavailable)
    assert turns > 5


async def test_who_waited_too_long_in_line_is_not_written_later(store: SqliteStore) -> None:
    """An answer that it was not is better than a surprise."""
    gate, record = threading.Event(), a_record()
    try:
        first = asyncio.create_task(store._link.write(lambda _: gate.wait(), large=True))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="does not answer in time"):
            await store.add(record)
    finally:
        gate.set()
    await first
    await store.end(uuid4(), 5)  # comes after it in the line
    assert await store.fetch([record.id]) == {}


async def test_a_write_that_does_not_end_is_no_answer(store: SqliteStore) -> None:
    """As on a disk that hangs. It may still be written, and is not in the way of the next."""
    gate, record = threading.Event(), a_record()

    def slow(connection: sqlite3.Connection) -> None:
        gate.wait()
        connection.execute("UPDATE meta SET policy = NULL")

    try:
        with pytest.raises(StoreUnavailable, match="does not answer in time"):
            await store._link.write(slow)
    finally:
        gate.set()
    await store.add(record)
    assert set(await store.fetch([record.id])) == {record.id}


async def test_a_large_write_may_take_its_time(store: SqliteStore) -> None:
    gate = threading.Event()
    write = asyncio.create_task(store._link.write(lambda _: gate.wait(), large=True))
    await asyncio.wait([write], timeout=SHORT + link_module.MARGIN_SECONDS + 0.1)
    done = write.done()
    gate.set()
    assert (done, await write) == (False, True)


@pytest.mark.parametrize("large", [False, True])
async def test_who_is_cancelled_leaves_when_it_is_written(path: Path, *, large: bool) -> None:
    """What is announced then is true: nothing changes after it."""
    link = Link(path, clock=SYSTEM_CLOCK, seconds=30)
    await link.open()
    gate, running = threading.Event(), threading.Event()

    def job(connection: sqlite3.Connection) -> None:
        running.set()
        gate.wait()
        connection.execute("UPDATE meta SET policy = 'written'")

    write = asyncio.create_task(link.write(job, large=large))
    await asyncio.to_thread(running.wait)
    write.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    left = write.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await write
    assert not left
    assert link.reader().execute("SELECT policy FROM meta").fetchall() == [("written",)]
    await link.close()


# Reads that would have to wait


@contextmanager
def exclusive(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else lets nobody in: as for a moment, when a process repairs after a crash."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE meta SET policy = policy")
        other.execute("COMMIT")
        yield other


async def test_a_read_that_would_wait_is_left_to_the_thread(store: SqliteStore, path: Path) -> None:
    record = a_record()
    await store.add(record)
    store._link.let_go()
    with exclusive(path) as other:
        assert store.fetch_now([record.id]) is None
        read = asyncio.create_task(store.fetch([record.id]))
        await asyncio.sleep(0.01)
        assert not read.done()
        other.close()
    assert set(await read) == {record.id}
    assert store.fetch_now([record.id]) == {record.id: record}


async def test_a_read_does_not_wait_for_ever(store: SqliteStore, path: Path) -> None:
    store._link.let_go()
    with exclusive(path):
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            await store.fetch([uuid4()])
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            await store.changes(None)


# Failing


async def test_many_can_open_a_new_file_at_once(path: Path) -> None:
    stores = [SqliteStore(path) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    epochs = {(await store.changes(None)).cursor.epoch for store in stores}
    await asyncio.gather(*(store.close() for store in stores))
    assert len(epochs) == 1


async def test_a_folder_that_is_not_there_is_no_answer(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file or directory"):
        await SqliteStore(path / "deeper" / "tokens.db").open()


async def test_a_folder_is_no_file(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="can't be opened"):
        await SqliteStore(path.parent).open()


@pytest.mark.parametrize("content", [b"no database at all", b"x" * 100_000])
async def test_another_kind_of_file_is_no_answer_and_left_as_it_is(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match="is no SQLite database"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.add(a_record())
    assert path.read_bytes() == content


async def test_a_damaged_file_is_no_answer(store: SqliteStore, path: Path) -> None:
    await store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_960)
    with pytest.raises(StoreUnavailable, match="is damaged"):
        await open_and_read(store)


async def open_and_read(store: SqliteStore) -> None:
    await store.open()
    await store.fetch([uuid4()])


def test_a_file_that_may_not_be_written_is_no_answer(path: Path) -> None:
    asyncio.run(fill(path))
    path.chmod(0o444)
    path.parent.chmod(0o555)
    done = run_python(WRITE, str(path))
    path.parent.chmod(0o755)
    assert done.stdout.strip() == f"{path} can't be written"
    assert rows(path) == 1


async def fill(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.add(a_record())
    await store.close()


WRITE = """
import asyncio, os, sys
from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores.sqlite import SqliteStore

if os.geteuid() == 0:  # root may write everything
    os.setgid(65534)
    os.setuid(65534)
try:
    asyncio.run(SqliteStore(sys.argv[1]).open())
except StoreUnavailable as error:
    print(error)
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )


async def test_a_full_disk_is_no_answer_and_loses_nothing(store: SqliteStore, path: Path) -> None:
    kept = []
    writer = store._link._writer.connection
    assert writer is not None
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 3}")
    records = (a_record(description="x" * 256) for _ in range(200))
    try:
        for record in records:
            await store.add(record)
            kept.append(record)
    except StoreUnavailable as error:
        assert "the disk is full" in str(error)  # noqa: PT017 - by which of them is not known
    assert 0 < len(kept) < 200
    assert rows(path) == len(kept)
    assert set(await store.fetch([*(r.id for r in kept), record.id])) == {r.id for r in kept}
    cursor = (await store.changes(None)).cursor
    writer.execute("PRAGMA max_page_count = 1000000")
    await store.add(record)
    await store.end(record.id, 5)
    assert (await store.changes(cursor)).ids == {record.id}


FULL = """
import asyncio, resource, signal, sys
from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import ManualClock, a_record

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        while True:
            record = a_record(description="x" * 256)
            await store.add(record)
            print(record.id.hex, flush=True)
    except StoreUnavailable as error:
        print("refused", record.id.hex, error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    record = a_record()
    await store.add(record)
    print(record.id.hex, flush=True)
    await store.close()

asyncio.run(main())
"""


def test_a_disk_that_takes_no_more_is_no_answer_and_loses_nothing(path: Path) -> None:
    """The system refuses in the middle of a write, and takes writes again later."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = run_python(FULL, str(path))
    *acknowledged, refused, last = done.stdout.splitlines()
    assert (refused.split()[0], "the disk" in refused) == ("refused", True), done.stderr
    with closing(sqlite3.connect(path)) as connection:
        found = {id.hex() for (id,) in connection.execute("SELECT id FROM tokens")}
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert found == {*acknowledged, last}
    assert refused.split()[1] not in found


async def test_a_job_that_fails_is_undone_and_the_next_is_not_in_its_way(
    store: SqliteStore, path: Path
) -> None:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE meta SET policy = 'half'")
        raise DuplicateToken

    with pytest.raises(DuplicateToken):
        await store._link.write(job)
    await store.add(a_record())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT policy FROM meta").fetchall() == [(None,)]


async def test_a_connection_that_can_not_be_rolled_back_is_made_anew(store: SqliteStore) -> None:
    before = store._link._writer.connection
    assert before is not None

    def job(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE meta SET policy = 'half'")
        connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        raise DuplicateToken

    with pytest.raises(DuplicateToken):
        await store._link.write(job)
    await store.add(a_record())
    assert store._link._writer.connection is not before
    assert (await store.policy()).enabled


async def test_a_write_has_the_lock_before_it_reads(store: SqliteStore, path: Path) -> None:
    """Else what it read could be out of date when it writes, and SQLite would refuse it."""

    def job(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT revision FROM meta").fetchall()
        with (
            closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("UPDATE meta SET revision = revision + 1")

    await store._link.write(job)


def test_who_makes_a_wal_tries_again_while_others_read(path: Path) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection,
    ):
        other.execute("CREATE TABLE some_table (a)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM some_table").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            link_module._use_wal(connection, ManualClock(), 0)

        class Clock(ManualClock):
            """Once it is asked whether there is time left, the other is done."""

            def elapsed(self) -> float:
                other.execute("COMMIT")
                return super().elapsed()

        clock = Clock()
        link_module._use_wal(connection, clock, ManualClock().elapsed() + 1)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_only_a_wal_will_do() -> None:
    """A file system that can't share memory leaves SQLite its older journal."""
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(ConfigurationError, match="use a local disk"),
    ):
        link_module._use_wal(connection, SYSTEM_CLOCK, 0)


def test_no_error_quotes_what_was_written(path: Path) -> None:
    error = sqlite3.OperationalError("near 'secret': syntax error")
    assert "secret" not in str(link_module.failure(path, error))


# Forking

FORK = """
import asyncio, os, sys
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import ManualClock, a_record

store, first = SqliteStore(sys.argv[1]), a_record()

async def begin():
    await store.open()
    await store.add(first)
    assert store.fetch_now([first.id]) == {first.id: first}

async def work():
    assert store.fetch_now([first.id]) == {first.id: first}
    for _ in range(100):
        record = a_record()
        await store.add(record)
        await store.end(record.id, 5)
        assert (await store.fetch([record.id]))[record.id].ended_ms == 5
    await store.close()

asyncio.run(begin())
pid = os.fork()
link = store._link
if link._reader.connection or link._writer.connection or link._thread:
    sys.exit("connections went through a fork")
asyncio.run(work())
if pid:
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_no_connection_goes_through_a_fork(path: Path) -> None:
    done = run_python(FORK, str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(path) == 201
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT revision FROM meta").fetchone() == (200,)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_who_works_on_a_log_that_was_removed_has_no_answer(path: Path) -> None:
    """As by somebody who restores a backup, or tidies up, while processes run."""
    clock, token = ManualClock(), a_record()
    store = SqliteStore(path, clock=clock)
    await store.open()
    await store.add(token)
    for _ in range(2):
        clock.advance(link_module.LOOK_SECONDS)
        assert token.id in await store.fetch([token.id])
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink()
    clock.advance(link_module.LOOK_SECONDS)
    with pytest.raises(StoreUnavailable, match="start this process anew"):
        await store.fetch([token.id])
    with pytest.raises(StoreUnavailable, match="start this process anew"):
        await store.end(token.id, 5, reason="deleted")
    await store.close()
