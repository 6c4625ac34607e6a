"""Starlette's own middleware, with a dictionary of plain tokens and no hash, no expiry.

https://www.starlette.io/authentication/
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
)
from starlette.middleware.authentication import AuthenticationMiddleware

from benchmarks._asgi import bare

from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["guarded", "peers"]


class DictBackend(AuthenticationBackend):
    """The backend of the documentation, with tokens instead of passwords."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        owner = self.known.get(token) if scheme == "Bearer" else None
        if owner is None:
            raise AuthenticationError("Invalid token")
        return AuthCredentials(["read"]), SimpleUser(owner)


def _refuse(_: HTTPConnection, error: AuthenticationError) -> Response:
    from starlette.responses import PlainTextResponse  # noqa: PLC0415 - not on the way measured

    return PlainTextResponse(str(error), status_code=401)


def guarded(app: ASGIApp, tokens: list[str]) -> ASGIApp:
    """The application behind it."""
    backend = DictBackend(dict.fromkeys(tokens, "alice"))
    return AuthenticationMiddleware(app, backend=backend, on_error=_refuse)


async def peers(stack: AsyncExitStack) -> list[Peer]:  # noqa: ARG001 - nothing is opened
    tokens = [secrets.token_urlsafe(48) for _ in range(PEER_TOKENS)]
    setting = "AuthenticationMiddleware; its backend looks the plain token up in a dictionary"
    return [await asgi_peer(name_of("starlette"), guarded(bare, tokens), tokens, setting=setting)]
