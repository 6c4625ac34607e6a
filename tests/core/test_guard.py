"""The middleware: every answer of the table, on every kind of connection."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser, requires
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from bearer_guard import (
    BearerGuard,
    ConfigurationError,
    Keyring,
    Policy,
    ProxySso,
    StoreUnavailable,
)
from bearer_guard.events import RequestRefused
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import a_record, a_token
from bearer_guard.token import TokenForm
from tests.core.support import Got, World, bearer, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Message
    from starlette.websockets import WebSocket

SSO = (b"x-remote-user", b"mallory")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.verifier.close()


def forged() -> str:
    return bearer(TokenForm().mint(a_record().id, lambda _: b"0123456789"))


# What is accepted


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_good_token_passes_with_its_owner(world: World, times: int) -> None:
    token = await world.token(owner="alice", scopes=["read", "write"])
    for _ in range(times):  # the first by the store, the next by the hit path
        got = await world.ask(bearer(token))
    assert got.status == 200
    assert got.scope is not None
    user, auth = got.scope["user"], got.scope["auth"]
    assert isinstance(user, BaseUser)
    assert (user.is_authenticated, user.display_name, user.identity) == (True, "alice", "alice")
    assert isinstance(auth, AuthCredentials)
    assert auth.scopes == ["read", "write"]
    assert auth.token.owner == "alice"
    assert len(world.store.fetches) == 1


@pytest.mark.parametrize(
    "spelling",
    ["Bearer {}", "bearer {}", "BEARER {}", "BeArEr   {}", " Bearer {}", "\tBearer {} \t"],
)
async def test_each_legal_spelling_passes_every_time(world: World, spelling: str) -> None:
    token = await world.token()
    for _ in range(3):
        assert (await world.ask(spelling.format(token))).status == 200


async def test_the_token_is_read_as_its_owner_whoever_holds_it(world: World) -> None:
    tokens = {owner: await world.token(owner=owner) for owner in ("alice", "bob")}
    for owner, token in [*tokens.items()] * 2:
        got = await world.ask(bearer(token))
        assert got.scope is not None
        assert got.scope["user"].identity == owner


# What is refused


INVALID = 'Bearer realm="api", error="invalid_token", error_description="{}"'
NOT_VALID = INVALID.format("The access token is not valid")


async def test_no_credentials_are_challenged_without_an_error(world: World) -> None:
    got = await world.ask()
    assert (got.status, got.reached) == (401, False)
    assert got.headers["www-authenticate"] == 'Bearer realm="api"'
    assert got.headers["cache-control"] == "no-store"
    assert json.loads(got.body).keys() == {"error", "error_description"}


@pytest.mark.parametrize("value", ["Basic YTpi", "Negotiate x", "", "   ", "Bearerx y", "Token x"])
async def test_another_scheme_is_as_none(world: World, value: str) -> None:
    got = await world.ask(value)
    assert (got.status, got.headers["www-authenticate"]) == (401, 'Bearer realm="api"')


async def test_two_headers_are_a_bad_request(world: World) -> None:
    token = bearer(await world.token())
    await world.ask(token)  # known to the hit path
    for values in ([token, token], [token, "Basic YTpi"], ["", token]):
        got = await world.ask(*values)
        assert (got.status, got.reached) == (400, False)
        assert 'error="invalid_request"' in got.headers["www-authenticate"]


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer\t{}", "Bearer {},{}", 'Bearer "{}"', "Bearer {} x", "Bearer {}=",
     "Bearer \t{}", "Bearer,{}", "Bearer {}\x00", "Bearer x{}"],
)  # fmt: skip
async def test_invariant_01_anything_else_is_malformed(world: World, value: str) -> None:
    token = await world.token()
    await world.ask(bearer(token))
    got = await world.ask(value.replace("{}", token))
    assert (got.status, got.reached) == (401, False)
    assert got.headers["www-authenticate"] == NOT_VALID


async def test_invariant_01_no_other_place_holds_a_credential(world: World) -> None:
    token = await world.token()
    for header in (b"cookie", b"x-api-key", b"proxy-authorization", b"x-authorization"):
        assert (await world.ask(headers=[(header, bearer(token).encode())])).status == 401
    got = await world.ask(query_string=f"access_token={token}".encode())
    assert got.status == 401


async def test_unknown_and_forged_and_malformed_look_alike(world: World) -> None:
    unknown, _ = a_token(world.keyring)
    answers = {
        (got.status, tuple(got.headers.items()), got.body)
        for value in (bearer(unknown), forged(), "Bearer x")
        for got in [await world.ask(value)]
    }
    assert len(answers) == 1


async def test_the_holder_of_the_real_token_is_told_what_became_of_it(world: World) -> None:
    expired = await world.token(expires_ms=world.clock.now_ms())
    ended = await world.token(ended_ms=world.clock.now_ms(), end_reason="deleted")
    good = await world.token()
    for token, words in ((expired, "expired"), (ended, "deleted")):
        got = await world.ask(bearer(token))
        assert got.status == 401
        assert words in got.headers["www-authenticate"]
    await world.store.set_policy(Policy(enabled=False))
    got = await world.ask(bearer(good))
    assert got.headers["www-authenticate"] == INVALID.format("Access tokens are switched off")


async def test_a_missing_scope_is_named() -> None:
    world = World(scopes=["read", "write"])
    got = await world.ask(bearer(await world.token(scopes=["read"])))
    assert got.status == 403
    assert 'error="insufficient_scope"' in got.headers["www-authenticate"]
    assert 'scope="read write"' in got.headers["www-authenticate"]
    for _ in range(2):
        assert (await world.ask(bearer(await world.token(scopes=["read", "write"])))).status == 200
    await world.verifier.close()


async def test_another_network_is_refused_every_time_and_not_told_the_list(world: World) -> None:
    token = bearer(await world.token(networks=["192.0.2.0/24"]))
    for _ in range(2):
        assert (await world.ask(token)).status == 200
        got = await world.ask(token, client=("198.51.100.7", 1))
        assert got.status == 403
        assert "network" in got.headers["www-authenticate"]
        assert "192.0.2" not in got.headers["www-authenticate"]
        assert (await world.ask(token, client=None)).status == 403


# Proxy identities


async def test_invariant_07_a_good_token_beside_a_proxy_identity_is_refused(world: World) -> None:
    token = bearer(await world.token())
    for _ in range(2):
        assert (await world.ask(token)).status == 200
        for name in (b"x-remote-user", b"X_Remote_User", b"REMOTE_USER", b"x-authentik-groups"):
            got = await world.ask(token, headers=[(name, b"mallory")])
            assert (got.status, got.reached) == (403, False)
            assert 'error="invalid_request"' in got.headers["www-authenticate"]
            assert "single sign-on" in got.headers["www-authenticate"]
            assert "mallory" not in got.headers["www-authenticate"] + got.body.decode()


async def test_invariant_07_near_misses_and_blank_values_pass(world: World) -> None:
    token = bearer(await world.token())
    for name in (b"x-remote-user-agent", b"x-auth-request-redirect", b"x-custom", b"x-user-agent"):
        for _ in range(2):
            assert (await world.ask(token, headers=[(name, b"x")])).status == 200
    assert (await world.ask(token, headers=[(b"x-remote-user", b" \t")])).status == 200
    got = await world.ask(token, headers=[(b"x-remote-user", b""), SSO])
    assert got.status == 403


async def test_a_proxy_identity_alone_is_no_identity(world: World) -> None:
    got = await world.ask(headers=[SSO])
    assert (got.status, got.headers["www-authenticate"]) == (401, 'Bearer realm="api"')


async def test_a_proxy_identity_does_not_change_other_refusals(world: World) -> None:
    assert (await world.ask(forged(), headers=[SSO])).status == 401


async def test_a_servers_variable_is_a_proxy_identity(world: World) -> None:
    token = bearer(await world.token())
    for _ in range(2):
        assert (await world.ask(token, wsgi_environ={"PATH_INFO": "/"})).status == 200
        assert (await world.ask(token, wsgi_environ={"REMOTE_USER": "mallory"})).status == 403


async def test_the_catalogue_can_be_extended_and_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(proxy_sso=ProxySso(extra=["X-Corp-User"]))
    token = bearer(await world.token())
    assert (await world.ask(token, headers=[(b"x-corp-user", b"m")])).status == 403
    await world.verifier.close()
    only = World(proxy_sso="tailscale")
    token = bearer(await only.token())
    assert (await only.ask(token, headers=[(b"tailscale-user-login", b"m")])).status == 403
    await only.verifier.close()
    off = World(proxy_sso=None)
    token = bearer(await off.token())
    assert (await off.ask(token, headers=[SSO])).status == 200
    assert "not refused" in caplog.text
    await off.verifier.close()


async def test_the_audit_hears_of_a_proxy_identity_by_name(world: World) -> None:
    token = await world.token(owner="alice")
    await world.ask(bearer(token), headers=[SSO])
    (event,) = world.events
    assert isinstance(event, RequestRefused)
    assert (event.reason, event.header, event.owner) == ("proxy-identity", "x-remote-user", "alice")
    assert event.client == "192.0.2.1"
    assert "mallory" not in repr(event)


# Anonymous and exempt


async def test_optional_lets_no_credentials_pass_as_anonymous() -> None:
    world = World(optional=True)
    for headers in ([], [SSO]):
        got = await world.ask(headers=headers)
        assert got.scope is not None
        assert isinstance(got.scope["user"], UnauthenticatedUser)
        assert got.scope["auth"].scopes == []
        assert got.scope["auth"].token is None
    assert (await world.ask("Bearer x")).status == 401
    assert (await world.ask("Bearer x", "Bearer y")).status == 400
    assert (await world.ask(bearer(await world.token()))).status == 200
    await world.verifier.close()


async def test_exempt_paths_pass_unasked_and_others_do_not() -> None:
    world = World(exempt=["/health", "/static/*"])
    assert (await world.ask(path="/health")).status == 200
    got = await world.ask("Bearer x", path="/static/a/b.css")
    assert got.scope is not None
    assert isinstance(got.scope["user"], UnauthenticatedUser)
    for path in ("/health/", "/health/x", "/static", "/Health", "/"):
        assert (await world.ask(path=path)).status == 401
    assert (await world.ask(bearer(await world.token()), path="/")).status == 200
    await world.verifier.close()


@pytest.mark.parametrize(
    "path",
    ["/static/../admin", "/static/./x", "/static//admin", "/static/x\\..\\admin", "/static/.."],
)
async def test_invariant_08_exemptions_cannot_be_smuggled(path: str) -> None:
    world = World(exempt=["/static/*"])
    assert (await world.ask(path=path)).status == 401
    await world.verifier.close()


async def test_an_exempt_path_keeps_the_user_that_an_outer_layer_set() -> None:
    world = World(exempt=["/login"])
    got = await world.ask(path="/login", user="of a session")
    assert got.scope is not None
    assert got.scope["user"] == "of a session"
    await world.verifier.close()


async def test_an_outer_layers_user_is_replaced_by_the_tokens_owner(world: World) -> None:
    token = bearer(await world.token(owner="alice"))
    for _ in range(2):
        got = await world.ask(token, user="somebody else")
        assert got.scope is not None
        assert got.scope["user"].identity == "alice"


# The store in trouble


async def test_invariant_05_no_answer_is_a_503_without_a_challenge(world: World) -> None:
    token = bearer(await world.token())
    await world.verifier.open()
    world.store.broken = StoreUnavailable("down")
    got = await world.ask(token)
    assert (got.status, got.reached) == (503, False)
    assert got.headers["retry-after"] == "1"
    assert "www-authenticate" not in got.headers
    assert (await world.ask(forged())).status == 401  # needs no store


async def test_keys_of_another_store_are_a_503_at_the_first_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.store.remember_keys(["feedfacefeedface"])
    got = await world.ask(bearer(await world.token()))
    assert got.status == 503
    assert "not the keys of this store" in caplog.text


# Other kinds of connections


async def test_a_websocket_is_refused_before_it_is_accepted(world: World) -> None:
    got = await world.ask(type="websocket")
    assert got.messages == [{"type": "websocket.close", "code": 1008}]
    got = await world.ask(type="websocket", extensions={"websocket.http.response": {}})
    assert got.messages[0]["type"] == "websocket.http.response.start"
    assert (got.status, got.reached) == (401, False)
    assert got.headers["www-authenticate"] == 'Bearer realm="api"'


async def test_a_websocket_with_a_good_token_passes(world: World) -> None:
    token = bearer(await world.token(owner="alice"))
    got = await world.ask(token, type="websocket")
    assert got.scope is not None
    assert got.scope["user"].identity == "alice"
    assert (await world.ask(token, type="websocket", headers=[SSO])).reached is False


async def test_invariant_08_an_unknown_kind_is_guarded_too(world: World) -> None:
    got = await world.ask(type="webtransport")
    assert (got.reached, got.messages) == (False, [])
    assert (await world.ask(bearer(await world.token()), type="webtransport")).reached
    await world.guard({"type": "odd"}, None, None)  # type: ignore[arg-type] # no headers at all
    assert world.got.messages == []


# The audit


async def test_a_flood_of_forged_tokens_is_counted_and_told_once_a_second(world: World) -> None:
    for _ in range(500):
        got = await world.ask(forged())
        assert (got.status, got.headers["www-authenticate"]) == (401, NOT_VALID)
    assert len(world.events) == 1
    world.clock.advance(1.5)
    await world.ask(forged())
    assert [event.count for event in world.events] == [1, 500]  # type: ignore[attr-defined]
    assert world.verifier.refusals.counts["forged"] == 501  # type: ignore[index]
    assert world.store.fetches == []


async def test_an_outer_layer_that_adds_headers_does_not_spoil_later_answers(world: World) -> None:
    for value in (None, "Bearer x", forged(), forged(), forged()):
        got = await world.ask(*([] if value is None else [value]))
        before = len(got.messages[0]["headers"])
        got.messages[0]["headers"].append((b"x-added", b"1"))
        again = await world.ask(*([] if value is None else [value]))
        assert len(again.messages[0]["headers"]) == before


async def test_invariant_12_no_token_in_logs(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await world.token()
    unknown, _ = a_token(world.keyring)
    for value in (token, unknown, token + "x"):
        got = await world.ask(bearer(value), headers=[SSO])
        assert value not in got.body.decode()
    world.store.broken = StoreUnavailable("down")
    world.clock.advance(10)
    await world.ask(bearer(token))
    assert token not in caplog.text
    assert unknown not in caplog.text


# Settings


@pytest.mark.parametrize(
    "options",
    [
        {"exempt": "/x"},
        {"exempt": ["x"]},
        {"exempt": ["/a*b"]},
        {"scopes": "read"},
        {"scopes": ["read write"]},
        {"optional": "no"},
        {"scopes": ["read"], "optional": True},
        {"realm": "a\nb"},
        {"proxy_sso": "no-such-product"},
        {"prefix": "No"},
        {"staleness": -1},
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        BearerGuard(JSONResponse({}), store="memory://", keyring=Keyring.generate(), **options)


async def test_settings_may_be_given_by_an_iterator() -> None:
    world = World(scopes=(scope for scope in ["admin"]), exempt=(path for path in ["/free"]))
    assert (await world.ask(bearer(await world.token()))).status == 403
    assert (await world.ask(path="/free")).status == 200
    assert (await world.ask(path="/other")).status == 401


async def test_two_guards_may_share_what_is_remembered_and_forget_together() -> None:
    world = World()
    other = World(store=world.store)
    other.guard = BearerGuard(
        other._app, store=world.verifier, keyring=world.keyring, scopes=["read"]
    )
    assert other.guard.verifier is world.verifier
    token = await world.token(scopes=["read"])
    for _ in range(2):
        assert (await world.ask(bearer(token))).status == 200
        got = await other.ask(bearer(token))
        assert got.status == 200
    assert len(world.store.fetches) == 1
    assert (await other.ask(bearer(await world.token()))).status == 403  # its own settings
    assert got.scope is not None
    await world.store.end(got.scope["auth"].token.id, world.clock.now_ms())
    assert (await world.ask(bearer(token))).status == 401
    assert (await other.ask(bearer(token))).status == 401
    await world.verifier.close()


async def test_a_realm_is_quoted() -> None:
    world = World(realm='my "own" \\ API')
    got = await world.ask()
    assert got.headers["www-authenticate"] == 'Bearer realm="my \\"own\\" \\\\ API"'


def test_servers_see_an_asgi_3_application() -> None:
    guard = World().guard
    assert inspect.iscoroutinefunction(guard.__call__)


# With Starlette, inside and out


@requires("read")
async def report(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.user.identity, "scopes": request.auth.scopes})


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.user.identity)
    await websocket.close()


def starlette_client(*, outer: bool = False) -> tuple[TestClient, dict[str, str]]:
    store, keyring = MemoryStore(), Keyring.generate()
    tokens = {}
    for scope in ("read", "write"):
        text, record = a_token(keyring, a_record(scopes=[scope], expires_ms=None))
        asyncio.run(store.add(record))
        tokens[scope] = text
    routes = [Route("/report", report), WebSocketRoute("/echo", echo)]
    guard = Middleware(BearerGuard, store=store, keyring=keyring)
    layers = [Middleware(GZipMiddleware), guard, Middleware(CORSMiddleware, allow_origins=["*"])]
    app = Starlette(routes=routes, middleware=layers)
    return TestClient(Starlette(routes=[Mount("/v1", app)]) if outer else app), tokens


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("lifespan", [False, True])
def test_requires_and_the_users_of_starlette_work(outer: bool, lifespan: bool) -> None:  # noqa: FBT001
    client, tokens = starlette_client(outer=outer)
    prefix = "/v1" if outer else ""
    if lifespan:
        client.__enter__()
    good = {"Authorization": bearer(tokens["read"])}
    for _ in range(3):
        answer = client.get(f"{prefix}/report", headers=good)
        assert answer.json() == {"user": "alice", "scopes": ["read"]}
    other = {"Authorization": bearer(tokens["write"])}
    assert client.get(f"{prefix}/report", headers=other).status_code == 403
    assert client.get(f"{prefix}/report").status_code == 401
    with client.websocket_connect(f"{prefix}/echo", headers=good) as socket:
        assert socket.receive_text() == "alice"
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(f"{prefix}/echo"),
    ):
        pass
    assert denied.value.status_code == 401
    if lifespan:
        client.__exit__(None, None, None)


async def test_a_lost_client_leaves_no_task(world: World) -> None:
    token = bearer(await world.token())
    await world.verifier.open()
    tasks = len(asyncio.all_tasks())
    world.store.gate = asyncio.Event()
    request = asyncio.create_task(world.ask(token))
    await settle()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    world.store.gate.set()
    await settle()
    assert len(asyncio.all_tasks()) == tasks


@pytest.mark.parametrize("make", [tuple, iter, lambda headers: (header for header in headers)])
async def test_invariant_07_headers_of_any_kind_are_looked_at_as_a_whole(
    world: World, make: Callable[[list[tuple[bytes, bytes]]], object]
) -> None:
    token = (b"authorization", bearer(await world.token()).encode())
    for _ in range(2):
        for headers in ([SSO, token], [token, SSO]):
            assert (await scoped(world, headers=make(headers))).status == 403
        assert (await scoped(world, headers=make([token, token]))).status == 400
        assert (await scoped(world, headers=make([token]))).status == 200


async def scoped(world: World, **scope: Any) -> Got:
    """A connection with a scope as it stands."""
    got = world.got = Got()

    async def send(message: Message) -> None:
        got.messages.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await world.guard({"type": "http", "path": "/", **scope}, receive, send)
    return got


async def test_an_odd_scope_gets_an_answer(world: World) -> None:
    assert (await scoped(world)).status == 401
    assert (await scoped(world, headers=None)).status == 401
    got = await scoped(world, type="websocket", headers=[], extensions=None)
    assert got.messages == [{"type": "websocket.close", "code": 1008}]
    picky = World(exempt=["/x"], streams=["/y"])
    scope = {"type": "http", "headers": [(b"authorization", b"Bearer x")]}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await picky.guard(scope, None, send)  # type: ignore[arg-type] # no path at all
    assert sent[0]["status"] == 401
    await picky.verifier.close()
