"""Refusals as they go out: in the way of each protocol."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .errors import ConfigurationError
from .verdict import Reason, render

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .verdict import Refusal, Rendered

__all__ = ["Answers", "Line"]

_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1
_LETTING_GO_SECONDS: Final = 1.0


class Line:
    """Between a client and an application whose time may run out.

    Args:
        kind: Of the ASGI scope.
        receive: From the client.
        send: To the client.

    Attributes:
        begun: The application has begun to answer: a response, or the acceptance of a WebSocket.
        over: It has closed the WebSocket.
    """

    def __init__(self, kind: str, receive: Receive, send: Send) -> None:
        self._kind = kind
        self._receive = receive
        self._send = send
        self._cut = False
        self._receiving: asyncio.Timeout | None = None
        self._let_go = asyncio.Event()
        self._heard = False  # the application has had the client's first message
        self.begun = False
        self.over = False

    async def receive(self) -> Message:
        """For the application. A limit that ``cut`` sets is a tenth of the price of a task."""
        if not self._cut:
            limit = self._receiving = asyncio.timeout(None)
            try:
                async with limit:
                    message = await self._receive()
            except TimeoutError:
                if not limit.expired():
                    raise
            else:
                self._heard = True
                return message
            finally:
                self._receiving = None
                self._let_go.set()
        return {"type": f"{self._kind}.disconnect", "code": _POLICY_VIOLATION}

    async def send(self, message: Message) -> None:
        """For the application.

        Raises:
            OSError: It has been cut, as if the client had gone (ASGI specification, 2.4).
        """
        if self._cut:
            raise OSError("the token has ended")
        self.begun = True
        self.over = self.over or message["type"] == "websocket.close"
        await self._send(message)

    async def cut(self) -> tuple[Receive, Send]:
        """The client's end, which the application does not reach any more."""
        self._cut = True
        if self._receiving is not None:
            self._let_go.clear()
            self._receiving.reschedule(0)
            # Granian sends no closing frame while somebody waits to receive one.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LETTING_GO_SECONDS):
                    await self._let_go.wait()
        # Once cut, `receive` waits for nobody; websocket.connect comes once only.
        return (self.receive if self._heard else self._receive), self._send


class Answers:
    """The answers of one guard, ready to be sent.

    Args:
        realm: Of the challenge.
        scopes: Those that every request needs.
        resource_metadata: See ``render``.

    Raises:
        ConfigurationError: They can't stand in a header field.
    """

    def __init__(self, realm: str, scopes: Collection[str], resource_metadata: str = "") -> None:
        said = {"realm": realm, "resource_metadata": resource_metadata}
        try:
            self._rendered: Final = {
                reason: render(reason, scopes=scopes, **said) for reason in Reason
            }
        except ValueError as error:
            raise ConfigurationError(f"realm, or resource_metadata: {error}") from error

    async def refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn a connection away before the application sees it.

        A protocol that is not known gets no answer, and is not let through.
        """
        answer = self._rendered[refusal.reason]
        if scope["type"] == "http":
            await _respond("http.response", answer, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            if "websocket.http.response" in (scope.get("extensions") or ()):
                await _respond("websocket.http.response", answer, send)
            else:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def stop(self, refusal: Refusal, scope: Scope, line: Line) -> None:
        """End a connection whose token has ended, while the application is at it.

        A response that has begun is left without its end, which the server shows the client by
        closing the connection.
        """
        receive, send = await line.cut()
        with suppress(OSError):  # the client may be gone already
            if not line.begun:
                await self.refuse(refusal, scope, receive, send)
            elif scope["type"] == "websocket" and not line.over:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def brush_off(self, silenced: Callable[[], bool], aside: ASGIApp) -> ASGIApp:
        """What answers a flood of forged tokens, at the price of a comparison or two.

        Args:
            silenced: Counts one, if it may go without a word.
            aside: Where it goes otherwise.
        """
        status, headers, body = self._rendered[Reason.FORGED]

        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            if silenced():
                # A list of its own: outer layers may add to it.
                start = {"type": "http.response.start", "status": status, "headers": [*headers]}
                await send(start)
                await send({"type": "http.response.body", "body": body})
            else:
                await aside(scope, receive, send)

        return refuse


async def _respond(kind: str, answer: Rendered, send: Send) -> None:
    headers = list(answer.headers)  # a list of its own: outer layers may add to it
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": answer.body})
