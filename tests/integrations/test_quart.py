"""Quart: the decorator, on views and on WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from quart import Quart, g, websocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from bearer_guard import BearerGuard
from bearer_guard.integrations.quart import token_required
from tests.integrations.support import CASES, OWNER, SCOPE, Setting, ask, check

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def bare() -> Quart:
    app = Quart(__name__)

    @app.get("/reports")
    @token_required(SCOPE)
    async def reports() -> str:
        return str(g.token.owner)

    @app.get("/sync/<word>")
    @token_required(SCOPE)
    def sync(word: str) -> str:
        return f"{word} {g.token.owner}"

    @app.get("/any")
    @token_required()
    async def any_token() -> str:
        return str(g.token.owner)

    @app.get("/open")
    async def unguarded() -> str:
        return str("token" in g)

    @app.websocket("/ws")
    @token_required(SCOPE)
    async def ws() -> None:
        await websocket.send(g.token.owner)

    return app


def guarded(setting: Setting, **options: Any) -> Quart:
    app = bare()
    app.asgi_app = BearerGuard(app.asgi_app, **setting.options, **options)  # type: ignore[method-assign,assignment] # the way of Quart
    return app


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_the_table(setting: Setting, name: str) -> None:
    answer = await ask(guarded(setting), setting.headers(CASES[name]))
    check(answer, CASES[name])
    if answer.status != 200:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json().get("error_description")


async def test_a_view_that_is_no_coroutine_works_too(setting: Setting) -> None:
    answer = await ask(guarded(setting), [setting.bearer("good")], "/sync/hello")
    assert answer.body == f"hello {OWNER}".encode()


async def test_without_scopes_any_token_does(setting: Setting) -> None:
    answer = await ask(guarded(setting), [setting.bearer("narrow")], "/any")
    assert answer.body == OWNER.encode()


async def test_an_anonymous_request_is_refused_where_a_token_is_asked_for(setting: Setting) -> None:
    app = guarded(setting, optional=True)
    check(await ask(app, []), CASES["nothing"])
    assert (await ask(app, [], "/open")).body == b"False"


async def test_without_a_guard_nothing_passes(setting: Setting) -> None:
    assert (await ask(bare(), [setting.bearer("good")])).status == 500


def test_a_websocket_gets_its_token(setting: Setting) -> None:
    headers = dict([setting.bearer("good")])
    app: ASGIApp = guarded(setting)
    with TestClient(app) as client, client.websocket_connect("/ws", headers=headers) as socket:
        assert socket.receive_text() == OWNER


def test_a_websocket_without_the_scope_is_not_accepted(setting: Setting) -> None:
    headers = dict([setting.bearer("narrow")])
    app: ASGIApp = guarded(setting)
    with (
        TestClient(app) as client,
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/ws", headers=headers),
    ):
        pytest.fail("it was accepted")
    assert refused.value.status_code == 403
    assert refused.value.headers["www-authenticate"] == CASES["missing scope"].words


def test_a_decorator_without_brackets_is_an_error_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="brackets"):

        @token_required  # type: ignore[arg-type]
        async def view() -> None: ...
