"""The connections of one process to one SQLite file.

* Reads run on the event loop, in autocommit, on a connection of their own: some microseconds each,
  where a thread would take a hundred. They never wait for a lock: see ``Link.read``.
* Writes run one after the other in one thread, each as one transaction that takes the write lock
  at its beginning. They wait for other processes' writes, for a limited time.
* What takes long, such as counting all tokens, gets a thread and a connection for the occasion.

A connection must not go through a fork: SQLite's own note of its locks would be wrong in the
child. So all are closed before one, and made anew when they are needed. They are made anew, too,
when the path names another file than before: writes must not go into one that a backup replaced.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from math import ceil
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from bearer_guard.errors import ConfigurationError, StoreUnavailable

from . import _sqlite_schema as schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bearer_guard.clock import Clock

__all__ = ["Link", "failure", "failures", "is_busy"]

T = TypeVar("T")
Job: TypeAlias = "Callable[[sqlite3.Connection], T]"

LOOK_SECONDS: Final = 0.05  # how long a read may trust that file and schema are the same
PAUSE_SECONDS: Final = 0.01  # between two tries to make a new file a WAL file
MARGIN_SECONDS: Final = 0.2  # for a write itself, after the wait for its turn
CACHE_KIB: Final = 16_384  # pages of a connection, some 40,000 tokens
_MODE: Final = 0o600  # of a new file; SQLite gives its WAL the same

_WORDS: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another process",
    sqlite3.SQLITE_FULL: "can't grow: the disk is full",
    sqlite3.SQLITE_NOTADB: "is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore a backup",
    sqlite3.SQLITE_CANTOPEN: "can't be opened",
    sqlite3.SQLITE_READONLY: "can't be written",
    sqlite3.SQLITE_PERM: "can't be written",
    sqlite3.SQLITE_IOERR: "can't be read or written: the disk reports an error",
}


class Link:
    """The connections of one process to one file.

    Args:
        path: Of the database.
        clock: Limits waiting.
        seconds: How long a write may wait for its turn.
    """

    def __init__(self, path: Path, *, clock: Clock, seconds: float) -> None:
        self.path: Final = path
        self._clock: Final = clock
        self._seconds: Final = seconds
        self._reader: Final = _Handle(path, seconds=0)
        self._writer: Final = _Handle(path, seconds=seconds)
        self._thread: ThreadPoolExecutor | None = None
        self._opened = False
        self._look_at = 0.0  # when file and schema are to be looked at again
        _LINKS.add(self)

    async def open(self) -> None:
        """Make the file and its schema where there are none, and connect.

        Raises:
            StoreUnavailable: It can't be opened, or has the schema of another version.
            ConfigurationError: It is another application's, or its file system can't do WAL.
        """
        try:
            await self._in_thread(lambda _: self._prepare())
        except BaseException:
            await self.close()
            raise
        self._opened = True

    async def close(self) -> None:
        """Let go of the file."""
        self._opened = False
        self._reader.drop()
        if self._thread is not None:
            await asyncio.to_thread(self._stop_thread)

    def reader(self) -> sqlite3.Connection:
        """The event loop's connection, for autocommit reads. It never waits for a lock.

        Raises:
            StoreUnavailable: The store is not open, or the file is gone.
            sqlite3.Error: It can't be opened.
        """
        now = self._clock.elapsed()
        connection = self._reader.connection
        if connection is None or now >= self._look_at:
            self._check_open()
            connection = self._reader.get()
            self._look_at = now + LOOK_SECONDS
        return connection

    async def read(self, job: Job[T]) -> T:
        """What ``job`` reads; on the event loop, or where that would wait, in the thread.

        Raises:
            StoreUnavailable: No answer in time.
        """
        with failures(self.path):
            try:
                return job(self.reader())
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
        return await self._in_thread(lambda left: job(self._patient(left)))

    async def write(self, job: Job[T], *, large: bool = False) -> T:
        """What ``job`` returns, which runs as one transaction.

        A caller that is cancelled still waits for the end: what it announces then is true.

        Args:
            job: It may run later than this call raises, when the disk is very slow.
            large: It may take its time, once it has the lock.

        Raises:
            StoreUnavailable: It was not written, or, after ``MARGIN_SECONDS`` on a very slow disk,
                it is unknown whether it will be.
        """
        self._check_open()
        return await self._in_thread(lambda left: self._transact(job, left), large=large)

    async def aside(self, job: Job[T]) -> T:
        """What ``job`` reads, which may take long; in a thread, with a connection of its own.

        Raises:
            StoreUnavailable: The store is not open, or the file can't be read.
        """
        self._check_open()
        return await asyncio.to_thread(self._alone, job, check=True)

    async def inspect(self, job: Job[T]) -> T:
        """``aside``, also where the store is not open, whatever the schema."""
        return await asyncio.to_thread(self._alone, job, check=False)

    def let_go(self) -> None:
        """Close the connections, waiting for the write under way; the next call makes new ones."""
        self._reader.drop()
        if self._thread is not None:
            self._stop_thread()

    def _check_open(self) -> None:
        if not self._opened:
            raise StoreUnavailable("the store is not open: `await store.open()` comes first")

    async def _in_thread(self, call: Callable[[float], T], *, large: bool = False) -> T:
        """What ``call`` returns, given how many seconds it may still wait."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="bearer-guard-sqlite")
        deadline = self._clock.elapsed() + self._seconds
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, self._in_turn, call, deadline)
        future.add_done_callback(_look_at_outcome)
        limit = None if large else self._seconds + MARGIN_SECONDS
        try:
            await asyncio.wait([future], timeout=limit)
        except asyncio.CancelledError:
            left = deadline + MARGIN_SECONDS - self._clock.elapsed()
            await asyncio.wait([future], timeout=None if large else max(0, left))
            raise
        if not future.done():
            raise StoreUnavailable(f"{self.path} does not answer in time: writes are slow")
        return future.result()

    def _in_turn(self, call: Callable[[float], T], deadline: float) -> T:
        left = deadline - self._clock.elapsed()
        if left <= 0:
            raise StoreUnavailable(f"{self.path} is busy: other writes took all the time")
        with failures(self.path):
            return call(left)

    def _transact(self, job: Job[T], left: float, *, check: bool = True) -> T:
        connection = self._patient(left, check=check)
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = job(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        return result

    def _patient(self, seconds: float, *, check: bool = True) -> sqlite3.Connection:
        """The thread's connection; it waits so long for a lock."""
        connection = self._writer.get(check=check)
        connection.execute(f"PRAGMA busy_timeout = {ceil(seconds * 1000)}")
        return connection

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer.drop()  # closing it rolls back for certain

    def _prepare(self) -> None:
        """Make the file, and in it the schema, unless they are there."""
        _create(self.path)
        connection = self._writer.get(check=False)
        schema.version(connection)  # before anything is changed: is it ours?
        _use_wal(connection, self._clock, self._clock.elapsed() + self._seconds)
        if schema.version(connection) == 0:
            self._transact(schema.migrate, self._seconds, check=False)
        schema.check(connection)

    def _alone(self, job: Job[T], *, check: bool) -> T:
        handle = _Handle(self.path, seconds=self._seconds)
        try:
            with failures(self.path):
                return job(handle.get(check=check))
        finally:
            handle.drop()

    def _stop_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._writer.drop)
            thread.shutdown()


class _Handle:
    """One connection, made when it is needed, and anew when the path names another file.

    Who goes on with a write-ahead log that was removed neither sees the changes of others nor is
    seen, and may write over them when it closes: that is no answer, until the process starts anew.
    """

    def __init__(self, path: Path, *, seconds: float) -> None:
        self.connection: sqlite3.Connection | None = None
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._seconds = seconds
        self._file: tuple[int, int] | None = None
        self._log_file: tuple[int, int] | None = None  # it is there from the first read on

    def get(self, *, check: bool = True) -> sqlite3.Connection:
        """The connection.

        Args:
            check: Whether the schema must be of this version. It may have become a newer one since
                the connection was made, with meanings that this process does not know.
        """
        file, log_file = _identity(self._path), _identity(self._log, missing_ok=True)
        if self.connection is not None and file != self._file:
            self.drop()
        if self.connection is None:
            self.connection = _connect(self._path, self._seconds)
            self._file, self._log_file = file, None
        elif self._log_file not in {None, log_file}:
            raise StoreUnavailable(f"{self._log} was removed while in use: start this process anew")
        else:
            self._log_file = log_file
        if check:
            schema.check(self.connection)
        return self.connection

    def drop(self) -> None:
        """Close the connection, if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _identity(path: Path, *, missing_ok: bool = False) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        if missing_ok:
            return None
        raise
    return status.st_dev, status.st_ino


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else's lock is in the way."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextmanager
def failures(path: Path) -> Iterator[None]:
    """Turn errors of SQLite, and the system's about the file, into ``StoreUnavailable``."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise failure(path, error) from error


def failure(path: Path, error: sqlite3.Error | OSError) -> StoreUnavailable:
    """What to raise for such an error."""
    if isinstance(error, OSError):
        return StoreUnavailable(f"{path}: {error.strerror}")
    # The driver's own text is left out: it may quote values.
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    words = _WORDS.get(_code(error), f"does not work: {name}")
    return StoreUnavailable(f"{path} {words}")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds in detail


def _create(path: Path) -> None:
    # Only a file that is not there is opened here: closing one that is would take away the locks
    # that other connections of this process hold (fcntl(2), "Record locks").
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE))


def _connect(path: Path, seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=seconds, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = _text
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _text(raw: bytes) -> str:
    """Text that is no UTF-8 reads as something that was never sealed, instead of failing."""
    return raw.decode(errors="replace")


def _use_wal(connection: sqlite3.Connection, clock: Clock, deadline: float) -> None:
    """Make it a WAL file: only there does no reader ever wait for a writer.

    SQLite does not wait here for others who do the same, so that this has to.
    """
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not is_busy(error) or clock.elapsed() >= deadline:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            break
    if mode != "wal":
        raise ConfigurationError(
            "the file system can't share memory, which SQLite's WAL needs: use a local disk"
        )


def _look_at_outcome(future: asyncio.Future[T]) -> None:
    """Nobody may be left to look at it, and asyncio complains about errors that nobody saw."""
    if not future.cancelled():
        future.exception()


_LINKS: Final[weakref.WeakSet[Link]] = weakref.WeakSet()


def _before_fork() -> None:
    for link in tuple(_LINKS):
        link.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
