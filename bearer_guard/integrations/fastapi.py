"""FastAPI: the token as a dependency, and a security scheme in the OpenAPI document.

    app = FastAPI()
    app.add_middleware(BearerGuard, store="sqlite:///tokens.db", keyring=Keyring.from_env())

    @app.get("/reports")
    async def reports(token: Annotated[TokenInfo, Security(current_token("reports:read"))]): ...

The guard decides on the credentials; the dependency on scopes, and on requests that the guard has
let through without any.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException, Security, WebSocketException
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotations
from fastapi.security import SecurityScopes  # noqa: TC002
from fastapi.security.base import SecurityBase

from bearer_guard.record import TokenInfo

from ._behind import admit, check_scopes, fields_of, token_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["current_token"]

_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1


class _AccessToken(SecurityBase):
    """What the OpenAPI document says. The guard has looked at the credentials already."""

    def __init__(self) -> None:
        self.model = HTTPBearer(description="An API access token.")
        self.scheme_name = "AccessToken"

    async def __call__(self) -> None: ...


_SCHEME: Final = _AccessToken()


def current_token(*scopes: str, realm: str = "api") -> Callable[..., TokenInfo]:
    """A dependency whose value is the request's token.

    Args:
        *scopes: Those it must have, besides any that ``Security(…, scopes=…)`` adds.
        realm: Of the challenge; that of the guard.

    Raises:
        TypeError: A scope is no text.
        ValueError: The scopes or the realm can't stand in a challenge.
    """
    own = check_scopes(scopes, realm)

    def dependency(
        connection: HTTPConnection,
        more: SecurityScopes,
        _: None = Security(_SCHEME, scopes=sorted(own)),
    ) -> TokenInfo:
        answer = admit(token_of(connection.scope), own | set(more.scopes), realm)
        if isinstance(answer, TokenInfo):
            return answer
        error = json.loads(answer.body)
        if connection.scope["type"] == "websocket":
            raise WebSocketException(_POLICY_VIOLATION, error["error_description"])
        raise HTTPException(answer.status, detail=error, headers=fields_of(answer))

    return dependency
