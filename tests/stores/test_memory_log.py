"""The change log of a memory store."""

from uuid import UUID, uuid4

import pytest

from bearer_guard.store import Cursor
from bearer_guard.stores._memory_log import Log
from bearer_guard.stores._rows import LOG_IDS, LOG_MS


@pytest.fixture
def log() -> Log:
    return Log()


def append(log: Log, now_ms: int, count: int = 1) -> set[UUID]:
    ids = {uuid4() for _ in range(count)}
    log.append(ids, now_ms)
    return ids


def test_a_bulk_is_one_revision(log: Log) -> None:
    start = log.head()
    ids = append(log, 5, count=7)
    assert log.head().revision == start.revision + 1
    assert log.since(start) == ids


def test_a_thousand_are_told_and_one_more_is_not(log: Log) -> None:
    start = log.head()
    ids = append(log, 5, count=LOG_IDS - 1) | append(log, 5)
    assert log.since(start) == ids
    append(log, 5)
    assert log.since(start) is None


def test_ten_minutes_are_kept_and_the_revision_before_them(log: Log) -> None:
    start = log.head()
    append(log, 0)
    first = log.head()
    second = append(log, 1)
    third = append(log, 1 + LOG_MS)
    assert log.since(first) == second | third
    assert log.since(start) is None
    append(log, 2 + LOG_MS)
    assert log.since(first) is None


@pytest.mark.parametrize(
    "change", [{"epoch": "x"}, {"revision": 2}, {"revision": -1}, {"tag": bytes(8)}], ids=str
)
def test_another_history_can_not_be_continued(log: Log, change: dict[str, object]) -> None:
    append(log, 5)
    cursor = log.head()
    assert log.since(cursor) == frozenset()
    assert log.since(Cursor(**(cursor._asdict() | change))) is None


def test_two_logs_are_two_histories() -> None:
    assert Log().since(Log().head()) is None
