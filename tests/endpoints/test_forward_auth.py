"""The forward-auth endpoint, asked as proxies ask."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pytest

from bearer_guard import ConfigurationError, Keyring
from bearer_guard.endpoints.forward_auth import ForwardedRefused, forward_auth_app
from bearer_guard.testing import a_record, a_token
from tests.endpoints.support import Raw
from tests.integrations.support import CASES, SCOPE, Setting

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

    from bearer_guard.record import TokenRecord

PROXY: Final = ("127.0.0.1", 50_000)
OTHER: Final = ("192.0.2.1", 50_000)
RULES: Final = {"/admin/*": ["admin"], "/admin/keys": ["keys"], "/report": ["read"]}


class World:
    """An endpoint over a store in memory."""

    def __init__(self) -> None:
        self.setting = Setting()
        self.app = self.make()

    def make(self, **options: Any) -> ASGIApp:
        return forward_auth_app(**{**self.setting.options, **options}).__call__

    async def token(self, **fields: Any) -> tuple[str, TokenRecord]:
        record = a_record(created_ms=self.setting.clock.now_ms(), expires_ms=None, **fields)
        text, sealed = a_token(self.setting.keyring, record)
        await self.setting.store.add(sealed)
        return text, sealed

    async def ask(
        self,
        text: str | None,
        *headers: tuple[str, str],
        app: ASGIApp | None = None,
        messages: list[Message] | None = None,
        **scope: Any,
    ) -> Raw:
        fields = [(name.encode(), value.encode()) for name, value in headers]
        if text is not None:
            fields.append((b"authorization", b"Bearer " + text.encode()))
        raw = Raw(messages or [])
        whole: Scope = {
            "type": "http",
            "method": "GET",
            "path": "/forward-auth",
            "query_string": b"",
            "headers": fields,
            "client": PROXY,
            **scope,
        }
        await (app or self.app)(whole, raw.receive, raw.send)
        return raw


@pytest.fixture
async def world() -> World:
    world = World()
    await world.setting.store.open()
    return world


def fields(raw: Raw) -> dict[bytes, bytes]:
    return dict(raw.sent[0]["headers"])


def identity(raw: Raw) -> list[str]:
    names = (b"x-bearer-guard-user", b"x-bearer-guard-token-id", b"x-bearer-guard-scopes")
    return [fields(raw)[name].decode("latin-1") for name in names]


# Passing


@pytest.mark.parametrize("times", [1, 3])
async def test_a_good_token_passes_with_three_fields(times: int, world: World) -> None:
    text, record = await world.token(scopes=["write", "read"])
    for _ in range(times):
        raw = await world.ask(text)
    assert raw.sent[0]["status"] == 200
    assert raw.sent[1]["body"] == b""
    assert identity(raw) == ["alice", str(record.id), "read write"]
    assert fields(raw)[b"content-length"] == b"0"
    assert fields(raw)[b"cache-control"] == b"no-store"
    assert raw.received == 0  # of the body


async def test_a_field_stays_where_there_is_nothing_to_say(world: World) -> None:
    text, record = await world.token()
    assert identity(await world.ask(text)) == ["alice", str(record.id), ""]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/forward-auth", "/forward-auth/", "/forward-auth/a/b"])
async def test_every_method_and_every_path_below(method: str, path: str, world: World) -> None:
    text, _ = await world.token()
    assert (await world.ask(text, method=method, path=path)).status == 200
    assert (await world.ask(None, method=method, path=path)).status == 401


@pytest.mark.parametrize("path", ["/", "/forward-authority", "/forward", "/x/forward-auth"])
async def test_there_is_nothing_elsewhere(path: str, world: World) -> None:
    text, _ = await world.token()
    assert (await world.ask(text)).status == 200
    for known in (text, None):
        raw = await world.ask(known, path=path)
        assert raw.status == 404
        assert not [name for name in fields(raw) if name.startswith(b"x-bearer")]


async def test_it_may_be_mounted_below_a_path(world: World) -> None:
    text, _ = await world.token()
    scope = {"root_path": "/auth", "path": "/auth/forward-auth"}
    assert (await world.ask(text, **scope)).status == 200
    app = world.make(prefix="/check")
    assert (await world.ask(text, app=app, path="/check/a")).status == 200


@pytest.mark.parametrize(
    ("owner", "sent"),
    [
        ("alice", "alice"),
        ("Alice Smith", "Alice Smith"),
        ("Zoë", "Zo%C3%AB"),
        ("Łukasz", "%C5%81ukasz"),
        ("100%", "100%25"),
        ("%C5%81ukasz", "%25C5%2581ukasz"),
        (" a ", "%20a%20"),
        ("a\u00a0b", "a%C2%A0b"),
    ],
)
async def test_owners_can_be_told_apart_and_read_back(owner: str, sent: str, world: World) -> None:
    text, _ = await world.token(owner=owner)
    told = identity(await world.ask(text))[0]
    assert told == sent
    assert unquote(told) == owner


# Refusing


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_the_guards(name: str, world: World) -> None:
    case, app = CASES[name], world.make(rules={"/*": [SCOPE]})
    headers = [*world.setting.headers(case), ("x-original-uri", "/")]
    raw = await world.ask(None, *headers, app=app)
    challenge = fields(raw).get(b"www-authenticate", b"").decode() or None
    assert (raw.status, challenge) == (case.status, case.words)


async def test_what_is_refused_is_refused_as_by_the_guard(world: World) -> None:
    text, _ = await world.token()
    forged, _ = a_token(Keyring.generate())
    cases = [
        (None, (), 401),
        (forged, (), 401),
        (text, (("authorization", "Basic eDp5"),), 400),
        (text, (("remote-user", "root"),), 403),
        (text, (("x_forwarded_user", "root"),), 403),
        (text, (("remote-user", " "),), 200),
    ]
    for token, headers, status in cases:
        raw = await world.ask(token, *headers)
        assert raw.status == status, headers
        assert (b"www-authenticate" in fields(raw)) == (status != 200)
        assert (b"x-bearer-guard-user" in fields(raw)) == (status == 200)
        assert b"location" not in fields(raw)


async def test_a_token_in_the_query_is_none(world: World) -> None:
    text, _ = await world.token()
    assert (await world.ask(None, query_string=f"access_token={text}".encode())).status == 401


async def test_a_store_that_does_not_answer_is_503() -> None:
    text, _ = a_token(keyring := Keyring.generate())
    app = forward_auth_app("redis://127.0.0.1:1/0", keyring).__call__
    raw = await World().ask(text, app=app)
    assert raw.status == 503
    assert fields(raw)[b"retry-after"] == b"1"


# What the client asked for


@pytest.mark.parametrize(
    ("path", "scopes", "status"),
    [
        ("/", (), 200),
        ("/administration", (), 200),
        ("/admin", (), 403),
        ("/admin", ("admin",), 200),
        ("/admin/x", ("admin",), 200),
        ("/admin/keys", ("admin",), 403),  # both rules count
        ("/admin/keys", ("admin", "keys"), 200),
        ("/ADMIN/x", (), 403),
        ("/admin;v=1/x", (), 403),
        ("/report/", (), 403),
        ("/reports", (), 200),
        ("/%61dmin", (), 403),
        ("/a/../admin", ("admin", "keys", "read"), 403),  # whatever the scopes
    ],
)
async def test_paths_need_scopes(
    path: str, scopes: tuple[str, ...], status: int, world: World
) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token(scopes=scopes)
    for header in ("x-original-uri", "x-forwarded-uri"):
        assert (await world.ask(text, (header, f"{path}?q=/"), app=app)).status == status


async def test_the_path_below_the_endpoint_counts_too(world: World) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token()
    assert (await world.ask(text, app=app, path="/forward-auth/admin/x")).status == 403
    assert (await world.ask(text, app=app, path="/forward-auth/")).status == 200
    told = ("x-original-uri", "/")
    assert (await world.ask(text, told, app=app, path="/forward-auth/admin/x")).status == 403


async def test_rules_count_for_a_token_that_is_remembered(world: World) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token()
    for _ in range(3):
        assert (await world.ask(text, ("x-original-uri", "/"), app=app)).status == 200
    for path in ("/admin", "/ADMIN/x", "/admin;v=1", "/a/../b", "/%61dmin", "//", ""):
        assert (await world.ask(text, ("x-original-uri", path), app=app)).status == 403
    assert (await world.ask(text, ("x-original-uri", "/"), app=app, client=OTHER)).status == 403
    assert (await world.ask(text, app=app)).status == 403


async def test_a_missing_scope_is_told(world: World) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token()
    raw = await world.ask(text, ("x-original-uri", "/admin/keys"), app=app)
    assert b'error="insufficient_scope"' in fields(raw)[b"www-authenticate"]
    assert b'scope="admin keys"' in fields(raw)[b"www-authenticate"]


async def test_with_rules_a_proxy_that_tells_nothing_is_refused(world: World) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token(scopes=["admin", "keys", "read"])
    assert (await world.ask(text, app=app)).status == 403


@pytest.mark.parametrize("client", [OTHER, None, ("", 0)])
async def test_with_rules_only_known_proxies_are_answered(
    client: tuple[str, int] | None, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token(scopes=["admin"])
    for _ in range(2):
        raw = await world.ask(text, ("x-original-uri", "/"), app=app, client=client)
        assert raw.status == 403
    assert [r.message for r in caplog.records if "trusted_proxies" in r.message] == [
        "there are rules, and a caller is none of trusted_proxies"
    ]


@pytest.mark.parametrize("rules", [None, RULES])
async def test_what_is_told_in_two_ways_is_refused(
    rules: dict[str, list[str]] | None, world: World
) -> None:
    app = world.make(rules=rules)
    text, _ = await world.token(scopes=["admin", "keys", "read"])
    for _ in range(2):
        assert (await world.ask(text, ("x-original-uri", "/"), app=app)).status == 200
    told = [("x-original-uri", "/a"), ("x-forwarded-uri", "/b")]
    raw = await world.ask(text, *told, app=app)
    assert raw.status == 403
    assert b'error="invalid_request"' in fields(raw)[b"www-authenticate"]
    assert json.loads(raw.sent[1]["body"])["error"] == "invalid_request"


async def test_of_strangers_nothing_is_believed(world: World) -> None:
    text, _ = await world.token()
    told = [("x-original-uri", "/a"), ("x-forwarded-uri", "/b")]
    assert (await world.ask(text, *told, client=OTHER)).status == 200


@pytest.mark.parametrize(
    ("client", "forwarded", "status"),
    [
        (PROXY, "198.51.100.7", 200),
        (PROXY, "198.51.100.7, 203.0.113.1", 403),
        (PROXY, None, 403),
        (OTHER, "198.51.100.7", 403),
    ],
)
async def test_networks_are_those_of_the_client(
    client: tuple[str, int], forwarded: str | None, status: int, world: World
) -> None:
    text, _ = await world.token(networks=["198.51.100.0/24"])
    headers = [("x-forwarded-for", forwarded)] if forwarded else []
    for _ in range(2):
        assert (await world.ask(text, *headers, client=client)).status == status


async def test_a_rule_counts_for_a_token_of_a_network(world: World) -> None:
    app = world.make(rules=RULES)
    text, _ = await world.token(networks=["198.51.100.0/24"])
    headers = [("x-forwarded-for", "198.51.100.7"), ("x-original-uri", "/admin/x")]
    assert (await world.ask(text, *headers, app=app)).status == 403
    headers[1] = ("x-original-uri", "/")
    assert (await world.ask(text, *headers, app=app)).status == 200


# The audit


async def test_the_audit_is_told_what_was_asked_for_and_by_whom(world: World) -> None:
    text, record = await world.token()
    await world.ask(
        text,
        ("remote-user", "root"),
        ("x-forwarded-for", "203.0.113.5"),
        ("x-original-method", "PUT"),
        ("x-original-uri", f"/files/{text}/x?secret=1"),
    )
    (event,) = world.setting.events
    assert isinstance(event, ForwardedRefused)
    told = event.fields()
    assert (told["event"], told["reason"]) == ("request.refused", "proxy-identity")
    assert (told["client"], told["token_id"]) == ("203.0.113.5", str(record.id))
    assert (told["method"], told["path"]) == ("PUT", "/files/(a token)/x")
    assert text not in json.dumps(told)


async def test_the_audit_believes_no_stranger(world: World) -> None:
    text, _ = await world.token()
    headers = [("remote-user", "root"), ("x-original-uri", "/a"), ("x-forwarded-for", "1.2.3.4")]
    await world.ask(text, *headers, client=OTHER)
    (event,) = world.setting.events
    assert "path" not in event.fields()
    assert event.fields()["client"] == OTHER[0]


async def test_a_long_path_is_cut_in_the_audit(world: World) -> None:
    text, _ = await world.token()
    await world.ask(text, ("remote-user", "root"), ("x-original-uri", "/" + "a" * 9000))
    assert len(world.setting.events[0].fields()["path"]) == 256


# WebSockets


CONNECT: Final[list[Message]] = [{"type": "websocket.connect"}]


async def test_an_upgrade_that_comes_along_is_answered_where_it_can_be(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    text, _ = await world.token()
    scope = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    for _ in range(2):
        raw = await world.ask(text, messages=[*CONNECT], **scope)
        assert [m["type"] for m in raw.sent] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert raw.status == 200
        assert identity(raw)[0] == "alice"
    refused = await world.ask(None, messages=[*CONNECT], **scope)
    assert refused.status == 401
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len([r for r in warnings if "Sec-WebSocket" in r.message]) == 1


@pytest.mark.parametrize("path", ["/forward-auth", "/other"])
async def test_an_upgrade_is_closed_where_it_cannot_be_answered(path: str, world: World) -> None:
    text, _ = await world.token()
    for known in (text, None):
        raw = await world.ask(known, messages=[*CONNECT], type="websocket", path=path)
        assert raw.sent == [{"type": "websocket.close", "code": 1008}]


async def test_other_kinds_of_connection_get_no_answer(world: World) -> None:
    text, _ = await world.token()
    raw = await world.ask(text, type="telepathy")
    assert raw.sent == []


# Settings


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": "forward-auth"},
        {"prefix": "/forward-auth/"},
        {"prefix": ""},
        {"rules": {"admin": ["a"]}},
        {"rules": {"/a*": ["a"]}},
        {"rules": {"/*/a": ["a"]}},
        {"rules": {"/a/../b": ["a"]}},
        {"rules": {"/a": []}},
        {"rules": {"/a": "admin"}},
        {"rules": {"/a": ["ä" + chr(300)]}},
        {"trusted_proxies": "127.0.0.1"},
        {"staleness": -1},
    ],
)
def test_settings_that_cannot_work(options: dict[str, Any], world: World) -> None:
    with pytest.raises(ConfigurationError):
        world.make(**options)


async def test_a_rule_for_everything(world: World) -> None:
    app = world.make(rules={"/*": ["read"]})
    text, _ = await world.token()
    for path in ("/", "/a", "/a/b/"):
        assert (await world.ask(text, ("x-original-uri", path), app=app)).status == 403


async def test_only_the_named_products_identities_are_refused_on_demand(world: World) -> None:
    app = world.make(proxy_sso="grafana")
    text, _ = await world.token()
    assert (await world.ask(text, ("remote-user", "root"), app=app)).status == 200
    assert (await world.ask(text, ("x-webauth-user", "root"), app=app)).status == 403
