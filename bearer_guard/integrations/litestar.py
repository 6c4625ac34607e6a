"""Litestar: a guard that asks for scopes, and the token of a connection.

    app = BearerGuard(Litestar([reports]), store="sqlite:///tokens.db", keyring=Keyring.from_env())

    @get("/reports", guards=[requires("reports:read")])
    async def reports(request: Request) -> str:
        return current_token(request).owner

``request.user`` and ``request.auth`` are what the guard has set. It has to stand around the whole
application: Litestar would make one of a ``middleware=`` for each route.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, WebSocketException

from bearer_guard.record import TokenInfo

from ._behind import admit, check_scopes, fields_of, token_of

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers.base import BaseRouteHandler
    from litestar.types import Guard

__all__ = ["current_token", "requires"]

_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1
_Connection: TypeAlias = "ASGIConnection[Any, Any, Any, Any]"


def current_token(connection: _Connection) -> TokenInfo | None:
    """The connection's token; ``None``: it is anonymous.

    Raises:
        ConfigurationError: No ``BearerGuard`` stands in front.
    """
    return token_of(connection.scope)


def requires(*scopes: str, realm: str = "api") -> Guard:
    """A guard that lets connections pass whose token has these scopes; with none, any token.

    Args:
        *scopes: All of them are needed.
        realm: Of the challenge; that of the ``BearerGuard``.

    Raises:
        TypeError: A scope is no text.
        ValueError: The scopes or the realm can't stand in a challenge.
    """
    needed = check_scopes(scopes, realm)

    def guard(connection: _Connection, handler: BaseRouteHandler) -> None:
        del handler
        answer = admit(token_of(connection.scope), needed, realm)
        if isinstance(answer, TokenInfo):
            return
        error = json.loads(answer.body)
        if connection.scope["type"] == ScopeType.WEBSOCKET:
            raise WebSocketException(detail=error["error_description"], code=_POLICY_VIOLATION)
        raise HTTPException(
            detail=error["error_description"],
            status_code=answer.status,
            headers=fields_of(answer),
            extra={"error": error["error"]},
        )

    return guard
