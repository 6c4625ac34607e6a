"""The lifespan protocol around an application that may not know it.

Source: the ASGI specification, "Lifespan Protocol", version 2.0.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from .errors import BearerGuardError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["run_lifespan"]

_log: Final = logging.getLogger("bearer_guard")


async def run_lifespan(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    opening: Callable[[], Awaitable[None]],
    closing: Callable[[], Awaitable[None]],
) -> None:
    """Serve one lifespan: ours around the application's.

    A store that does not answer keeps nobody from starting: requests get 503 until it does. Keys
    or settings that can't work do.

    Args:
        app: The application, which need not know the protocol.
        scope: Of the lifespan.
        receive: From the server.
        send: To the server.
        opening: Called before the application starts.
        closing: Called after it has shut down.
    """
    await receive()
    try:
        await opening()
    except StoreUnavailable as error:
        _log.error("starting without the store: %s", error)
    except BearerGuardError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    try:
        await _Inner(app, scope, receive, send, closing).run()
    finally:
        await closing()


class _Inner:
    """The application's lifespan, the first message put back."""

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        closing: Callable[[], Awaitable[None]],
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._closing = closing
        self._begun = False  # the application has been given the first message
        self._answered = False  # it has said that it started, or that it can't

    async def run(self) -> None:
        try:
            await self._app(self._scope, self._receive_first, self._send_last)
        except Exception:
            # Before it answers, an exception says that it does not know the protocol.
            if self._answered:
                raise
            _log.info("the application knows no lifespan", exc_info=True)
        if not self._answered:
            await self._send({"type": "lifespan.startup.complete"})
            await self._receive()
            await self._closing()
            await self._send({"type": "lifespan.shutdown.complete"})

    async def _receive_first(self) -> Message:
        if self._begun:
            return await self._receive()
        self._begun = True
        return {"type": "lifespan.startup"}

    async def _send_last(self, message: Message) -> None:
        self._answered = True
        if message["type"].startswith("lifespan.shutdown."):
            await self._closing()
        await self._send(message)
