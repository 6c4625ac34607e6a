"""Several processes on one SQLite file, and processes that die in the middle."""

import asyncio
import itertools
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from bearer_guard.record import Use
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import a_record
from tests.stores.files import folder

ROUNDS = 40
WRITERS = 4
LINE = len("added \n") + 32  # a word and an id
TOKENS = 60  # of each writer


@pytest.fixture
def path() -> Iterator[Path]:
    with folder() as where:
        yield where / "tokens.db"


class Writer(NamedTuple):
    """A process, and where it says what it was told has been written."""

    pid: int
    output: int

    def said(self) -> list[str]:
        """All lines until its end; one that was cut off was not acknowledged."""
        with open(self.output, "rb") as file:  # noqa: PTH123 - it is no path
            return file.read().decode().split("\n")[:-1]


def start_writer(path: Path, count: int) -> Writer:
    """A process that makes and ends so many tokens; 0: until it is killed."""
    output, to_parent = os.pipe()
    pid = os.fork()
    if pid:
        os.close(to_parent)
        return Writer(pid, output)
    status = 1
    try:
        asyncio.run(write(path, count, to_parent))
        status = 0
    finally:
        os._exit(status)


async def write(path: Path, count: int, output: int) -> None:
    store = SqliteStore(path, timeout=30)
    await store.open()
    for _ in range(count) if count else itertools.count():
        record = a_record()
        await store.add(record)
        os.write(output, f"added {record.id.hex}\n".encode())
        await store.touch({record.id: Use(5)})
        await store.end(record.id, 5)
        os.write(output, f"ended {record.id.hex}\n".encode())
    await store.close()


def ids(lines: list[str], word: str) -> list[UUID]:
    return [UUID(hex=line.split()[1]) for line in lines if line.startswith(word)]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_was_acknowledged_survives_a_kill(path: Path, number: int) -> None:
    """At any moment, and of two who write at once."""
    store = SqliteStore(path)
    asyncio.run(store.open())
    start = asyncio.run(store.changes(None)).cursor
    writers = [start_writer(path, 0) for _ in range(2)]
    begun = [os.read(writer.output, LINE) for writer in writers]  # one line
    time.sleep(random.Random(number).uniform(0, 0.03))  # noqa: S311 - any moment is the point
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        os.waitpid(writer.pid, 0)
    lines = [line for writer in writers for line in writer.said()]
    lines += [line.decode().strip() for line in begun]
    assert len(lines) >= 2

    async def look() -> None:
        found = await store.fetch(ids(lines, "added"))
        news = await store.changes(start)
        assert set(found) == set(ids(lines, "added"))
        assert [id for id in ids(lines, "ended") if found[id].ended_ms is None] == []
        assert news.reset or set(ids(lines, "ended")) <= news.ids
        await store.end_all("alice", 5)  # nothing is left locked
        await store.close()

    asyncio.run(look())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_nothing_is_lost_between_processes_that_write_at_once(path: Path) -> None:
    """Nor told twice, nor out of order: each end is one revision, and seen with its number."""
    writers = [start_writer(path, TOKENS) for _ in range(WRITERS)]  # each may be the first

    async def follow() -> Counter[UUID]:
        store = SqliteStore(path)
        await store.open()
        seen = Counter[UUID]()
        first = await store.changes(None)
        cursor = first.cursor._replace(revision=0, tag=beginning(path))
        running = {writer.pid for writer in writers}
        while running:
            running -= gone(running)
            news = await store.changes(cursor)
            assert not news.reset
            assert len(news.ids) == news.cursor.revision - cursor.revision
            seen.update(news.ids)
            cursor = news.cursor
            await asyncio.sleep(0)
        ended = await store.fetch(seen)
        assert all(record.ended_ms == record.last_used_ms == 5 for record in ended.values())
        assert cursor.revision == len(ended) == WRITERS * TOKENS
        await store.close()
        return seen

    seen = asyncio.run(follow())
    said = [line for writer in writers for line in writer.said()]
    assert seen == Counter(ids(said, "ended"))


def gone(pids: set[int]) -> set[int]:
    """Those of these processes that have ended."""
    return {pid for pid in pids if os.waitpid(pid, os.WNOHANG)[0]}


def beginning(path: Path) -> bytes:
    """The tag of revision 0, where the log begins."""
    with closing(sqlite3.connect(path)) as connection:
        tag: bytes = connection.execute("SELECT tag FROM revisions WHERE revision = 0").fetchone()[
            0
        ]
    return tag
