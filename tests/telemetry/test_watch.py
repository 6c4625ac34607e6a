"""A watched store is the store in all that anybody can ask of it."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard import Policy, Store, StoreUnavailable
from bearer_guard.store import AccountStore, NoteStore, TokenReader
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.telemetry._watch import watched
from bearer_guard.testing import (
    AccountStoreContract,
    ManualClock,
    NoteStoreContract,
    StoreContract,
    a_record,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CALLS = ["fetch", "fetch_now", "end", "policy", "nothing_of_the_kind"]


class Log:
    """What was called, with how many arguments, and how it ended."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, str]] = []

    @contextmanager
    def __call__(self, call: str, args: tuple[Any, ...]) -> Iterator[None]:
        outcome = "raised"
        try:
            yield
            outcome = "returned"
        finally:
            self.lines.append((call, len(args), outcome))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_calls_are_watched_and_answer_as_before(store: MemoryStore, log: Log) -> None:
    one, record = watched(store, log, CALLS), a_record()
    await one.open()
    await one.add(record)
    assert await one.fetch([record.id]) == one.fetch_now([record.id]) == {record.id: record}
    assert await one.policy() == Policy()
    assert await one.end(record.id, 1, reason="leaked") == record.end(1, "leaked")
    assert log.lines == [
        ("fetch", 1, "returned"),
        ("fetch_now", 1, "returned"),
        ("policy", 0, "returned"),
        ("end", 2, "returned"),
    ]


async def test_an_error_goes_through(store: MemoryStore, log: Log) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await watched(store, log, CALLS).policy()
    assert log.lines == [("policy", 0, "raised")]


def test_it_satisfies_what_the_store_satisfies(store: MemoryStore, log: Log) -> None:
    one = watched(store, log, CALLS)
    for kind in (Store, AccountStore):
        assert isinstance(store, kind)
        assert isinstance(one, kind)
        for name in (name for name in dir(kind) if not name.startswith("_")):
            inspect.getattr_static(one, name)  # Python 3.12 looks like this
    assert isinstance(one, NoteStore) == isinstance(store, NoteStore)


def test_it_lacks_what_the_store_lacks(log: Log) -> None:
    class Half(MemoryStore):
        fetch_now = None  # type: ignore[assignment]
        account = None  # type: ignore[assignment]
        poll_interval = 7.5

    one: Any = watched(Half(), log, CALLS)
    assert one.fetch_now is None
    assert not isinstance(one, AccountStore)
    assert one.poll_interval == 7.5
    assert not hasattr(one, "nothing_of_the_kind")
    assert type(one).__name__ == "WatchedHalf"


async def test_watchers_may_stand_in_a_row(store: MemoryStore, log: Log) -> None:
    other = Log()
    one: TokenReader = watched(watched(store, log, ["policy"]), other, ["policy", "fetch"])
    await one.policy()
    await one.fetch([])
    assert (len(log.lines), len(other.lines)) == (1, 2)


class TestContract(StoreContract, AccountStoreContract, NoteStoreContract):
    """All that is asked of a store."""

    @pytest.fixture
    def inner(self, clock: ManualClock) -> MemoryStore:
        return MemoryStore(clock=clock)

    @pytest.fixture
    async def store(self, inner: MemoryStore) -> AsyncIterator[MemoryStore]:
        self.inner = inner
        store = watched(inner, Log(), CALLS)
        await store.open()
        yield store
        await store.close()

    async def lose_revisions(self, store: MemoryStore, count: int) -> None:
        del store
        for _ in range(count):
            self.inner._changes._revisions.pop()
