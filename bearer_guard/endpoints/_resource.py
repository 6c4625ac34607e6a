"""One path of the HTTP API: from the request to an answer, whatever comes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bearer_guard.errors import FeatureOff, IssueRefused, KeyringError, StoreUnavailable
from bearer_guard.verdict import Reason

from . import _answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from bearer_guard.issuing import Principal
    from bearer_guard.store import Store

    from ._credentials import Gate

__all__ = ["Handler", "Resource"]

Handler: TypeAlias = "Callable[[Request, Principal], Awaitable[Response]]"

_log: Final = logging.getLogger("bearer_guard")


class Resource:
    """An ASGI application for one path.

    Args:
        gate: Finds out who asks.
        handlers: By method. ``HEAD`` is ``GET`` without the body.
        unless_off: The path does not exist while this store's workspace has tokens switched off;
            ``None``: it always does.
    """

    def __init__(
        self, gate: Gate, handlers: Mapping[str, Handler], *, unless_off: Store | None
    ) -> None:
        self._gate: Final = gate
        self._handlers: Final = dict(handlers)
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self._store: Final = unless_off

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return  # nobody is there to be told
        except IssueRefused as refusal:
            answer = _answers.why_not(refusal)
        except (StoreUnavailable, KeyringError) as error:
            _log.warning("a request of the HTTP API was answered 503: %s", error)
            answer = _answers.refused(Reason.UNAVAILABLE, realm="")
        if request.method == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if self._store is not None and not (await self._store.policy()).enabled:
            raise FeatureOff("there is nothing here")
        handler = self._handlers.get(request.method)
        if handler is None:
            return _answers.wrong_method(self._handlers)
        who = await self._gate.who(request)
        return who if isinstance(who, Response) else await handler(request, who)
