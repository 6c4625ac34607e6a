"""One read for many who ask: what waits around the cache."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from bearer_guard import StoreUnavailable
from bearer_guard.cache import Cache
from bearer_guard.clock import ForwardClock
from bearer_guard.lookup import Assessed, Lookup
from bearer_guard.tasks import ANSWER_SECONDS
from bearer_guard.testing import ManualClock, a_record
from tests.core.support import CountingStore, settle

if TYPE_CHECKING:
    from bearer_guard.record import TokenRecord


class Desk:
    """A look-up over a counting store; what it keeps of a record is its description."""

    def __init__(self, *, bound: float = 5.0, share: bool = True) -> None:
        self.clock = ManualClock()
        self.store = CountingStore(self.clock)
        self.cache = Cache[int, str](bound=bound, life=60.0, size=1000, polls=True)
        self.lookup = Lookup(
            self.store, self.assess, cache=self.cache, share=share, clock=ForwardClock(self.clock)
        )

    def assess(self, record: TokenRecord | None) -> Assessed[str]:
        if record is None:
            return "unknown", False, None
        return record.description, True, record.dead_ms()

    async def read(self, token_id: UUID, waited: float = 0.0) -> str:
        return (await self.lookup.read(token_id, self.clock.elapsed() - waited))[0]

    async def records(self, count: int) -> list[UUID]:
        records = [a_record(description=f"number {i}") for i in range(count)]
        for record in records:
            await self.store.add(record)
        return [record.id for record in records]


async def test_a_read_tells_what_is_kept_of_the_record() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    assert await desk.read(token_id) == "number 0"
    assert await desk.read(UUID(int=12345)) == "unknown"


async def test_what_was_read_is_held() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    await desk.read(token_id)
    held = desk.cache.get(token_id.int, desk.clock.elapsed())
    assert held is not None
    assert held.value == "number 0"


async def test_invariant_06_a_thousand_who_ask_at_once_make_one_read() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    answers = await asyncio.gather(*(desk.read(token_id) for _ in range(1000)))
    assert set(answers) == {"number 0"}
    assert len(desk.store.fetches) == 1


async def test_invariant_06_a_cancelled_waiter_harms_nobody() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    waiters = [asyncio.create_task(desk.read(token_id)) for _ in range(4)]
    await settle()
    waiters[2].cancel()  # it has joined
    await settle()
    assert len(desk.store.fetches) == 1
    waiters[0].cancel()  # it was the first to ask, and reads for itself
    await settle()
    waiters[1].cancel()  # of those who are left it is the first
    await settle()
    joined = asyncio.create_task(desk.read(token_id))
    await settle()
    desk.store.gate.set()
    answers = await asyncio.gather(*waiters, joined, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers[:3]] == [True] * 3
    assert answers[3:] == ["number 0"] * 2
    assert len(desk.store.fetches) == 2  # the other one is a task's, which nobody cancels


async def test_who_reads_alone_makes_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    monkeypatch.setattr(desk.lookup._tasks, "spawn", None)  # no task is made
    assert [await desk.read(token_id) for _ in range(3)] == ["number 0"] * 3


async def test_who_goes_away_alone_leaves_no_read_behind() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    waiter = asyncio.create_task(desk.read(token_id))
    await settle()
    waiter.cancel()
    await settle()
    assert len(asyncio.all_tasks()) == 1  # this test
    desk.store.gate.set()
    assert await desk.read(token_id) == "number 0"
    assert len(desk.store.fetches) == 2


async def test_those_who_are_left_behind_join_who_came_after_an_end() -> None:
    desk = Desk()
    ids = await desk.records(2)
    desk.store.gate = asyncio.Event()
    first = asyncio.create_task(desk.read(ids[0]))
    await settle()
    left = asyncio.create_task(desk.read(ids[0]))
    other = asyncio.create_task(desk.read(ids[1]))
    await settle()
    desk.lookup.forget([ids[0].int])
    late = asyncio.create_task(desk.read(ids[0]))  # waits: two reads are under way
    await settle()
    first.cancel()
    await settle()
    desk.store.gate.set()
    answers = await asyncio.gather(*[left, late, other])
    assert answers == ["number 0", "number 0", "number 1"]
    assert len(desk.store.fetches) == 3


async def test_a_hundred_distinct_tokens_take_three_round_trips_at_most() -> None:
    desk = Desk()
    ids = await desk.records(100)
    answers = await asyncio.gather(*(desk.read(token_id) for token_id in ids))
    assert answers == [f"number {i}" for i in range(100)]
    assert len(desk.store.fetches) <= 3


async def test_a_batch_has_two_hundred_ids_at_most() -> None:
    desk = Desk()
    ids = await desk.records(500)
    await asyncio.gather(*(desk.read(token_id) for token_id in ids))
    assert max(len(ids) for ids in desk.store.fetches) <= 200


async def test_a_read_that_an_end_overtakes_is_neither_used_nor_kept() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    waiter = asyncio.create_task(desk.read(token_id))
    await settle()
    desk.cache.invalidate([token_id.int])  # as a poll or an end does, while the read is under way
    desk.lookup.forget([token_id.int])
    desk.store.gate.set()
    assert await waiter == "number 0"
    assert len(desk.store.fetches) == 2


async def test_who_comes_after_an_end_does_not_join_a_read_from_before() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    before = asyncio.create_task(desk.read(token_id))
    await settle()
    desk.cache.invalidate(None)
    desk.lookup.forget(None)
    after = asyncio.create_task(desk.read(token_id))
    await settle()
    assert len(desk.store.fetches) == 2
    desk.store.gate.set()
    assert await asyncio.gather(*[before, after]) == ["number 0"] * 2


async def test_an_answer_that_took_longer_than_the_bound_is_not_used() -> None:
    desk = Desk(bound=0.4)
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    waiter = asyncio.create_task(desk.read(token_id))
    await settle()
    desk.clock.advance(0.5)
    desk.store.gate.set()
    assert await waiter == "number 0"
    assert len(desk.store.fetches) == 2


async def test_a_token_that_never_stops_changing_has_no_answer() -> None:
    desk = Desk(bound=0.15)
    (token_id,) = await desk.records(1)

    async def slow() -> None:
        desk.clock.advance(0.2)

    desk.store._pass = slow  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="keeps changing"):
        await desk.read(token_id)
    assert len(desk.store.fetches) == 3


async def test_all_tries_together_have_one_limit() -> None:
    desk = Desk(bound=0.4)
    (token_id,) = await desk.records(1)

    async def slow() -> None:
        desk.clock.advance(0.5)

    desk.store._pass = slow  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="no answer"):  # the third try has no time left
        await desk.read(token_id)


async def test_who_has_waited_before_joins_a_read_for_the_rest_of_the_time() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    first = asyncio.create_task(desk.read(token_id))
    await settle()
    with pytest.raises(StoreUnavailable):
        await desk.read(token_id, waited=ANSWER_SECONDS)
    assert not first.done()
    desk.store.gate.set()
    assert await first == "number 0"


async def test_who_joins_the_read_of_one_who_has_waited_has_a_time_of_ones_own() -> None:
    desk = Desk()
    ids = await desk.records(4)
    desk.store.gate = asyncio.Event()
    late = [
        asyncio.create_task(desk.read(token_id, waited=ANSWER_SECONDS - 0.1)) for token_id in ids
    ]
    await settle()
    fresh = [asyncio.create_task(desk.read(token_id)) for token_id in ids]
    answers = await asyncio.gather(*late, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    desk.store.gate.set()
    assert await asyncio.gather(*fresh) == [f"number {i}" for i in range(4)]


async def test_without_a_cache_only_a_read_that_was_not_sent_is_joined() -> None:
    desk = Desk(share=False)
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    first = asyncio.create_task(desk.read(token_id))
    await settle()
    second = asyncio.create_task(desk.read(token_id))
    await settle()
    waiting = [asyncio.create_task(desk.read(token_id)) for _ in range(5)]
    await settle()
    desk.store.gate.set()
    await asyncio.gather(first, second, *waiting)
    assert len(desk.store.fetches) == 3  # two were sent at once; the five shared the third


async def test_a_store_without_an_answer_fails_all_who_wait() -> None:
    desk = Desk()
    ids = await desk.records(2)
    desk.store.broken = StoreUnavailable("down")
    answers = await asyncio.gather(
        *(desk.read(token_id) for token_id in ids * 3), return_exceptions=True
    )
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    desk.store.broken = None
    assert await desk.read(ids[0]) == "number 0"


async def test_a_fault_of_an_adapter_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.broken = RuntimeError("a bug")
    with pytest.raises(StoreUnavailable, match="adapter"):
        await desk.read(token_id)
    assert "a bug" in caplog.text
    desk.store.broken = None
    assert await desk.read(token_id) == "number 0"


async def test_closing_stops_the_reads_under_way() -> None:
    desk = Desk()
    ids = await desk.records(5)
    desk.store.gate = asyncio.Event()
    waiters = [asyncio.create_task(desk.read(token_id)) for token_id in ids]
    await settle()
    await desk.lookup.close()
    answers = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(asyncio.all_tasks()) == 1  # this test


async def test_closing_stops_who_reads_for_itself() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    waiters = [asyncio.create_task(desk.read(token_id)) for _ in range(2)]
    await settle()
    await desk.lookup.close()
    await settle()
    assert all(waiter.done() for waiter in waiters)  # at once, not when their time is over
    answers = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(desk.store.fetches) == 1


async def test_a_batch_that_is_stopped_before_it_is_sent_leaves_room_for_others() -> None:
    desk = Desk()
    ids = await desk.records(3)
    desk.store.gate = asyncio.Event()
    waiters = [asyncio.create_task(desk.read(token_id)) for token_id in ids]
    await asyncio.sleep(0)  # the batch is a task by now that has not begun
    await desk.lookup.close()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert len(desk.store.fetches) == 1
    assert desk.lookup._under_way == set()


async def test_a_store_that_is_mute_has_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bearer_guard.lookup.ANSWER_SECONDS", 0.01)
    desk = Desk()
    ids = await desk.records(3)
    desk.store.gate = asyncio.Event()
    answers = await asyncio.gather(
        *(desk.read(token_id) for token_id in ids), return_exceptions=True
    )
    assert [str(answer) for answer in answers] == ["no answer from the store within 0.01 s"] * 3


async def test_a_read_lost_with_its_loop_is_read_anew() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    lost = asyncio.create_task(desk.read(token_id))
    await settle()
    desk.lookup.abandon()
    desk.store.gate.set()
    assert await desk.read(token_id) == "number 0"
    assert await lost == "number 0"


async def test_an_embedded_store_is_asked_without_a_task() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    asked: list[object] = []

    def fetch_now(ids: object) -> dict[object, TokenRecord]:
        asked.append(ids)
        return {record.id: record for record in desk.store._records.values()}

    desk.lookup._fetch_now = fetch_now  # type: ignore[assignment]
    coroutine = desk.read(token_id)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)  # it never yields to the loop
    assert done.value.value == "number 0"
    assert desk.cache.get(token_id.int, desk.clock.elapsed()) is not None


async def test_what_an_embedded_store_says_is_dated_before_it_was_asked() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    begun = desk.clock.elapsed()

    def fetch_now(_ids: object) -> dict[object, TokenRecord]:
        desk.clock.advance(1)
        return {record.id: record for record in desk.store._records.values()}

    desk.lookup._fetch_now = fetch_now  # type: ignore[assignment]
    await desk.read(token_id)
    assert desk.cache.get(token_id.int, begun + 4.9) is not None
    assert desk.cache.get(token_id.int, begun + 5) is None


async def test_an_embedded_store_that_is_busy_is_asked_the_long_way() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.lookup._fetch_now = lambda _: None
    assert await desk.read(token_id) == "number 0"
    assert len(desk.store.fetches) == 1


async def test_who_comes_while_a_read_is_under_way_joins_it() -> None:
    desk = Desk()
    (token_id,) = await desk.records(1)
    desk.store.gate = asyncio.Event()
    first = asyncio.create_task(desk.read(token_id))
    await settle()
    second = asyncio.create_task(desk.read(token_id))
    await settle()
    desk.store.gate.set()
    await asyncio.gather(first, second)
    assert len(desk.store.fetches) == 1
