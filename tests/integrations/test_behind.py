"""What a framework behind the guard asks, by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from starlette.authentication import AuthCredentials

from bearer_guard import ConfigurationError, TokenInfo
from bearer_guard.integrations._behind import admit, check_scopes, fields_of, token_of
from bearer_guard.user import TokenCredentials
from bearer_guard.verdict import Reason, render

if TYPE_CHECKING:
    from bearer_guard.verdict import Rendered

TOKEN = TokenInfo(
    id=UUID(int=1),
    owner="alice",
    description="",
    created_ms=0,
    expires_ms=None,
    scopes=("read", "write"),
)


@pytest.mark.parametrize("token", [TOKEN, None])
def test_the_token_is_what_the_guard_has_set(token: TokenInfo | None) -> None:
    assert token_of({"auth": TokenCredentials(token)}) is token


@pytest.mark.parametrize("scope", [{}, {"auth": None}, {"auth": AuthCredentials(["read"])}])
def test_what_the_guard_has_not_set_is_an_error(scope: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        token_of(scope)


@pytest.mark.parametrize("needed", [[], ["read"], ["read", "write"]])
def test_a_token_with_every_scope_is_admitted(needed: list[str]) -> None:
    assert admit(TOKEN, frozenset(needed), "api") is TOKEN


@pytest.mark.parametrize(
    ("token", "needed", "expected"),
    [
        (None, [], render(Reason.MISSING, realm="r")),
        (None, ["read"], render(Reason.MISSING, realm="r")),
        (TOKEN, ["admin"], render(Reason.SCOPE, realm="r", scopes=["admin"])),
        (TOKEN, ["read", "Write"], render(Reason.SCOPE, realm="r", scopes=["read", "Write"])),
    ],
)
def test_without_a_scope_or_a_token_the_answer_is_that_of_the_table(
    token: TokenInfo | None, needed: list[str], expected: Rendered
) -> None:
    assert admit(token, frozenset(needed), "r") == expected


def test_header_fields_of_the_body_are_left_to_the_framework() -> None:
    assert fields_of(render(Reason.MISSING, realm="api")) == {
        "cache-control": "no-store",
        "www-authenticate": 'Bearer realm="api"',
    }


def test_scopes_and_realms_are_checked_where_they_are_written() -> None:
    assert check_scopes(("a", "b"), "api") == {"a", "b"}
    with pytest.raises(ValueError, match="can't stand"):
        check_scopes((), "a\nb")
    with pytest.raises(TypeError, match="brackets"):
        check_scopes((print,), "api")  # type: ignore[arg-type]
