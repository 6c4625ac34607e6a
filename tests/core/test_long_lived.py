"""Connections that may outlive their token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard import BearerGuard, StoreUnavailable, long_lived
from tests.core.support import World, bearer, settle, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope, Send

    from bearer_guard import Refusal
    from bearer_guard.verify import Found


class Line(World):
    """A guard before an application that holds its connections open."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hang_up = asyncio.Event()
        self.stopped = False

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.got.scope = scope
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
        elif scope["path"] != "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
        try:
            await self.hang_up.wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def hold(self, token: str, **more: Any) -> asyncio.Task[Any]:
        """A connection that is open, and under way."""
        task = asyncio.create_task(self.ask(bearer(token), **more))
        await until(lambda: self.got.scope is not None)
        await settle()
        return task


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line(streams=["/events/*", "/late"])
    yield line
    await line.verifier.close()


KINDS: list[dict[str, Any]] = [{"type": "websocket"}, {"path": "/events/x"}]


@pytest.mark.parametrize("kind", KINDS, ids=["websocket", "stream"])
async def test_it_is_stopped_when_its_token_ends(line: Line, kind: dict[str, Any]) -> None:
    token = await line.token()
    task = await line.hold(token, **kind)
    await line.store.end((await line.store.page(None, None, 1)).records[0].id, line.clock.now_ms())
    got = await task
    assert line.stopped
    if kind.get("type") == "websocket":
        assert got.messages[-1] == {"type": "websocket.close", "code": 1008}
    else:
        assert got.messages[-1]["more_body"] is True  # left without its end


@pytest.mark.parametrize("kind", KINDS, ids=["websocket", "stream"])
async def test_it_goes_on_when_another_token_ends(line: Line, kind: dict[str, Any]) -> None:
    other = await line.token()
    await line.verifier.verify(other)
    number = line.store.fetches[0][0]
    task = await line.hold(await line.token(), **kind)
    await line.store.end(number, line.clock.now_ms())
    await settle()
    line.hang_up.set()
    await task
    assert not line.stopped


async def test_it_is_stopped_when_its_token_expires(line: Line) -> None:
    line.guard._long_lived._every = 0.001  # type: ignore[misc] # looks again without delay
    token = await line.token(expires_ms=line.clock.now_ms() + 3000)
    task = await line.hold(token, type="websocket")
    line.clock.advance(2.9)
    await asyncio.wait([task], timeout=0.02)
    assert not task.done()
    line.clock.advance(0.1)
    await task
    assert line.stopped
    assert line.verifier.refusals.counts["expired"] == 1  # type: ignore[index]


async def test_it_is_stopped_when_the_store_has_not_vouched_for_longer_than_the_bound(
    line: Line,
) -> None:
    line.guard._long_lived._every = 0.001  # type: ignore[misc]
    task = await line.hold(await line.token(), type="websocket")
    line.store.broken = StoreUnavailable("down")
    line.clock.advance(4.9)
    await asyncio.wait([task], timeout=0.02)
    assert not task.done()
    line.clock.advance(0.2)
    await task
    assert line.stopped


async def test_what_is_asked_again_and_still_good_goes_on(line: Line) -> None:
    line.guard._long_lived._every = 0.001  # type: ignore[misc]
    task = await line.hold(await line.token(), type="websocket")
    reads = len(line.store.fetches)
    line.clock.advance(70)  # beyond T: it is read again
    await until(lambda: len(line.store.fetches) > reads)
    await settle()
    line.hang_up.set()
    got = await task
    assert got.messages[-1] == {"type": "websocket.close", "code": 1000}


async def test_a_response_that_has_not_begun_is_answered(line: Line) -> None:
    token = await line.token()
    task = await line.hold(token, path="/late")
    await line.store.end((await line.store.page(None, None, 1)).records[0].id, line.clock.now_ms())
    got = await task
    assert got.status == 401


async def test_an_application_that_is_done_first_is_not_stopped(line: Line) -> None:
    task = await line.hold(await line.token(), type="websocket")
    token_id = line.store.fetches[0][0]
    line.store.gate = asyncio.Event()
    await line.store.end(token_id, line.clock.now_ms())
    await settle()  # the token is being asked after
    line.hang_up.set()
    await settle()
    line.store.gate.set()
    got = await task
    assert got.messages[-1] == {"type": "websocket.close", "code": 1000}
    assert line.verifier.refusals.counts["ended"] == 0  # type: ignore[index]


async def test_an_application_that_is_done_is_waited_for_no_longer(line: Line) -> None:
    task = await line.hold(await line.token(), type="websocket")
    line.hang_up.set()
    await settle()
    assert task.done()


async def test_short_requests_are_not_watched_over(line: Line) -> None:
    task = await line.hold(await line.token(), path="/short")
    assert line.guard._long_lived._changed == {}
    line.hang_up.set()
    await task


async def test_nothing_is_left_behind(line: Line) -> None:
    tasks = len(asyncio.all_tasks())
    token = await line.token()
    await line.verifier.open()
    idle = len(asyncio.all_tasks())
    for _ in range(3):
        line.got.scope = None
        line.hang_up.clear()
        task = await line.hold(token, type="websocket")
        line.hang_up.set()
        await task
    assert len(asyncio.all_tasks()) == idle > tasks
    assert line.guard._long_lived._changed == {}


async def test_a_client_that_goes_away_stops_the_application(line: Line) -> None:
    task = await line.hold(await line.token(), type="websocket")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert line.stopped
    assert line.guard._long_lived._changed == {}


async def test_an_error_of_the_application_is_passed_on() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        raise ZeroDivisionError

    world = World()
    guard = BearerGuard(failing, store=world.store, keyring=world.keyring, clock=world.clock)
    scope = {
        "type": "websocket",
        "path": "/",
        "headers": [(b"authorization", bearer(await world.token()).encode())],
    }

    async def nothing(message: Message | None = None) -> Message:
        return message or {}

    with pytest.raises(ZeroDivisionError):
        await guard(scope, nothing, nothing)  # type: ignore[arg-type]
    await guard.verifier.close()


async def test_without_a_cache_an_end_is_noticed_too() -> None:
    line = Line(staleness=0)
    line.guard._long_lived._every = 0.001  # type: ignore[misc]
    task = await line.hold(await line.token(), type="websocket")
    line.store._announcer._listeners.clear()  # as if another process had ended it
    await line.store.end(line.store.fetches[0][0], line.clock.now_ms())
    await task
    assert line.stopped
    await line.verifier.close()


async def test_an_application_that_will_not_go_is_cut_off_at_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bearer_guard.long_lived._PARTING_SECONDS", 0.01)
    refused: list[OSError] = []

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        line.got.scope = scope
        await send({"type": "websocket.accept"})
        while not refused:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                try:
                    await send({"type": "websocket.send", "text": "still here"})
                except OSError as error:
                    refused.append(error)
        assert (await receive())["type"] == "websocket.disconnect"

    line.guard._app = stubborn  # type: ignore[misc]
    task = await line.hold(await line.token(), type="websocket")
    await line.store.end((await line.store.page(None, None, 1)).records[0].id, line.clock.now_ms())
    got = await task
    assert [message["type"] for message in got.messages] == ["websocket.accept", "websocket.close"]
    assert refused


async def test_it_is_looked_at_again_when_the_polls_word_runs_out(line: Line) -> None:
    """Not a bound later: what it waits for is capped by what the polls vouch for."""
    task = await line.hold(await line.token(), type="websocket")
    long_lived = line.guard._long_lived
    long_lived.vouch(line.clock.elapsed() + 0.01)
    asked = asyncio.Event()
    still = line.verifier.still

    async def noted(found: Found) -> float | Refusal:
        asked.set()
        return await still(found)

    line.verifier.still = noted  # type: ignore[method-assign]
    long_lived.forget(None)  # wakes it once, so that it sees the new word
    await asyncio.wait_for(asked.wait(), 5)
    asked.clear()
    long_lived.vouch(line.clock.elapsed() + 0.01)
    line.clock.advance(0.02)
    await asyncio.wait_for(asked.wait(), 2)  # B is 5 s
    line.hang_up.set()
    await task


async def held_at(line: Line, app: Any, send: Any) -> asyncio.Task[Any]:
    """A WebSocket to an application of one's own, by a client of one's own."""
    token = await line.token()
    guard = BearerGuard(app, store=line.verifier, keyring=line.keyring)
    first: asyncio.Queue[Message] = asyncio.Queue()
    first.put_nowait({"type": "websocket.connect"})
    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers}
    task = asyncio.create_task(guard(scope, first.get, send))
    await settle()
    return task


async def end_all(line: Line) -> None:
    for record in (await line.store.page(None, None, 9)).records:
        await line.store.end(record.id, line.clock.now_ms())


async def test_a_websocket_that_is_not_accepted_yet_is_closed_too(line: Line) -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await receive()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    task = await held_at(line, app, send)
    await end_all(line)
    async with asyncio.timeout(5):
        await task
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_client_that_does_not_read_keeps_no_application_alive(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_lived, "_STOPPING_SECONDS", 0.01)
    over, shut = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    async def send(message: Message) -> None:
        if message["type"] == "websocket.close":
            await shut.wait()

    task = await held_at(line, app, send)
    await end_all(line)
    async with asyncio.timeout(5):
        await over.wait()
    assert not task.done()  # the server has not let go of the connection
    shut.set()
    await task


async def test_a_client_that_never_reads_keeps_no_task_either(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_lived, "_STOPPING_SECONDS", 0.01)
    monkeypatch.setattr(long_lived, "_PARTING_SECONDS", 0.01)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        if message["type"] == "websocket.close":
            await asyncio.Event().wait()

    task = await held_at(line, app, send)
    await end_all(line)
    async with asyncio.timeout(5):
        await asyncio.wait((task,))
