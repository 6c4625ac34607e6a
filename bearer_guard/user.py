"""What an application finds in ``scope["user"]`` and ``scope["auth"]``: Starlette's own types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser

if TYPE_CHECKING:
    from .record import TokenInfo

__all__ = ["TokenCredentials", "TokenUser", "anonymous"]


class TokenUser(BaseUser):
    """The owner of the token that came with the request.

    Args:
        owner: Who made the token.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: str) -> None:
        self._owner: Final = owner

    def __repr__(self) -> str:
        return f"TokenUser({self._owner!r})"

    def __str__(self) -> str:
        return self._owner

    @property
    def is_authenticated(self) -> bool:
        """Always."""
        return True

    @property
    def display_name(self) -> str:
        """The owner."""
        return self._owner

    @property
    def identity(self) -> str:
        """The owner."""
        return self._owner


class TokenCredentials(AuthCredentials):
    """What the request may do. All requests with one token may share it.

    Attributes:
        token: Its info; ``None``: the request is anonymous.
    """

    def __init__(self, token: TokenInfo | None) -> None:
        self.token: Final = token

    @property
    def scopes(self) -> list[str]:  # type: ignore[override] # Starlette's is a list of its own
        """Of the token, so that ``starlette.authentication.requires`` works. A new list each time.

        An application that adds to it grants nothing to the next request.
        """
        return [] if self.token is None else list(self.token.scopes)


def anonymous() -> tuple[UnauthenticatedUser, TokenCredentials]:
    """The user and the credentials of a request without any."""
    return UnauthenticatedUser(), TokenCredentials(None)
