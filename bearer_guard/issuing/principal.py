"""Who has proved who they are: the only source of a token's owner."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from bearer_guard.errors import NotAllowed

from .rules import check_networks, check_owner, check_scopes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearer_guard.record import TokenRecord

__all__ = ["Principal"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who has proved who they are. Made by a log-in, by a valid token, or by the application.

    Attributes:
        name: Whose tokens are meant: 1 to 256 characters, compared exactly.
        admin: May see and end everybody's tokens, and change settings and accounts.
        may_generate: May make tokens where the policy leaves it to individuals.
        proven_by: A word for the audit that says how.
        scopes: What may be granted at most; ``None``: no token limits it. With a ``token``, its.
        networks: Where what is made may be used at most; ``None`` or empty: anywhere. With a
            ``token``, its.
        token: The record of the token that was shown, where one was.

    Raises:
        InvalidRequest: No token could have such an owner, scope or network.
    """

    name: str
    _: KW_ONLY
    admin: bool = False
    may_generate: bool = False
    proven_by: str = "application"
    scopes: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    token: TokenRecord | None = None

    def __post_init__(self) -> None:
        """Check the name, and take over the limits of the token."""
        check_owner(self.name)
        scopes, networks = self.scopes, self.networks
        if self.token is not None:
            scopes, networks = self.token.scopes, self.token.networks
        put = object.__setattr__  # frozen: only here may anything be set
        put(self, "scopes", None if scopes is None else check_scopes(scopes))
        put(self, "networks", None if networks is None else check_networks(networks))

    def must_be_admin(self) -> None:
        """Let administrators pass.

        Raises:
            NotAllowed: Everybody else.
        """
        if not self.admin:
            raise NotAllowed("only administrators may do this")

    def must_be_here_in_person(self) -> None:
        """Let those pass who have proved who they are by something other than a token.

        What can make new credentials, such as setting a password, asks for it: a token that leaked
        could be turned into more than itself.

        Raises:
            NotAllowed: A token was shown.
        """
        if self.token is not None:
            raise NotAllowed("this needs a log-in: an access token is not enough")
