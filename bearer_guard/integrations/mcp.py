"""MCP: a ``TokenVerifier`` for servers made with ``mcp`` or ``fastmcp``.

    verifier = BearerGuardVerifier("sqlite:///tokens.db", keyring, resource="https://mcp.example/mcp")
    server = MCPServer("x", token_verifier=verifier, auth=AuthSettings(...))        # mcp
    server = FastMCP("x", auth=verifier)                                            # fastmcp

These libraries find the token in the request and make the answer; a verifier sees the token alone.
Where a reverse proxy may assert identities, or more is asked of a request than its token,
``BearerGuard`` stands in front of the server's application too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bearer_guard.errors import ConfigurationError
from bearer_guard.verdict import Refusal
from bearer_guard.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastmcp.server.auth import AccessToken, TokenVerifier

    from bearer_guard.keyring import Keyring
    from bearer_guard.store import TokenReader
else:
    try:
        from fastmcp.server.auth import AccessToken, TokenVerifier
    except ModuleNotFoundError:
        try:
            from mcp.server.auth.provider import AccessToken
        except ModuleNotFoundError as error:
            message = "MCP needs a package more: pip install 'bearer-guard[mcp]'"
            raise ConfigurationError(message) from error

        class TokenVerifier:
            """In the place of fastmcp's, where there is none; mcp asks for no base."""

            def __init__(self, *, required_scopes: list[str]) -> None:
                self.required_scopes = required_scopes


__all__ = ["BearerGuardVerifier"]


class BearerGuardVerifier(TokenVerifier):
    """Answers MCP servers whose token this is.

    Args:
        store: Where records are, or the URL of one.
        keyring: Whose tags, digests and seals count.
        resource: The URL of the MCP server, which its tokens are said to be meant for (RFC 8707);
            ``mcp`` asks for it where it validates the resource.
        required_scopes: For fastmcp: those needed for every request. ``mcp`` has them in its
            settings.
        options: Those of ``Verifier``.
    """

    def __init__(
        self,
        store: TokenReader | str,
        keyring: Keyring,
        *,
        resource: str | None = None,
        required_scopes: Collection[str] = (),
        **options: Any,  # noqa: ANN401 - see there
    ) -> None:
        super().__init__(required_scopes=list(required_scopes))
        self.verifier: Final = Verifier(store, keyring, **options)
        self._resource: Final = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        """Whose token this is; ``None``: it is refused.

        Raises:
            StoreUnavailable: No answer in time; the server says 500, and lets nobody through.
        """
        verdict = await self.verifier.verify(token)
        if isinstance(verdict, Refusal):
            return None
        info = verdict.token
        return AccessToken(
            token=token,
            client_id=info.owner,  # sessions belong to it: a renewed token may go on with them
            subject=info.owner,
            scopes=list(info.scopes),
            expires_at=None if info.expires_ms is None else info.expires_ms // 1000,
            resource=self._resource,
            claims={"token_id": str(info.id)},
        )

    async def close(self) -> None:
        """Tell the store what was used last, and close it."""
        await self.verifier.close()
