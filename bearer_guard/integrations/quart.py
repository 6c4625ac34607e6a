"""Quart: a decorator for views and WebSockets.

app = Quart(__name__)
app.asgi_app = BearerGuard(app.asgi_app, store="sqlite:///tokens.db", keyring=Keyring.from_env())

@app.get("/reports")
@token_required("reports:read")
async def reports(): return g.token.owner
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

from quart import Response, current_app, g, has_websocket_context, request, websocket

from bearer_guard.record import TokenInfo

from ._behind import admit, check_scopes, fields_of, token_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["token_required"]

_P = ParamSpec("_P")
_View: TypeAlias = "Callable[_P, Any]"


def token_required(
    *scopes: str, realm: str = "api"
) -> Callable[[_View[_P]], Callable[_P, Awaitable[Any]]]:
    """A decorator: the view runs if the token has these scopes; with none, for any token.

    The view finds the token in ``quart.g.token``.

    Args:
        *scopes: All of them are needed.
        realm: Of the challenge; that of the guard.

    Raises:
        TypeError: A scope is no text: the brackets were left out.
        ValueError: The scopes or the realm can't stand in a challenge.
    """
    needed = check_scopes(scopes, realm)

    def decorate(view: _View[_P]) -> Callable[_P, Awaitable[Any]]:
        @wraps(view)
        async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> Any:  # noqa: ANN401 - the view's
            connection = websocket if has_websocket_context() else request
            answer = admit(token_of(connection.scope), needed, realm)
            if isinstance(answer, TokenInfo):
                g.token = answer
                return await current_app.ensure_async(view)(*args, **kwargs)
            return Response(
                answer.body, answer.status, fields_of(answer), content_type="application/json"
            )

        return guarded

    return decorate
