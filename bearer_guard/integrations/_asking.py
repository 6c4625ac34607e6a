"""The guard, asked about requests that are no ASGI server's: all of its options, one verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bearer_guard.guard import BearerGuard
from bearer_guard.verdict import Rendered

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ask", "guard_to_ask"]

_PASSED: Final = "bearer_guard.passed"


def guard_to_ask(**options: Any) -> BearerGuard:  # noqa: ANN401 - those of BearerGuard
    """A guard of no application."""
    return BearerGuard(_let_pass, **options)


async def ask(guard: ASGIApp, scope: Scope) -> Rendered | None:
    """What the guard answers; ``None``: it lets the request pass, and the scope says whose it is.

    Args:
        guard: Made by ``guard_to_ask``.
        scope: The request in the terms of ASGI: type, path, headers, client.
    """
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await guard(scope, receive, send)
    if scope.get(_PASSED) is True:
        return None
    start, body = sent
    return Rendered(start["status"], tuple(start["headers"]), body["body"])


async def _let_pass(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands in the place of the application."""
    del receive, send
    scope[_PASSED] = True
