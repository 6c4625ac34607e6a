"""`_resource`: from the request to an answer, whatever comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bearer_guard.keyring import Keyring
from tests.endpoints.support import Api, basic, challenges

if TYPE_CHECKING:
    from starlette.types import Message

ROUTES = {
    "/apiAccessTokens": "DELETE, GET, HEAD, POST",
    "/apiAccessTokens/0bc1d49f-5475-4c62-a0ba-6ad269389ada": "DELETE, GET, HEAD",
    "/apiAccessTokens/0bc1d49f-5475-4c62-a0ba-6ad269389ada/renew": "POST",
    "/apiAccessTokenSettings": "GET, HEAD, PATCH",
    "/users": "GET, HEAD, POST",
    "/users/me": "PATCH",
    "/users/alice": "PATCH",
}


@pytest.fixture
async def api() -> Api:
    return await Api().people()


@pytest.mark.parametrize("path", ROUTES)
async def test_another_method_is_told_which_there_are(api: Api, path: str) -> None:
    allowed = ROUTES[path].split(", ")
    for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(allowed):
        answer = await api.ask(method, path, who=None)
        assert answer.status_code == 405
        assert answer.headers["allow"] == ROUTES[path]
        assert answer.json()["error"] == "method_not_allowed"


@pytest.mark.parametrize("path", ROUTES)
async def test_no_path_is_open_to_nobody(api: Api, path: str) -> None:
    for method in ROUTES[path].split(", "):
        answer = await api.ask(method, path, who=None)
        assert answer.status_code == 401
        assert len(challenges(answer)) == 2


async def test_head_is_get_without_the_body(api: Api) -> None:
    made = await api.create()
    one = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}"
    for path in ("/apiAccessTokens", one, "/apiAccessTokenSettings"):
        got, head = await api.ask("GET", path), await api.ask("HEAD", path)
        assert head.status_code == got.status_code == 200
        assert head.headers == got.headers
    assert (await api.ask("HEAD", "/users")).status_code == 403
    headers = [(b"authorization", basic("alice").encode())]
    raw = await api.raw("HEAD", "/v4/apiAccessTokens", headers=headers)
    assert raw.sent[1] == {"type": "http.response.body", "body": b""}


async def test_with_the_feature_off_nothing_is_there_but_the_settings(api: Api) -> None:
    value = (await api.create("root"))["tokenValue"]
    await api.settle(enabled=False)
    for path, methods in ROUTES.items():
        if path == "/apiAccessTokenSettings":
            continue
        for method in [*methods.split(", "), "PUT"]:
            for who in ("root", "alice", None):
                assert (await api.ask(method, path, who=who)).status_code == 404
            assert (await api.ask(method, path, token=value)).status_code == 404
    settings = "/apiAccessTokenSettings"
    assert (await api.ask("GET", settings, who="root")).status_code == 200
    answer = await api.ask("PATCH", settings, token=value, json={"enabled": True})
    assert answer.status_code == 401
    assert "switched off" in challenges(answer)[0]
    await api.settle(enabled=True)
    assert (await api.ask("GET", "/apiAccessTokens", token=value)).status_code == 200


@pytest.mark.parametrize("call", ["add", "fetch", "end"])
async def test_a_store_that_does_not_answer_is_503_and_nothing_else(api: Api, call: str) -> None:
    made = await api.create()
    api.store.before.add(call)
    one = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}"
    answers = {
        "add": await api.ask("POST", "/apiAccessTokens", json={"lifetimeSeconds": 9}),
        "fetch": await api.ask("GET", "/apiAccessTokens", token=made["tokenValue"]),
        "end": await api.ask("DELETE", one),
    }
    answer = answers[call]
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "www-authenticate" not in answer.headers
    assert answer.json()["error"] == "temporarily_unavailable"


async def test_a_store_that_is_gone_is_503_whoever_asks(api: Api) -> None:
    await api.store.close()
    for path in ROUTES:
        assert (await api.ask("PATCH", path)).status_code == 503


async def test_another_keyring_than_the_stores_is_503(api: Api) -> None:
    await api.store.remember_keys(Keyring.generate().ids)
    answer = await api.ask("POST", "/apiAccessTokens", json={"lifetimeSeconds": 9})
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "content-length": "65537"}, 413),
        ({"content-type": "application/json"}, 400),
    ],
)
async def test_a_bad_body_is_told_apart(api: Api, headers: dict[str, str], status: int) -> None:
    answer = await api.ask("POST", "/apiAccessTokens", headers=headers, content=b"x")
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}


async def test_a_body_without_end_is_answered_before_its_end(api: Api) -> None:
    chunk: Message = {"type": "http.request", "body": b" " * 4096, "more_body": True}
    headers = [
        (b"authorization", basic("alice").encode()),
        (b"content-type", b"application/json"),
    ]
    raw = await api.raw("POST", "/v4/apiAccessTokens", headers=headers, messages=[chunk] * 9999)
    assert raw.status == 413
    assert raw.received == 17


async def test_nothing_of_a_body_is_read_before_its_sender_is_known(api: Api) -> None:
    headers = [(b"content-type", b"application/json")]
    raw = await api.raw("POST", "/v4/apiAccessTokens", headers=headers)
    assert (raw.status, raw.received) == (401, 0)


async def test_a_client_that_goes_away_leaves_no_task_and_no_token(api: Api) -> None:
    headers = [
        (b"authorization", basic("alice").encode()),
        (b"content-type", b"application/json"),
    ]
    part: Message = {"type": "http.request", "body": b'{"life', "more_body": True}
    raw = await api.raw("POST", "/v4/apiAccessTokens", headers=headers, messages=[part])
    assert raw.sent == []
    assert (await api.ask("GET", "/apiAccessTokens")).json() == {"data": []}
    assert len(asyncio.all_tasks()) == 1
