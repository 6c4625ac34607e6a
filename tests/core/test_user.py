"""What an application finds in its scope: Starlette's own types."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import pytest
from starlette.authentication import (
    AuthCredentials,
    BaseUser,
    UnauthenticatedUser,
    has_required_scope,
)
from starlette.requests import HTTPConnection

from bearer_guard.record import TokenInfo
from bearer_guard.user import TokenCredentials, TokenUser, anonymous

INFO: Final = TokenInfo(
    id=UUID(int=1),
    owner="alice",
    description="nightly sync",
    created_ms=0,
    expires_ms=None,
    scopes=("reports:read",),
)


def connection(credentials: AuthCredentials) -> HTTPConnection:
    return HTTPConnection({"type": "http", "auth": credentials})


def test_a_user_is_the_owner_of_the_token() -> None:
    user = TokenUser("alice")
    assert isinstance(user, BaseUser)
    assert user.is_authenticated
    assert (user.display_name, user.identity) == ("alice", "alice")


def test_a_user_shows_who_it_is() -> None:
    assert repr(TokenUser("alice")) == "TokenUser('alice')"
    assert str(TokenUser("alice")) == "alice"


def test_a_user_can_not_be_given_more() -> None:
    with pytest.raises(AttributeError):
        TokenUser("alice").identity = "mallory"  # type: ignore[misc]


def test_credentials_are_the_scopes_of_the_token_and_its_info() -> None:
    credentials = TokenCredentials(INFO)
    assert isinstance(credentials, AuthCredentials)
    assert (credentials.scopes, credentials.token) == (["reports:read"], INFO)


@pytest.mark.parametrize(("scope", "has"), [("reports:read", True), ("reports:write", False)])
def test_starlettes_own_check_of_scopes_works(scope: str, *, has: bool) -> None:
    assert has_required_scope(connection(TokenCredentials(INFO)), [scope]) is has


def test_what_an_application_adds_to_one_requests_scopes_is_not_seen_by_others() -> None:
    TokenCredentials(INFO).scopes.append("admin")
    assert TokenCredentials(INFO).scopes == ["reports:read"]


def test_without_credentials_the_user_is_starlettes_own_nobody() -> None:
    user, credentials = anonymous()
    assert isinstance(user, UnauthenticatedUser)
    assert not user.is_authenticated
    assert (credentials.scopes, credentials.token) == ([], None)


def test_what_an_application_adds_to_the_scopes_grants_nothing() -> None:
    auth = TokenCredentials(INFO)
    auth.scopes.append("admin")
    assert "admin" not in auth.scopes
