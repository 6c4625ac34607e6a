"""What validating writes: who was used when."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from bearer_guard import StoreUnavailable
from bearer_guard.clock import ForwardClock
from bearer_guard.last_used import LastUsed
from bearer_guard.record import Use
from bearer_guard.testing import ManualClock, a_record
from tests.core.support import CountingStore, until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> CountingStore:
    return CountingStore(clock)


@pytest.fixture
def last_used(store: CountingStore, clock: ManualClock) -> LastUsed:
    return LastUsed(store, ForwardClock(clock))


async def test_a_use_is_told_at_its_own_time(
    last_used: LastUsed, store: CountingStore, clock: ManualClock
) -> None:
    record = a_record()
    await store.add(record)
    used_ms = clock.now_ms()
    last_used.note(record.id.int, clock.elapsed(), "192.0.2.1")
    clock.advance(30)
    await last_used.flush()
    kept = (await store.fetch([record.id]))[record.id]
    assert (kept.last_used_ms, kept.last_used_from) == (used_ms, "192.0.2.1")


async def test_a_flush_does_not_make_it_idle(last_used: LastUsed, clock: ManualClock) -> None:
    assert last_used.idle == float("inf")
    last_used.note(7, clock.elapsed(), None)
    assert last_used.idle == 0
    clock.advance(30)
    await last_used.flush()
    assert last_used.idle == 0
    clock.advance(30)
    await last_used.flush()
    assert last_used.idle == 30


async def test_the_latest_of_many_uses_counts(
    last_used: LastUsed, store: CountingStore, clock: ManualClock
) -> None:
    last_used.note(7, clock.elapsed(), None)
    clock.advance(5)
    last_used.uses[7] = clock.elapsed()  # as the hit path does
    await last_used.flush()
    assert store.touched == [{UUID(int=7): Use(clock.now_ms())}]
    assert last_used.uses == {}


async def test_nothing_used_is_nothing_told(last_used: LastUsed, store: CountingStore) -> None:
    await last_used.flush()
    assert store.touched == []


async def test_many_are_told_a_thousand_at_a_time_in_order(
    last_used: LastUsed, store: CountingStore, clock: ManualClock
) -> None:
    for number in range(2500, 0, -1):
        last_used.note(number, clock.elapsed(), None)
    await last_used.flush()
    assert [len(uses) for uses in store.touched] == [1000, 1000, 500]
    assert [uuid.int for uses in store.touched for uuid in uses] == list(range(1, 2501))


async def test_what_could_not_be_told_is_kept_and_a_later_use_wins(
    last_used: LastUsed, store: CountingStore, clock: ManualClock
) -> None:
    last_used.note(1, clock.elapsed(), "192.0.2.1")
    last_used.note(2, clock.elapsed(), None)
    store.gate = asyncio.Event()
    flushing = asyncio.create_task(last_used.flush())
    await asyncio.sleep(0)
    clock.advance(3)
    last_used.uses[1] = clock.elapsed()
    store.broken = StoreUnavailable("down")
    store.gate.set()
    with pytest.raises(StoreUnavailable):
        await flushing
    assert last_used.uses == {1: clock.elapsed(), 2: clock.elapsed() - 3}
    store.broken = None
    await last_used.flush()
    assert store.touched[-1][UUID(int=1)] == Use(clock.now_ms(), "192.0.2.1")


async def test_closing_flushes_what_is_left(
    last_used: LastUsed, store: CountingStore, clock: ManualClock
) -> None:
    last_used.open()
    last_used.note(7, clock.elapsed(), None)
    await last_used.close()
    assert len(store.touched) == 1


async def test_closing_without_a_store_says_what_is_lost(
    last_used: LastUsed,
    store: CountingStore,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    last_used.note(7, clock.elapsed(), None)
    store.broken = StoreUnavailable("down")
    await last_used.close()
    assert "the last uses of 1 tokens are lost: down" in caplog.text


async def test_too_many_uses_are_told_early(
    last_used: LastUsed,
    store: CountingStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bearer_guard.last_used.MOST_USES", 10)
    last_used.open()
    await asyncio.sleep(0)
    for number in range(10):
        last_used.note(number, clock.elapsed(), None)
    await until(lambda: store.touched)
    await last_used.close()


async def test_the_background_goes_on_after_a_failure(
    last_used: LastUsed,
    store: CountingStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bearer_guard.last_used.FLUSH_SECONDS", 0.0)
    store.broken = StoreUnavailable("down")
    last_used.note(7, clock.elapsed(), None)
    last_used.open()
    await until(lambda: "wait for the store" in caplog.text)
    store.broken = None
    await until(lambda: store.touched)
    await last_used.close()


async def test_a_fault_of_an_adapter_does_not_end_the_flushes(
    last_used: LastUsed,
    store: CountingStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bearer_guard.last_used.FLUSH_SECONDS", 0.0)
    store.broken = ZeroDivisionError()
    last_used.note(7, clock.elapsed(), None)
    last_used.open()
    await until(lambda: "could not be told" in caplog.text)
    store.broken = None
    await until(lambda: store.touched)
    await last_used.close()
