"""The lifespan protocol around applications that know it, don't, or fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bearer_guard import ConfigurationError, StoreUnavailable
from bearer_guard.lifespan import run_lifespan

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Server:
    """Runs one lifespan as a server does, and writes down what happened in which order."""

    def __init__(self, app: ASGIApp, *, failing: Exception | None = None) -> None:
        self.app = app
        self.failing = failing
        self.log: list[str] = []
        self.sent: list[Message] = []
        self.stopping = asyncio.Event()
        self.received = 0

    async def opening(self) -> None:
        self.log.append("open")
        if self.failing is not None:
            raise self.failing

    async def closing(self) -> None:
        self.log.append("close")

    async def receive(self) -> Message:
        self.received += 1
        if self.received == 1:
            return {"type": "lifespan.startup"}
        await self.stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Message) -> None:
        self.log.append(message["type"].removeprefix("lifespan."))
        self.sent.append(message)
        self.stopping.set()

    async def run(self) -> None:
        async with asyncio.timeout(5):
            await run_lifespan(
                self.app,
                {"type": "lifespan"},
                self.receive,
                self.send,
                opening=self.opening,
                closing=self.closing,
            )


def knowing(log: list[str]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        assert (await receive())["type"] == "lifespan.startup"
        log.append("app up")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        log.append("app down")
        await send({"type": "lifespan.shutdown.complete"})

    return app


async def test_ours_is_around_the_applications() -> None:
    server = Server(lambda *_: None)  # type: ignore[arg-type,return-value]
    server.app = knowing(server.log)
    await server.run()
    assert server.log[:3] == ["open", "app up", "startup.complete"]
    assert server.log[3:6] == ["app down", "close", "shutdown.complete"]


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    del receive, send
    assert scope["type"] == "http", "an application that knows nothing but http"


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Ignores what it does not know."""


@pytest.mark.parametrize("app", [raising, silent])
async def test_an_application_that_does_not_know_it_is_served_too(app: ASGIApp) -> None:
    server = Server(app)
    await server.run()
    assert server.log[:2] == ["open", "startup.complete"]
    assert server.log[2:4] == ["close", "shutdown.complete"]


async def test_an_application_that_fails_to_start_says_so_itself() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})
        raise RuntimeError("no disk")

    server = Server(app)
    with pytest.raises(RuntimeError, match="no disk"):
        await server.run()
    assert server.sent == [{"type": "lifespan.startup.failed", "message": "no disk"}]
    assert "close" in server.log


async def test_settings_that_cannot_work_keep_it_from_starting() -> None:
    server = Server(raising, failing=ConfigurationError("the keys are wrong"))
    await server.run()
    assert server.sent == [{"type": "lifespan.startup.failed", "message": "the keys are wrong"}]


async def test_a_store_without_an_answer_keeps_nobody_from_starting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(silent, failing=StoreUnavailable("no route"))
    await server.run()
    assert server.sent[0] == {"type": "lifespan.startup.complete"}
    assert "starting without the store: no route" in caplog.text
