"""`api`: the HTTP API as an application, and as routes."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Match, Mount
from starlette.testclient import TestClient

from bearer_guard.endpoints.api import api_app, api_routes
from bearer_guard.errors import ConfigurationError, KeyringError
from bearer_guard.events import log_event
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.logins import LogIns
from bearer_guard.keyring import Keyring
from bearer_guard.stores.memory import MemoryStore
from tests.endpoints.support import Api, basic
from tests.issuing.support import PASSWORD, FaultyStore

if TYPE_CHECKING:
    from bearer_guard.store import Store

PATHS = [
    "/v4/apiAccessTokens",
    "/v4/apiAccessTokens/{token_id}",
    "/v4/apiAccessTokens/{token_id}/renew",
    "/v4/apiAccessTokenSettings",
    "/v4/users",
    "/v4/users/me",
    "/v4/users/{name}",
]


@pytest.fixture
async def api() -> Api:
    return await Api().people()


def a_store() -> Store:
    return MemoryStore()


def test_the_routes_are_exactly_those_of_the_interface() -> None:
    routes = api_routes(a_store(), Keyring.generate())
    assert [route.path for route in routes] == PATHS


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v4",
        "/v4/",
        "/v4/jobGroups",
        "/v4/apiAccessTokens/",
        "/v4/users/a/b",
        "/v4/apiaccesstokens",
        "/v5/users",
        "//v4/users",
        "/v4/apiAccessTokens/x/renew/",
    ],
)
async def test_every_other_path_is_not_the_apis(api: Api, path: str) -> None:
    answer = await api.ask("GET", path, prefix="")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "root_path": ""}
    routes = api_routes(api.store, api.keyring)
    assert {route.matches(scope)[0] for route in routes} == {Match.NONE}


@pytest.mark.parametrize("prefix", ["", "/", "/api/access/", "/v9"])
async def test_the_prefix_is_an_option(prefix: str) -> None:
    api = await Api(prefix=prefix).people()
    bare = prefix.rstrip("/")
    answer = await api.ask("POST", "/apiAccessTokens", prefix=bare, json={"lifetimeSeconds": 9})
    assert answer.status_code == 201
    assert answer.headers["location"].startswith(f"{bare}/apiAccessTokens/")


def test_a_prefix_that_is_no_path_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        api_routes(a_store(), Keyring.generate(), prefix="v4")


async def test_mounted_below_a_path_it_leads_there(api: Api) -> None:
    outer = Starlette(routes=[Mount("/auth", app=api.app)])
    inner, api.app = api.app, outer
    headers = [(b"authorization", basic("alice").encode()), (b"content-type", b"application/json")]
    body = {"type": "http.request", "body": b'{"lifetimeSeconds": 9}'}
    raw = await api.raw("POST", "/auth/v4/apiAccessTokens", headers=headers, messages=[body])
    api.app = inner
    assert raw.status == 201
    assert dict(raw.sent[0]["headers"])[b"location"].startswith(b"/auth/v4/apiAccessTokens/")


async def test_the_realm_and_the_prefix_of_tokens_are_options() -> None:
    api = await Api(realm="acme", token_prefix="acme").people()
    value = (await api.create())["tokenValue"]
    assert value.startswith("acme_")
    assert (await api.ask("GET", "/apiAccessTokens", token=value)).status_code == 200
    answer = await api.ask("GET", "/apiAccessTokens", who=None)
    assert answer.headers.get_list("www-authenticate") == [
        'Bearer realm="acme"',
        'Basic realm="acme", charset="UTF-8"',
    ]


async def test_it_can_be_given_its_parts() -> None:
    store, keyring = FaultyStore(), Keyring.generate()
    issuer = Issuer(store, keyring, listeners=())
    issued = await issuer.create(Principal("bot", admin=True), lifetime=timedelta(hours=1))
    app = api_app(store, keyring, issuer=issuer, log_ins=LogIns([], listeners=()), directories=[])
    with TestClient(app) as client:
        bearer = {"authorization": f"Bearer {issued.value}"}
        assert len(client.get("/v4/apiAccessTokens", headers=bearer).json()["data"]) == 1
        assert client.get("/v4/apiAccessTokens", auth=("bot", PASSWORD)).status_code == 401


class NoAccounts:
    """A store of tokens only."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def __getattr__(self, name: str) -> Any:
        if "account" in name:
            raise AttributeError(name)
        return getattr(self._store, name)


def test_a_store_without_accounts_needs_other_ways_to_log_in() -> None:
    store: Any = NoAccounts()
    keyring = Keyring.generate()
    with pytest.raises(ConfigurationError):
        api_routes(store, keyring)
    with pytest.raises(ConfigurationError):
        api_routes(store, keyring, log_ins=LogIns([]))
    routes = api_routes(store, keyring, log_ins=LogIns([]), directories=[])
    assert [route.path for route in routes] == PATHS[:4]


def test_alone_it_opens_and_closes_its_store() -> None:
    class Noting(MemoryStore):
        done: tuple[str, ...] = ()

        async def open(self) -> None:
            self.done += ("open",)
            await super().open()

        async def close(self) -> None:
            self.done += ("close",)
            await super().close()

    store = Noting()
    with TestClient(api_app(store, Keyring.generate())) as client:
        assert client.get("/v4/users").status_code == 401
        assert store.done == ("open",)
    assert store.done == ("open", "close")


async def test_alone_it_does_not_start_with_another_keyring() -> None:
    store = MemoryStore()
    await store.remember_keys(Keyring.generate().ids)
    with pytest.raises(KeyringError), TestClient(api_app(store, Keyring.generate())):
        pass


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "lifetimeSeconds",
        "description",
        "scopes",
        "networks",
        "graceSeconds",
        "enabled",
        "usersMayGenerate",
        "maxLifetimeDays",
        "allowNonExpiring",
        "name",
        "admin",
        "mayGenerate",
        "disabled",
        "password",
        "currentPassword",
    ]
)
bodies = (
    st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(fields, json_values).map(lambda value: json.dumps(value).encode())
)
calls = st.sampled_from(
    [
        ("POST", "/apiAccessTokens"),
        ("POST", "/apiAccessTokens/{id}/renew"),
        ("PATCH", "/apiAccessTokenSettings"),
        ("POST", "/users"),
        ("PATCH", "/users/carol"),
        ("PATCH", "/users/me"),
    ]
)


@settings(max_examples=300)
@given(call=calls, body=bodies)
async def test_any_body_at_all_gets_an_answer(call: tuple[str, str], body: bytes) -> None:
    api = await Api().people()
    made = await api.create("root")
    method, path = call
    answer = await api.ask(
        method,
        path.replace("{id}", made["tokenInfo"]["tokenId"]),
        who="root",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in {200, 201, 204, 400, 403, 409}
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error", "error_description"}


@settings(max_examples=200)
@given(
    method=st.sampled_from(["GET", "HEAD", "DELETE", "POST"]),
    tail=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    query=st.binary(max_size=40),
    credentials=st.binary(max_size=60),
)
async def test_any_path_query_and_header_gets_an_answer(
    method: str, tail: str, query: bytes, credentials: bytes
) -> None:
    api = await Api().people()
    raw = await api.raw(
        method,
        f"/v4/apiAccessTokens/{tail}",
        headers=[(b"authorization", credentials)],
        query_string=query,
    )
    assert 400 <= raw.status < 500
    raw = await api.raw(
        "GET",
        "/v4/apiAccessTokens",
        headers=[(b"authorization", basic("root").encode())],
        query_string=query,
    )
    assert raw.status in {200, 400}


async def test_invariant_12_nothing_secret_is_logged_or_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A whole life over HTTP, with every logger at its loudest, and with errors on the way."""
    caplog.set_level(logging.DEBUG)
    api = await Api(listeners=[log_event]).people()
    made = await api.create(description="sync")
    path = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}"
    renewed = (await api.ask("POST", path + "/renew")).json()
    wrong, new = "wrong s3cret password", "new s3cret password"
    answers = [
        await api.ask("GET", "/apiAccessTokens", token=renewed["tokenValue"]),
        await api.ask("GET", "/apiAccessTokens", token=renewed["tokenValue"][:-1] + "!"),
        await api.ask("GET", "/apiAccessTokens", token=made["tokenValue"]),
        await api.ask(
            "GET", "/apiAccessTokens", who=None, headers={"authorization": basic("alice", wrong)}
        ),
        await api.ask("PATCH", "/users/me", json={"password": new, "currentPassword": wrong}),
        await api.ask("PATCH", "/users/me", json={"password": new, "currentPassword": PASSWORD}),
        await api.ask("POST", "/users", who="root", json={"name": "x", "password": "s3cret"}),
        await api.ask("POST", "/users", who="root", json={"name": "x", "s3cret": new}),
    ]
    api.store.before.add("fetch")
    answers.append(await api.ask("GET", path, token=renewed["tokenValue"]))
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 401, 401, 401, 403, 204, 400, 400, 503]
    said = caplog.text + "".join(answer.text + repr(answer.headers) for answer in answers)
    assert "login.failed" in said
    for secret in (
        made["tokenValue"],
        renewed["tokenValue"],
        renewed["tokenValue"][25:60],
        PASSWORD,
        wrong,
        new,
        "s3cret",
        basic("alice")[6:],
        "argon2id",
    ):
        assert secret not in said
