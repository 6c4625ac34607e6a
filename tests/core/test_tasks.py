"""Background work: started, bounded in time, and stopped together."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import NoReturn

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.tasks import ANSWER_SECONDS, Faults, Tasks, time_limit


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("stopped")


async def test_work_runs_in_the_background() -> None:
    tasks, done = Tasks(), asyncio.Event()

    async def work() -> None:
        done.set()

    tasks.spawn(work())
    await done.wait()


async def test_work_that_nobody_else_holds_is_kept_from_the_collector() -> None:
    tasks, ended = Tasks(), list[str]()
    tasks.spawn(forever(ended))
    await asyncio.sleep(0)
    gc.collect()
    assert ended == []
    await tasks.stop()


async def test_stopping_ends_all_work_and_waits_for_it() -> None:
    tasks, ended = Tasks(), list[str]()
    for _ in range(3):
        tasks.spawn(forever(ended))
    await asyncio.sleep(0)
    await tasks.stop()
    assert ended == ["stopped"] * 3


async def test_stopping_does_not_mind_work_that_ends_in_an_error() -> None:
    tasks = Tasks()

    async def stubborn() -> NoReturn:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    tasks.spawn(stubborn())
    await asyncio.sleep(0)
    await tasks.stop()


async def test_work_that_loses_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bearer_guard.tasks._AGAIN_SECONDS", 0.01)
    lost = asyncio.Event()

    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        lost.set()
        await asyncio.Event().wait()

    tasks = Tasks()
    tasks.spawn(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await tasks.stop()
    assert lost.is_set()


async def test_stopping_without_work_returns() -> None:
    await Tasks().stop()


async def test_work_that_has_ended_is_let_go() -> None:
    tasks = Tasks()

    async def work() -> None:
        pass

    tasks.spawn(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not tasks._running


async def test_abandoned_work_is_left_alone() -> None:
    tasks, ended = Tasks(), list[str]()
    tasks.spawn(forever(ended))
    (work,) = tasks._running
    await asyncio.sleep(0)
    tasks.abandon()
    await tasks.stop()
    assert ended == []
    work.cancel()
    await asyncio.wait([work])


async def test_work_can_be_started_after_a_stop() -> None:
    tasks, ended = Tasks(), list[str]()
    await tasks.stop()
    tasks.spawn(forever(ended))
    await asyncio.sleep(0)
    await tasks.stop()
    assert ended == ["stopped"]


async def test_what_takes_too_long_had_no_answer() -> None:
    with pytest.raises(StoreUnavailable, match="no answer from the store within 0 s"):
        async with time_limit(0):
            await asyncio.Event().wait()


async def test_a_drivers_own_timeout_had_no_answer_either() -> None:
    with pytest.raises(StoreUnavailable) as raised:
        async with time_limit(ANSWER_SECONDS):
            raise TimeoutError
    assert isinstance(raised.value.__cause__, TimeoutError)


async def test_what_is_quick_enough_passes() -> None:
    async with time_limit(ANSWER_SECONDS):
        await asyncio.sleep(0)


async def test_an_error_within_the_time_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with time_limit(ANSWER_SECONDS):
            raise ZeroDivisionError


async def test_being_cancelled_is_no_timeout() -> None:
    async def limited() -> None:
        async with time_limit(ANSWER_SECONDS):
            await asyncio.Event().wait()

    task = asyncio.create_task(limited())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_invariant_05_a_read_leaves_time_for_a_503_within_the_second() -> None:
    assert ANSWER_SECONDS < 1


def test_a_fault_of_an_adapter_is_logged_and_is_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(StoreUnavailable, match="the store's adapter failed"), Faults("a read"):
        raise ZeroDivisionError
    assert "a read failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("other", [StoreUnavailable("down"), asyncio.CancelledError()])
def test_what_is_no_fault_passes_as_it_is(
    other: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(other)) as raised, Faults("a read"):
        raise other
    assert raised.value is other
    assert not caplog.records
