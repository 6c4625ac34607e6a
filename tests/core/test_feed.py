"""Polls, hints and the policy: how the cache hears of changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bearer_guard import Policy, StoreUnavailable
from bearer_guard.cache import Cache
from bearer_guard.clock import ForwardClock
from bearer_guard.feed import Feed
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock, a_record
from tests.core.support import CountingStore, settle, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from uuid import UUID


class Ear:
    """Hears what a follower is told."""

    def __init__(self) -> None:
        self.forgotten: list[set[int] | None] = []
        self.vouched = float("-inf")

    def forget(self, numbers: Collection[int] | None, /) -> None:
        self.forgotten.append(None if numbers is None else set(numbers))

    def vouch(self, until: float, /) -> None:
        self.vouched = until


class Post:
    """A feed, its cache, and somebody who follows."""

    def __init__(self, store: CountingStore | None = None, *, bound: float = 5.0) -> None:
        self.clock = ManualClock()
        self.store = CountingStore(self.clock) if store is None else store
        self.cache = Cache[int, str](bound=bound, life=60.0, size=100, polls=bound >= 0.5)
        self.in_use = True
        self.feed = Feed(
            self.store,
            self.cache,
            bound=bound,
            clock=ForwardClock(self.clock),
            in_use=lambda: self.in_use,
        )
        self.ear = Ear()
        self.feed.follow(self.ear)

    def keep(self, number: int) -> None:
        """As a read would have."""
        now = self.clock.elapsed()
        self.cache.arrive(self.cache.depart(number, now), "x", now, grant=True)

    def knows(self, number: int) -> bool:
        return self.cache.get(number, self.clock.elapsed()) is not None


async def test_the_first_poll_begins_a_chain_and_brings_the_policy() -> None:
    post = Post()
    await post.feed.poll()
    assert post.feed.policy_now(post.clock.elapsed()) == Policy()
    assert post.ear.forgotten[0] is None
    assert post.ear.vouched == post.clock.elapsed() + 5.0


async def test_a_poll_drops_what_another_process_ended() -> None:
    post = Post()
    record = a_record()
    await post.store.add(record)
    await post.feed.poll()
    post.keep(record.id.int)
    post.store._announcer._listeners.clear()  # as if the end came from elsewhere
    await post.store.end(record.id, post.clock.now_ms())
    assert post.knows(record.id.int)
    await post.feed.poll()
    assert not post.knows(record.id.int)
    assert {record.id.int} in post.ear.forgotten


async def test_a_poll_vouches_from_when_it_was_sent() -> None:
    post = Post()
    post.store.gate = asyncio.Event()
    sent = post.clock.elapsed()
    polling = asyncio.create_task(post.feed.poll())
    await settle()
    post.clock.advance(0.7)
    post.store.gate.set()
    await polling
    assert post.ear.vouched == sent + 5.0
    assert post.feed.age == pytest.approx(0.7)


async def test_polls_keep_what_is_held_beyond_the_bound() -> None:
    post = Post()
    await post.feed.poll()
    post.keep(7)
    for _ in range(10):
        post.clock.advance(4.0)
        await post.feed.poll()
    assert post.knows(7)


async def test_when_polls_stop_what_is_held_goes_stale_by_itself() -> None:
    post = Post()
    await post.feed.poll()
    post.keep(7)
    post.store.broken = StoreUnavailable("down")
    post.clock.advance(4.9)
    with pytest.raises(StoreUnavailable):
        await post.feed.poll()
    assert post.knows(7)
    post.clock.advance(0.2)
    assert not post.knows(7)
    assert post.feed.policy_now(post.clock.elapsed()) is None


async def test_a_poll_that_hangs_is_given_up() -> None:
    post = Post(bound=0.5)
    post.store.gate = asyncio.Event()
    with pytest.raises(StoreUnavailable, match="no answer"):
        await post.feed.poll()


async def test_a_change_made_here_is_known_before_its_call_returns() -> None:
    post = Post()
    record = a_record()
    await post.store.add(record)
    await post.feed.poll()
    post.keep(record.id.int)
    await post.store.end(record.id, post.clock.now_ms())
    assert not post.knows(record.id.int)


async def test_a_policy_set_here_holds_when_the_call_returns() -> None:
    post = Post()
    await post.feed.poll()
    await post.store.set_policy(Policy(enabled=False))
    assert post.feed.policy_now(post.clock.elapsed()) is None
    assert (await post.feed.policy()).enabled is False
    assert post.ear.forgotten[-1] is None


async def test_a_poll_under_way_does_not_bring_back_the_policy_of_before() -> None:
    post = Post()
    await post.feed.poll()
    post.store.gate = asyncio.Event()
    polling = asyncio.create_task(post.feed.poll())
    await settle()
    post.feed._changed_here(None)
    post.store.gate.set()
    await polling
    assert post.feed.policy_now(post.clock.elapsed()) is None


async def test_a_late_policy_does_not_replace_a_later_one() -> None:
    post = Post()
    post.feed._learn(Policy(enabled=False), 10.0, 0)
    post.feed._learn(Policy(enabled=True), 9.0, 0)
    assert post.feed.policy_now(12.0) == Policy(enabled=False)


async def test_a_clock_set_forward_empties_what_is_held(caplog: pytest.LogCaptureFixture) -> None:
    post = Post()
    await post.feed.poll()
    post.keep(7)
    post.clock.step_wall(3_600_000)
    await post.feed.poll()
    assert not post.knows(7)
    assert "set forward" in caplog.text


async def test_a_clock_set_back_changes_nothing() -> None:
    post = Post()
    await post.feed.poll()
    post.keep(7)
    post.clock.step_wall(-3_600_000)
    await post.feed.poll()
    assert post.knows(7)


async def test_below_half_a_second_nothing_is_polled() -> None:
    post = Post(bound=0.4)
    await post.feed.open()
    assert post.store.polls == 0
    assert post.ear.vouched == float("inf")
    await post.feed.close()


async def test_polls_go_on_in_the_background_until_it_is_closed() -> None:
    post = Post()
    post.feed._interval = 0.0  # type: ignore[misc]
    await post.feed.open()
    await until(lambda: post.store.polls >= 5)
    await post.feed.close()
    polls = post.store.polls
    await settle()
    assert post.store.polls == polls


async def test_failing_polls_are_told_once_and_go_on(caplog: pytest.LogCaptureFixture) -> None:
    post = Post()
    post.feed._interval = 0.0  # type: ignore[misc]
    await post.feed.open()
    post.store.broken = StoreUnavailable("down")
    begun = post.store.polls
    await until(lambda: post.store.polls >= begun + 5)
    assert caplog.text.count("does not answer polls") == 1
    post.store.broken = None
    post.clock.advance(1.0)
    await until(lambda: post.feed.age <= 0.5)
    await post.feed.close()


async def test_polls_pause_while_nothing_is_used() -> None:
    post = Post()
    post.feed._interval = 0.0  # type: ignore[misc]
    post.in_use = False
    await post.feed.open()
    await settle(50)
    assert post.store.polls == 1
    post.in_use = True
    post.feed.wake()
    await until(lambda: post.store.polls >= 3)
    await post.feed.close()


async def test_while_polls_pause_nothing_is_remembered_on_their_word() -> None:
    """Or a token that is used again would be good for the whole bound after it was ended."""
    post = Post()
    post.feed._interval = 0.0  # type: ignore[misc]
    await post.feed.open()
    post.keep(7)
    post.clock.advance(4)
    await until(lambda: post.feed.age < 1)
    post.clock.advance(4)
    await until(lambda: post.feed.age < 1)
    assert post.knows(7)
    post.in_use = False
    await until(lambda: not post.knows(7))
    assert post.ear.vouched == float("-inf")
    assert post.feed.policy_now(post.clock.elapsed()) is None
    post.feed.wake()
    post.in_use = True
    await until(lambda: post.knows(7))  # the chain goes on: it was not ended meanwhile
    await post.feed.close()


async def test_whoever_looks_up_a_token_keeps_polls_from_pausing() -> None:
    post = Post()
    post.feed._interval = 0.0  # type: ignore[misc]
    await post.feed.open()
    post.in_use = False
    post.feed.wake()
    begun = post.store.polls
    await until(lambda: post.store.polls > begun)
    await post.feed.close()


class HintingStore(CountingStore):
    """Pushes what is put into its queue; an exception breaks the stream off."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.queue: asyncio.Queue[Collection[UUID] | Exception] = asyncio.Queue()
        self.streams = 0

    def hints(self) -> AsyncIterator[Collection[UUID]]:  # type: ignore[override]
        self.streams += 1
        return self._stream()

    async def _stream(self) -> AsyncIterator[Collection[UUID]]:
        while True:
            item = await self.queue.get()
            if isinstance(item, Exception):
                raise item
            yield item


async def test_a_hint_evicts_and_moves_neither_cursor_nor_chain() -> None:
    store = HintingStore(ManualClock())
    post = Post(store)
    await post.feed.open()
    record = a_record()
    post.keep(record.id.int)
    cursor, vouched = post.feed._cursor, post.ear.vouched
    await store.queue.put([record.id])
    await until(lambda: not post.knows(record.id.int))
    assert post.feed._cursor == cursor
    assert post.ear.vouched == vouched
    assert store.polls == 1  # a revocation causes no storm of polls
    await post.feed.close()


async def test_hints_that_break_off_are_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bearer_guard.feed.HINT_PAUSE", 0.0)
    store = HintingStore(ManualClock())
    post = Post(store)
    await post.feed.open()
    await store.queue.put(StoreUnavailable("cut"))
    await until(lambda: store.streams >= 2)
    record = a_record()
    post.keep(record.id.int)
    await store.queue.put([record.id])
    await until(lambda: not post.knows(record.id.int))
    await post.feed.close()


async def test_hints_that_are_no_longer_offered_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bearer_guard.feed.HINT_PAUSE", 0.0)
    store = HintingStore(ManualClock())
    post = Post(store)
    await post.feed.open()
    monkeypatch.setattr(store, "hints", MemoryStore(clock=post.clock).hints)
    await store.queue.put(StoreUnavailable("cut"))
    await until(lambda: len(post.feed._tasks._running) <= 1)
    await post.feed.close()


async def test_a_poll_that_could_not_continue_empties_whoever_follows() -> None:
    post = Post()
    await post.feed.poll()
    told = len(post.ear.forgotten)
    post.feed._cursor = None  # nothing to continue: a reset
    await post.feed.poll()
    assert post.ear.forgotten[told:] == [None]


async def test_a_fault_of_an_adapter_does_not_end_the_polls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    post = Post()
    post.feed._interval = 0.0  # type: ignore[misc]
    await post.feed.open()
    post.store.broken = ZeroDivisionError()
    begun = post.store.polls
    await until(lambda: post.store.polls > begun + 2)
    post.store.broken = None
    post.clock.advance(1.0)
    await until(lambda: post.feed.age < 0.5)
    assert "a poll failed" in caplog.text
    await post.feed.close()


async def test_a_fault_of_an_adapter_gives_no_settings(caplog: pytest.LogCaptureFixture) -> None:
    post = Post()
    post.store.broken = ZeroDivisionError()
    with pytest.raises(StoreUnavailable, match="the store's adapter failed"):
        await post.feed.policy()
    assert "reading the settings failed" in caplog.text


async def test_hints_that_fail_are_taken_up_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bearer_guard.feed.HINT_PAUSE", 0.0)
    store = HintingStore(ManualClock())
    post = Post(store)
    await post.feed.open()
    await store.queue.put(ZeroDivisionError())
    await until(lambda: store.streams >= 2)
    assert "hints failed" in caplog.text
    await post.feed.close()


async def test_settings_that_keep_changing_have_no_answer() -> None:
    post = Post()
    policy = post.store.policy

    async def changing() -> Policy:
        post.feed._changed_here(None)
        return await policy()

    post.store.policy = changing  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="keep changing"):
        await post.feed.policy()


async def test_it_can_say_whether_changes_are_followed() -> None:
    post = Post()
    await post.feed.check()  # has never polled: it does now
    assert post.store.polls == 1
    await post.feed.check()
    assert post.store.polls == 1
    bare = Post(bound=0.2)
    await bare.feed.check()
    assert bare.store.policies == 1
