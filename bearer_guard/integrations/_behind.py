"""What a framework behind the guard asks of a request that the guard has let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bearer_guard.errors import ConfigurationError
from bearer_guard.user import TokenCredentials
from bearer_guard.verdict import Reason, Rendered, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearer_guard.record import TokenInfo

__all__ = ["WSGI_KEY", "admit", "check_scopes", "fields_of", "token_of"]

#: Where a WSGI environment has the token, or ``None`` where the request is anonymous.
WSGI_KEY: Final = "bearer_guard.token"


def token_of(scope: Mapping[str, Any]) -> TokenInfo | None:
    """The token that the guard has found good; ``None``: the request is anonymous.

    Args:
        scope: Of the ASGI connection.

    Raises:
        ConfigurationError: No guard stands in front, so nobody has looked at this request.
    """
    auth = scope.get("auth")
    if not isinstance(auth, TokenCredentials):
        raise ConfigurationError("no BearerGuard stands in front of this application")
    return auth.token


def admit(token: TokenInfo | None, scopes: frozenset[str], realm: str) -> TokenInfo | Rendered:
    """The token, if there is one and it has these scopes; otherwise the answer."""
    if token is None:
        return render(Reason.MISSING, realm=realm)
    if not scopes <= set(token.scopes):
        return render(Reason.SCOPE, realm=realm, scopes=scopes)
    return token


def check_scopes(scopes: tuple[str, ...], realm: str) -> frozenset[str]:
    """The scopes as a set, once, where they are written down.

    Raises:
        TypeError: A decorator was written without its brackets.
        ValueError: The scopes or the realm can't stand in a challenge.
    """
    if not all(isinstance(scope, str) for scope in scopes):
        raise TypeError("scopes are texts; the decorator needs its brackets, also around nothing")
    render(Reason.SCOPE, realm=realm, scopes=scopes)
    return frozenset(scopes)


def fields_of(answer: Rendered) -> dict[str, str]:
    """The header fields of an answer, without those that tell of the body."""
    return {
        name.decode(): value.decode("latin-1")
        for name, value in answer.headers
        if not name.startswith(b"content-")
    }
