"""``/users`` of the HTTP API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.endpoints.support import Api, basic
from tests.issuing.support import PASSWORD

NEW_PASSWORD = "another password"


@pytest.fixture
async def api() -> Api:
    return await Api().people()


def an_account(name: str, **flags: bool) -> dict[str, Any]:
    return {"name": name, "admin": False, "mayGenerate": False, "disabled": False, **flags}


async def logs_in(api: Api, name: str, password: str) -> bool:
    headers = {"authorization": basic(name, password)}
    answer = await api.ask("GET", "/apiAccessTokens", who=None, headers=headers)
    return answer.status_code == 200


async def test_administrators_list_the_accounts(api: Api) -> None:
    answer = await api.ask("GET", "/users", who="root")
    assert answer.json() == {
        "data": [
            an_account("alice", mayGenerate=True),
            an_account("bob", mayGenerate=True),
            an_account("carol"),
            an_account("dave", mayGenerate=True, disabled=True),
            an_account("root", admin=True),
        ]
    }
    assert "argon2" not in answer.text


async def test_an_account_is_made_and_can_be_logged_in_to(api: Api) -> None:
    body = {"name": "erin", "password": PASSWORD, "mayGenerate": True}
    answer = await api.ask("POST", "/users", who="root", json=body)
    assert (answer.status_code, answer.json()) == (201, an_account("erin", mayGenerate=True))
    await api.create("erin")


async def test_a_name_is_given_once(api: Api) -> None:
    answer = await api.ask("POST", "/users", who="root", json={"name": "alice"})
    assert answer.status_code == 409
    assert await logs_in(api, "alice", PASSWORD)


async def test_an_account_is_changed_in_part_and_told_whole(api: Api) -> None:
    answer = await api.ask("PATCH", "/users/carol", who="root", json={"mayGenerate": True})
    assert (answer.status_code, answer.json()) == (200, an_account("carol", mayGenerate=True))
    await api.create("carol")
    body = an_account("carol", admin=True)
    answer = await api.ask("PATCH", "/users/carol", who="root", json=body)
    assert answer.json() == body
    assert (await api.ask("PATCH", "/users/nobody", who="root", json={})).status_code == 404


async def test_an_administrator_sets_a_password_and_tokens_go_on(api: Api) -> None:
    value = (await api.create())["tokenValue"]
    answer = await api.ask("PATCH", "/users/alice", who="root", json={"password": NEW_PASSWORD})
    assert answer.status_code == 200
    assert await logs_in(api, "alice", NEW_PASSWORD)
    assert not await logs_in(api, "alice", PASSWORD)
    assert (await api.ask("GET", "/apiAccessTokens", token=value)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": 1},
        {"name": ""},
        {"name": "me"},
        {"name": "a:b"},
        {"name": "a/b"},
        {"name": "erin", "admin": 1},
        {"name": "erin", "disabled": None},
        {"name": "erin", "password": "short"},
        {"name": "erin", "password": None},
        {"name": "erin", "password": "x" * 1025},
        {"name": "erin", "passwordHash": "$argon2id$"},
    ],
)
async def test_an_account_that_can_not_be_is_not_made(api: Api, body: dict[str, Any]) -> None:
    answer = await api.ask("POST", "/users", who="root", json=body)
    assert answer.status_code == 400
    assert len((await api.ask("GET", "/users", who="root")).json()["data"]) == 5


async def test_a_name_can_not_be_changed(api: Api) -> None:
    answer = await api.ask("PATCH", "/users/alice", who="root", json={"name": "bob"})
    assert answer.status_code == 400


async def test_nobody_else_sees_makes_or_changes_accounts(api: Api) -> None:
    for method, path in (("GET", "/users"), ("POST", "/users"), ("PATCH", "/users/alice")):
        answer = await api.ask(method, path, json={"name": "alice", "admin": True})
        assert answer.status_code == 403


async def test_an_administrators_token_makes_no_way_to_log_in(api: Api) -> None:
    value = (await api.create("root"))["tokenValue"]
    for method, path, body in (
        ("POST", "/users", {"name": "eve", "password": PASSWORD}),
        ("POST", "/users", {"name": "eve", "admin": True}),
        ("PATCH", "/users/alice", {"password": NEW_PASSWORD}),
        ("PATCH", "/users/alice", {"admin": True}),
        ("PATCH", "/users/root", {"password": NEW_PASSWORD}),
    ):
        assert (await api.ask(method, path, token=value, json=body)).status_code == 403
    assert (await api.ask("GET", "/users", token=value)).status_code == 200
    answer = await api.ask("PATCH", "/users/alice", token=value, json={"disabled": True})
    assert answer.status_code == 200


@pytest.mark.parametrize("by_token", [False, True])
async def test_ones_own_password_needs_the_current_one(api: Api, *, by_token: bool) -> None:
    value = (await api.create())["tokenValue"]
    who: dict[str, Any] = {"token": value} if by_token else {"who": "alice"}
    body = {"password": NEW_PASSWORD, "currentPassword": "wrong password"}
    answer = await api.ask("PATCH", "/users/me", **who, json=body)
    assert answer.status_code == 403
    assert await logs_in(api, "alice", PASSWORD)
    body = {"password": NEW_PASSWORD, "currentPassword": PASSWORD}
    answer = await api.ask("PATCH", "/users/me", **who, json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await logs_in(api, "alice", NEW_PASSWORD)
    assert (await api.ask("GET", "/apiAccessTokens", token=value)).status_code == 200


async def test_current_passwords_are_guessed_no_faster_than_any(api: Api) -> None:
    value = (await api.create())["tokenValue"]
    wrong = {"password": NEW_PASSWORD, "currentPassword": "wrong password"}
    right = {"password": NEW_PASSWORD, "currentPassword": PASSWORD}
    for _ in range(10):
        assert (await api.ask("PATCH", "/users/me", token=value, json=wrong)).status_code == 403
    for body in (wrong, right):
        answer = await api.ask("PATCH", "/users/me", token=value, json=body)
        assert answer.status_code == 429
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    "body",
    [
        {"password": NEW_PASSWORD},
        {"currentPassword": PASSWORD},
        {"password": "short", "currentPassword": PASSWORD},
        {"password": NEW_PASSWORD, "currentPassword": None},
        {"password": NEW_PASSWORD, "currentPassword": PASSWORD, "admin": True},
    ],
)
async def test_a_password_that_can_not_be_is_not_set(api: Api, body: dict[str, Any]) -> None:
    assert (await api.ask("PATCH", "/users/me", json=body)).status_code == 400
    assert await logs_in(api, "alice", PASSWORD)
