"""The time that a call has."""

import asyncio

import pytest

from bearer_guard.stores._sql_limit import Limit


class Wire:
    """A connection that never answers, and fails when it is cut, as drivers' do."""

    def __init__(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()

    async def ask(self) -> None:
        await self.answer


class Cutter:
    """The only part of a driver that a limit needs."""

    def __init__(self) -> None:
        self.cuts: list[Wire] = []

    def cut(self, connection: Wire) -> None:
        self.cuts.append(connection)
        if not connection.answer.done():
            connection.answer.set_exception(ConnectionResetError("cut"))


async def ask(limit: Limit, wire: Wire) -> None:
    async with limit:
        with limit.holding(wire):
            await wire.ask()


async def give_back_and_wait(limit: Limit, wire: Wire | None) -> None:
    async with limit:
        if wire is not None:
            with limit.holding(wire):
                pass
        await asyncio.Event().wait()


async def test_what_waits_is_cut_and_not_cancelled() -> None:
    wire, driver = Wire(), Cutter()
    limit = Limit(driver, 0.02)  # type: ignore[arg-type]
    with pytest.raises(ConnectionResetError):
        await ask(limit, wire)
    assert (limit.over, driver.cuts) == (True, [wire])


async def test_without_a_connection_the_caller_is_cancelled() -> None:
    driver = Cutter()
    limit = Limit(driver, 0.02)  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        await give_back_and_wait(limit, None)
    assert (limit.over, driver.cuts) == (True, [])


async def test_a_connection_that_was_given_back_is_not_cut() -> None:
    wire, driver = Wire(), Cutter()
    limit = Limit(driver, 0.02)  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        await give_back_and_wait(limit, wire)
    assert driver.cuts == []


async def test_who_is_done_in_time_is_left_alone() -> None:
    wire, driver = Wire(), Cutter()
    limit = Limit(driver, 0.02)  # type: ignore[arg-type]
    async with limit:
        with limit.holding(wire):
            pass
    await asyncio.sleep(0.1)
    assert (limit.over, driver.cuts) == (False, [])


async def test_each_step_may_have_the_time_anew() -> None:
    limit = Limit(Cutter(), 0.2)  # type: ignore[arg-type]
    async with limit:
        for _ in range(6):
            await asyncio.sleep(0.06)
            limit.renew()
    assert not limit.over
