"""FastAPI: the dependency, the scopes, and what the OpenAPI document says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bearer_guard import BearerGuard, ConfigurationError, TokenInfo
from bearer_guard.integrations.fastapi import current_token
from tests.integrations.support import CASES, OWNER, SCOPE, Setting, ask, check

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@pytest.fixture
def setting() -> Setting:
    return Setting()


def bare() -> FastAPI:
    app = FastAPI()

    @app.get("/reports", response_class=PlainTextResponse)
    async def reports(token: Annotated[TokenInfo, Security(current_token(SCOPE))]) -> str:
        return token.owner

    @app.get("/added", response_class=PlainTextResponse)
    def added(token: Annotated[TokenInfo, Security(current_token(), scopes=[SCOPE])]) -> str:
        return token.owner

    @app.get("/any", response_class=PlainTextResponse)
    async def any_token(token: Annotated[TokenInfo, Depends(current_token())]) -> str:
        return token.owner

    @app.get("/both", response_class=PlainTextResponse)
    async def both(
        token: Annotated[TokenInfo, Security(current_token("reports"), scopes=[SCOPE])],
    ) -> str:
        return token.owner

    @app.get("/open", response_class=PlainTextResponse)
    async def unguarded() -> str:
        return "open"

    @app.websocket("/ws")
    async def ws(
        socket: WebSocket, token: Annotated[TokenInfo, Security(current_token(SCOPE))]
    ) -> None:
        await socket.accept()
        await socket.send_text(token.owner)
        await socket.close()

    return app


def guarded(setting: Setting, **options: Any) -> FastAPI:
    app = bare()
    app.add_middleware(BearerGuard, **setting.options, **options)
    return app


@pytest.fixture
def app(setting: Setting) -> FastAPI:
    return guarded(setting)


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_the_table(app: ASGIApp, setting: Setting, name: str) -> None:
    check(await ask(app, setting.headers(CASES[name])), CASES[name])


@pytest.mark.parametrize("name", ["good", "missing scope", "nothing"])
async def test_scopes_may_be_named_by_security_too(
    app: ASGIApp, setting: Setting, name: str
) -> None:
    check(await ask(app, setting.headers(CASES[name]), "/added"), CASES[name])


@pytest.mark.parametrize("name", ["good", "narrow"])
async def test_scopes_of_both_kinds_are_all_needed(
    app: ASGIApp, setting: Setting, name: str
) -> None:
    answer = await ask(app, [setting.bearer(name)], "/both")
    assert answer.status == 403
    assert f'scope="reports {SCOPE}"' in str(answer.challenge)


async def test_without_scopes_any_token_does(app: ASGIApp, setting: Setting) -> None:
    assert (await ask(app, [setting.bearer("narrow")], "/any")).body == OWNER.encode()


async def test_an_anonymous_request_is_refused_where_a_token_is_asked_for(setting: Setting) -> None:
    app = guarded(setting, optional=True)
    check(await ask(app, []), CASES["nothing"])
    assert (await ask(app, [], "/open")).body == b"open"


async def test_without_a_guard_nothing_passes(setting: Setting) -> None:
    with pytest.raises(ConfigurationError, match="no BearerGuard"):
        await ask(bare(), [setting.bearer("good")])


async def test_what_another_middleware_has_set_is_no_token(setting: Setting) -> None:
    inner = bare()

    async def pretender(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "auth": type("Auth", (), {"token": "alice"})()}, receive, send)

    with pytest.raises(ConfigurationError, match="no BearerGuard"):
        await ask(pretender, [setting.bearer("good")])


def test_a_websocket_gets_its_token(app: FastAPI, setting: Setting) -> None:
    headers = dict([setting.bearer("good")])
    with TestClient(app) as client, client.websocket_connect("/ws", headers=headers) as socket:
        assert socket.receive_text() == OWNER


def test_a_websocket_without_the_scope_is_not_accepted(app: FastAPI, setting: Setting) -> None:
    headers = dict([setting.bearer("narrow")])
    with (
        TestClient(app) as client,
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/ws", headers=headers),
    ):
        pytest.fail("it was accepted")
    assert refused.value.code == 1008
    assert refused.value.reason == "The access token lacks a needed scope"


def test_the_openapi_document_tells_the_scheme_and_the_scopes(app: FastAPI) -> None:
    document = app.openapi()
    assert document["components"]["securitySchemes"] == {
        "AccessToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API access token.",
        }
    }
    security = {path: item["get"].get("security") for path, item in document["paths"].items()}
    assert security == {
        "/reports": [{"AccessToken": [SCOPE]}],
        "/added": [{"AccessToken": [SCOPE]}],
        "/any": [{"AccessToken": []}],
        "/both": [{"AccessToken": [SCOPE, "reports"]}],
        "/open": None,
    }


def test_a_scope_that_no_challenge_can_carry_is_an_error_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="can't stand in a header field"):
        current_token("reports\n")
    with pytest.raises(TypeError, match="brackets"):
        current_token(["reports"])  # type: ignore[arg-type]
