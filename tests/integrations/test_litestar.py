"""Litestar: guards that ask for scopes, behind ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from litestar import Litestar, MediaType, WebSocket, get, websocket
from litestar.connection import ASGIConnection, Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bearer_guard import BearerGuard, ConfigurationError
from bearer_guard.integrations.litestar import current_token, requires
from tests.integrations.support import CASES, OWNER, SCOPE, Setting, ask, check

if TYPE_CHECKING:
    from starlette.types import ASGIApp

AnyRequest = Request[Any, Any, Any]
AnySocket = WebSocket[Any, Any, Any]


@get("/reports", guards=[requires(SCOPE)], media_type=MediaType.TEXT)
async def reports(request: AnyRequest) -> str:
    token = current_token(request)
    assert token is not None
    return token.owner


@get("/any", guards=[requires()], media_type=MediaType.TEXT)
async def any_token(request: AnyRequest) -> str:
    return str(request.user.display_name)


@get("/open", media_type=MediaType.TEXT)
async def unguarded(request: AnyRequest) -> str:
    return f"{request.user.is_authenticated} {current_token(request)}"


@websocket("/ws", guards=[requires(SCOPE)])
async def ws(socket: AnySocket) -> None:
    await socket.accept()
    await socket.send_text(socket.auth.token.owner)
    await socket.close()


def bare() -> Litestar:
    return Litestar([reports, any_token, unguarded, ws])


def guarded(setting: Setting, **options: Any) -> ASGIApp:
    return BearerGuard(bare(), **setting.options, **options)


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_the_table(setting: Setting, name: str) -> None:
    check(await ask(guarded(setting), setting.headers(CASES[name])), CASES[name])


async def test_without_scopes_any_token_does(setting: Setting) -> None:
    answer = await ask(guarded(setting), [setting.bearer("narrow")], "/any")
    assert answer.body == OWNER.encode()


async def test_an_anonymous_request_is_refused_where_a_token_is_asked_for(setting: Setting) -> None:
    app = guarded(setting, optional=True)
    check(await ask(app, []), CASES["nothing"])
    assert (await ask(app, [], "/open")).body == b"False None"


async def test_without_a_guard_nothing_passes(setting: Setting) -> None:
    assert (await ask(bare(), [setting.bearer("good")])).status == 500


def test_without_a_guard_there_is_no_token() -> None:
    connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection({"type": "http"})  # type: ignore[arg-type,typeddict-item] # the least of a scope
    with pytest.raises(ConfigurationError, match="no BearerGuard"):
        current_token(connection)


def test_a_websocket_gets_its_token(setting: Setting) -> None:
    headers = dict([setting.bearer("good")])
    with (
        TestClient(guarded(setting)) as client,
        client.websocket_connect("/ws", headers=headers) as socket,
    ):
        assert socket.receive_text() == OWNER


def test_a_websocket_without_the_scope_is_not_accepted(setting: Setting) -> None:
    headers = dict([setting.bearer("narrow")])
    with (
        TestClient(guarded(setting)) as client,
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/ws", headers=headers),
    ):
        pytest.fail("it was accepted")
    assert refused.value.code == 1008
