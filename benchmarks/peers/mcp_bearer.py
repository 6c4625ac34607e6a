"""The bearer backend of the MCP SDK, with a verifier that looks plain tokens up in a dictionary.

https://modelcontextprotocol.github.io/python-sdk/authorization/
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from starlette.middleware.authentication import AuthenticationMiddleware

from benchmarks._asgi import bare

from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

__all__ = ["peers"]


class DictVerifier:
    """A ``TokenVerifier`` that has its answers ready."""

    def __init__(self, known: dict[str, AccessToken]) -> None:
        self.known = known

    async def verify_token(self, token: str) -> AccessToken | None:
        return self.known.get(token)


async def peers(stack: AsyncExitStack) -> list[Peer]:  # noqa: ARG001 - nothing is opened
    tokens = [secrets.token_urlsafe(48) for _ in range(PEER_TOKENS)]
    day = int(time.time()) + 86400
    known = {
        token: AccessToken(token=token, client_id="alice", scopes=["read"], expires_at=day)
        for token in tokens
    }
    required = RequireAuthMiddleware(bare, required_scopes=["read"])
    guarded = AuthenticationMiddleware(required, backend=BearerAuthBackend(DictVerifier(known)))
    setting = (
        "BearerAuthBackend in AuthenticationMiddleware, then RequireAuthMiddleware, as its server"
        " puts them together; its verifier looks the plain token up in a dictionary"
    )
    return [await asgi_peer(name_of("mcp"), guarded, tokens, setting=setting)]
