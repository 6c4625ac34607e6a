"""`_application`: exactly the endpoints' paths are theirs, everything else is behind the guard."""

import base64
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from bearer_guard import BearerGuardError, ConfigurationError, KeyringError
from bearer_guard.cli._application import ARGUMENTS, Service, assemble, factory, load_app
from bearer_guard.cli._workplace import Place
from tests.cli.support import PASSWORD, Cli, comes_true

APP = """
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

events = []


async def anything(request):
    user = request.user.display_name
    return JSONResponse({"path": request.url.path, "method": request.method, "user": user})


async def where(request):
    return JSONResponse({"url": request.url_for("where").path})


async def echo(socket):
    await socket.accept()
    await socket.send_text(socket.user.display_name)
    await socket.close()


@asynccontextmanager
async def lifespan(app):
    events.append("started")
    yield
    events.append("stopped")


methods = ["GET", "POST", "PATCH", "DELETE"]
app = Starlette(
    routes=[
        Route("/where", where, name="where"),
        WebSocketRoute("/{path:path}", echo),
        Route("/{path:path}", anything, methods=methods),
    ],
    lifespan=lifespan,
)
not_callable = 1
"""


@pytest.fixture
def service(alice: Cli, monkeypatch: pytest.MonkeyPatch) -> Service:
    """An application that answers every path, in a folder where alice may make tokens."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "anything_app", raising=False)
    (alice.folder / "anything_app.py").write_text(APP)
    return Service(
        app="anything_app:app",
        place=Place(store_url="sqlite:///bearer-guard.db", keys_file=Path("bearer-guard.keys")),
        exempt=("/", "/open/*"),
        optional=False,
        staleness=5.0,
        realm="reports",
        prefix="/v4",
    )


@contextmanager
def client_of(service: Service) -> Iterator[TestClient]:
    with TestClient(assemble(service)) as client:
        yield client


def basic(name: str = "alice", password: str = PASSWORD) -> dict[str, str]:
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"authorization": f"Basic {credentials}"}


def bearer(client: TestClient, prefix: str = "/v4") -> dict[str, str]:
    made = client.post(f"{prefix}/apiAccessTokens", json={"lifetimeSeconds": 3600}, headers=basic())
    assert made.status_code == 201
    return {"authorization": f"Bearer {made.json()['tokenValue']}"}


def test_a_token_lives_through_the_whole_service(service: Service) -> None:
    with client_of(service) as client:
        token = bearer(client)
        assert client.get("/reports", headers=token).json()["user"] == "alice"
        listed = client.get("/v4/apiAccessTokens", headers=token).json()["data"]
        gone = client.delete(f"/v4/apiAccessTokens/{listed[0]['tokenId']}", headers=token)
        assert gone.status_code == 204
        assert client.get("/reports", headers=token).status_code == 401


OURS = [
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("POST", "/readyz", 405),
    ("GET", "/v4/apiAccessTokens", 200),
    ("PUT", "/v4/apiAccessTokens", 405),
    ("GET", "/v4/apiAccessTokens/nosuch", 404),
    ("POST", "/v4/apiAccessTokens/nosuch/renew", 404),
    ("GET", "/v4/apiAccessTokenSettings", 200),
    ("GET", "/v4/users", 403),
    ("PATCH", "/v4/users/bob", 403),
    ("POST", "/oauth/introspect", 400),
    ("POST", "/oauth/revoke", 400),
    ("GET", "/oauth/revoke", 405),
    ("GET", "/forward-auth", 200),
    ("POST", "/forward-auth/reports/1", 200),
]
PAGE = [
    ("GET", "/login", 200),
    ("PUT", "/login", 405),
    ("GET", "/logout", 303),
    ("GET", "/access-tokens", 303),
    ("POST", "/access-tokens/new", 303),
    ("GET", "/access-tokens/nosuch/delete", 303),
    ("GET", "/access-tokens/settings", 303),
    ("GET", "/access-tokens/static/page.css", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), OURS + PAGE)
def test_the_routes_of_the_endpoints_never_reach_the_application(
    method: str, path: str, status: int, service: Service
) -> None:
    with client_of(service) as client:
        answer = client.request(
            method,
            path,
            headers=bearer(client),
            json={} if method in {"POST", "PATCH"} else None,
            follow_redirects=False,
        )
        assert answer.status_code == status
        assert '"path"' not in answer.text


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p, status in OURS if status >= 400])
def test_what_is_wrong_is_told_to_programs_in_one_form(
    method: str, path: str, service: Service
) -> None:
    with client_of(service) as client:
        answer = client.request(method, path, headers=bearer(client))
        assert set(answer.json()) == {"error", "error_description"}
        assert (answer.status_code == 405) == ("allow" in answer.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/healthz/",
        "/healthzz",
        "/v4",
        "/v4/",
        "/v4/apiAccessTokens/",
        "/v4/apiAccessTokensX",
        "/v4/apiAccessTokens/a/b",
        "/v4/apiAccessTokens/a/renew/",
        "/v4/apiAccessTokenSettings/",
        "/v4/users/",
        "/v4/users/a/b",
        "/v4/jobGroups",
        "/v5/apiAccessTokens",
        "/V4/apiAccessTokens",
        "//v4/apiAccessTokens",
        "/metrics",
        "/forward-authX",
        "/.well-known/oauth-protected-resource",
        "/oauth",
        "/oauth/token",
        "/login/",
        "/login/saml",
        "/saml/acs",
        "/oidc/callback",
        "/access-tokens/",
        "/access-tokens/nosuch",
        "/access-tokensX",
        "/docs",
    ],
)
def test_every_other_path_is_the_applications_behind_the_guard(path: str, service: Service) -> None:
    with client_of(service) as client:
        url = f"http://testserver{path}"
        assert client.get(url).status_code == 401
        assert client.get(url).headers["www-authenticate"] == 'Bearer realm="reports"'
        seen = client.get(url, headers=bearer(client)).json()
        assert (seen["path"], seen["user"]) == (path, "alice")


def test_what_needs_no_credentials_is_what_the_help_says(service: Service, alice: Cli) -> None:
    text = " ".join(alice("serve", "--help").stdout.split())
    assert "/healthz, /readyz need no credentials" in text
    assert "/oauth/introspect, /oauth/revoke take a Bearer token" in text
    assert "/forward-auth and below for a reverse proxy to ask; takes a Bearer token" in text
    assert "/access-tokens…, /login…, /logout the Access Tokens page" in text
    with client_of(service) as client:
        for method, path, with_token in OURS:
            status = client.request(method, path).status_code
            is_open = path in {"/healthz", "/readyz"}
            assert status in ({with_token} if is_open else {401, 405}), path
        assert client.get("/").json()["user"] == ""
        assert client.get("/open/x").status_code == 200
        assert client.get("/open").status_code == 401


def test_the_page_makes_tokens_that_work_and_ends_them_at_once(service: Service) -> None:
    with client_of(service) as client:
        page = PageClient(client)
        page.submit("/login", username="alice", password=PASSWORD)
        shown = page.submit("/access-tokens/new", days="1", description="by the page")
        value = re.search(r"<textarea[^>]*>([^<]+)</textarea>", shown)
        assert value is not None
        token = {"authorization": f"Bearer {value[1]}"}
        assert client.get("/reports", headers=token).json()["user"] == "alice"
        listed = client.get("/v4/apiAccessTokens", headers=token).json()["data"]
        page.submit(f"/access-tokens/{listed[0]['tokenId']}/delete")
        assert client.get("/reports", headers=token).status_code == 401


class PageClient:
    """A browser without scripts."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def submit(self, path: str, **fields: str) -> str:
        """Fill in the form of a page; the page that it leads to."""
        form = re.findall(r'name="csrf" value="([^"]+)"', self.client.get(path).text)[-1]
        answer = self.client.post(path, data={"csrf": form, **fields})
        assert answer.status_code == 200, answer.text
        return answer.text


def test_the_page_and_the_api_count_failed_log_ins_together(service: Service) -> None:
    with client_of(service) as client:
        for _ in range(10):
            wrong = basic("alice", "wrong horse battery")
            assert client.get("/v4/users", headers=wrong).status_code == 401
        form = re.findall(r'name="csrf" value="([^"]+)"', client.get("/login").text)[-1]
        fields = {"csrf": form, "username": "alice", "password": PASSWORD}
        assert client.post("/login", data=fields).status_code == 429


def test_a_proxy_can_ask_and_what_is_remembered_and_forgotten_is_one(service: Service) -> None:
    """The verifier is the guard's own: its settings, its memory, and what ends is ended there."""
    with client_of(service) as client:
        token = bearer(client)
        for path in ("/reports", "/forward-auth", "/forward-auth/below"):
            assert client.get(path, headers=token).status_code == 200
        told = client.get("/forward-auth", headers=token)
        assert told.headers["x-bearer-guard-user"] == "alice"
        assert told.content == b""
        asserted = client.get("/forward-auth", headers={**token, "remote-user": "root"})
        assert asserted.status_code == 403
        (row,) = client.get("/v4/apiAccessTokens", headers=token).json()["data"]
        assert client.delete(f"/v4/apiAccessTokens/{row['tokenId']}", headers=token).is_success
        assert client.get("/forward-auth", headers=token).status_code == 401


def test_forward_auth_needs_a_token_whatever_the_application_does_not_need(
    service: Service,
) -> None:
    lenient = replace(service, optional=True, exempt=("/forward-auth", "/forward-auth/*", "/*"))
    with client_of(lenient) as client:
        for path in ("/forward-auth", "/forward-auth/x"):
            assert client.get(path).status_code == 401
            assert client.get(path).headers["www-authenticate"] == 'Bearer realm="reports"'
            assert client.get(path, headers=bearer(client)).status_code == 200


def test_forward_auth_believes_no_address_that_a_client_makes_up(service: Service) -> None:
    """uvicorn tells the client's, of the proxies that FORWARDED_ALLOW_IPS names."""
    with TestClient(assemble(service), client=("127.0.0.1", 1)) as client:
        body = {"lifetimeSeconds": 60, "networks": ["203.0.113.0/24"]}
        made = client.post("/v4/apiAccessTokens", json=body, headers=basic()).json()
        token = {"authorization": f"Bearer {made['tokenValue']}"}
        forged = {**token, "x-forwarded-for": "203.0.113.1"}
        assert client.get("/forward-auth", headers=forged).status_code == 403


def test_a_proxy_may_ask_about_a_websocket(service: Service) -> None:
    with client_of(service) as client, pytest.raises(WebSocketDenialResponse) as asked:
        client.websocket_connect("/forward-auth", headers=bearer(client)).__enter__()
    assert (asked.value.status_code, asked.value.headers["x-bearer-guard-user"]) == (200, "alice")


def test_metrics_are_there_when_asked_for_and_need_a_token(service: Service) -> None:
    with client_of(replace(service, metrics=True, optional=True)) as client:
        token = bearer(client)
        for headers in ({}, basic(), {**token, "remote-user": "root"}):
            answer = client.get("/metrics", headers=headers)
            assert answer.status_code in {401, 403}
            assert "bearer_guard_" not in answer.text
        assert client.post("/metrics", headers=token).status_code == 405
        client.get("/reports", headers={**token, "authorization": "Bearer x"})
        text = client.get("/metrics", headers=token).text
        assert 'bearer_guard_refusals_total{reason="malformed"} 1.0' in text
        assert 'bearer_guard_refusals_total{reason="proxy-identity"} 1.0' in text
        assert 'bearer_guard_events_total{event="token.created"} 1.0' in text
        assert 'bearer_guard_events_total{event="login.failed"}' not in text
        client.post("/v4/apiAccessTokens", json={}, headers=basic(password="x" * 12))
        text = client.get("/metrics", headers=token).text
        assert 'bearer_guard_events_total{event="login.failed"} 1.0' in text
        assert 'bearer_guard_store_seconds_count{call="add"} 1.0' in text


def test_metrics_are_open_where_they_are_exempt(service: Service) -> None:
    with client_of(replace(service, metrics=True, exempt=("/metrics",))) as client:
        assert "bearer_guard_cached_tokens" in client.get("/metrics").text


def test_without_the_package_for_metrics_nothing_is_served(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "bearer_guard.telemetry.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert assemble(service)
    with pytest.raises(ConfigurationError, match=r"bearer-guard\[metrics\]"):
        assemble(replace(service, metrics=True))


def test_a_401_tells_where_the_metadata_of_the_resource_are(service: Service) -> None:
    """RFC 9728 section 5.1: a client finds the document by the challenge, and that it is ours."""
    named = replace(service, resource="https://testserver/reports")
    with client_of(named) as client:
        challenge = client.get("/reports").headers["www-authenticate"]
        where = "https://testserver/.well-known/oauth-protected-resource/reports"
        assert challenge == f'Bearer realm="reports", resource_metadata="{where}"'
        assert client.get(where).json()["resource"] == named.resource
        bad = client.get("/x", headers={"authorization": "Bearer x"}).headers["www-authenticate"]
        assert bad.endswith(f', resource_metadata="{where}"')
        asserted = {**bearer(client), "remote-user": "root"}
        refused = client.get("/x", headers=asserted)
        assert refused.status_code == 403
        assert "resource_metadata" not in refused.headers["www-authenticate"]


def test_a_websocket_is_the_applications_on_every_other_path(service: Service) -> None:
    with client_of(service) as client:
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/v4/apiAccessTokens"),
        ):
            pass
        with client.websocket_connect("/v4/apiAccessTokens", headers=bearer(client)) as socket:
            assert socket.receive_text() == "alice"


def test_the_application_sees_nothing_of_our_router(service: Service) -> None:
    with client_of(service) as client:
        assert client.get("/where", headers=bearer(client)).json() == {"url": "/where"}


def test_the_lifespan_reaches_the_application_and_the_store(service: Service) -> None:
    with client_of(service) as client:
        events = sys.modules["anything_app"].events
        assert events == ["started"]
        token = bearer(client)
        assert client.get("/x", headers=token).status_code == 200
    assert events == ["started", "stopped"]


def test_uses_are_told_to_the_store_when_it_stops(service: Service, alice: Cli) -> None:
    with client_of(service) as client:
        client.get("/x", headers=bearer(client))
    (row,) = alice.json("token", "list")["data"]
    assert row["lastUsed"] is not None


def test_another_prefix_moves_the_http_api(service: Service) -> None:
    with client_of(replace(service, prefix="/internal/tokens")) as client:
        token = bearer(client, "/internal/tokens")
        assert client.get("/v4/apiAccessTokens", headers=token).json()["user"] == "alice"


def test_optional_lets_requests_without_credentials_pass(service: Service) -> None:
    with client_of(replace(service, optional=True)) as client:
        assert client.get("/x").json()["user"] == ""
        assert client.get("/x", headers={"authorization": "Bearer x"}).status_code == 401


def test_password_log_ins_that_are_off_are_off_here_too(service: Service) -> None:
    off = replace(service.place, logins={"password": {"enabled": False}})
    with client_of(replace(service, place=off)) as client:
        answer = client.post("/v4/apiAccessTokens", json={"lifetimeSeconds": 60}, headers=basic())
        assert answer.status_code == 401


def test_it_is_not_ready_while_the_store_does_not_answer(service: Service) -> None:
    with client_of(service) as client:
        Path("bearer-guard.db").rename("away.db")
        assert client.get("/healthz").status_code == 200
        assert comes_true(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/v4/apiAccessTokens", headers=basic()).status_code == 503
        Path("away.db").rename("bearer-guard.db")
        assert comes_true(lambda: client.get("/readyz").status_code == 200)


def test_a_store_that_comes_later_is_opened_by_the_http_api_too(service: Service) -> None:
    """Nobody may have to send a request to the guard first."""
    Path("bearer-guard.db").rename("away.db")
    Path("bearer-guard.db").mkdir()
    with client_of(service) as client:
        assert client.get("/v4/apiAccessTokens", headers=basic()).status_code == 503
        Path("bearer-guard.db").rmdir()
        Path("away.db").rename("bearer-guard.db")
        assert client.get("/v4/apiAccessTokens", headers=basic()).status_code == 200


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("anything_app", "write MODULE:APP"),
        (":app", "write MODULE:APP"),
        ("anything_app:", "write MODULE:APP"),
        ("nosuch_app:app", "no module nosuch_app"),
        ("nosuch.app:app", "no module nosuch"),
        ("anything_app:nosuch", "has no nosuch"),
        ("anything_app:app.nosuch", "has no app.nosuch"),
        ("anything_app:not_callable", "is no ASGI application"),
        ("./anything_app:app", "names no application"),
    ],
)
def test_an_application_that_is_not_there_is_a_configuration_error(
    name: str, problem: str, service: Service
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        assemble(replace(service, app=name))


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import nosuch_library", ["broken_app.py"]),
        ("import broken_part", ["broken_app.py", "broken_part.py"]),
        ("from bearer_guard import Keyring; Keyring([])", ["broken_app.py", "keyring.py"]),
        ("def (", ["broken_app.py"]),
    ],
)
def test_what_is_wrong_inside_the_module_is_shown_from_there_on(
    code: str, files: list[str], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken_app.py").write_text(f"{code}\n")
    Path("broken_part.py").write_text("1 / 0\n")
    with pytest.raises(ConfigurationError, match="broken_app can't be imported: see above"):
        assemble(replace(service, app="broken_app:app"))
    lines = capsys.readouterr().err.splitlines()
    paths = [line.split('"')[1] for line in lines if line.startswith('  File "')]
    assert [Path(path).name for path in paths] == files


def test_the_working_directory_comes_first(service: Service) -> None:
    del service
    Path("antigravity.py").write_text("app = print\n")
    assert load_app("antigravity:app") is print
    assert sys.path[0] == str(Path.cwd())


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"exempt": ("open",)}, ConfigurationError),
        ({"prefix": "v4"}, ConfigurationError),
        ({"staleness": -1.0}, ConfigurationError),
        ({"resource": "http://example.com"}, ConfigurationError),
    ],
)
def test_a_setting_that_cannot_work_is_found_at_once(
    change: dict[str, Any], kind: type[BearerGuardError], service: Service
) -> None:
    with pytest.raises(kind):
        assemble(replace(service, **change))


def test_without_keys_nothing_is_served(service: Service) -> None:
    with pytest.raises(KeyringError):
        assemble(replace(service, place=replace(service.place, keys_file=Path("nosuch"))))


def test_a_worker_builds_what_the_command_line_says(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store from the environment, the rest from the arguments: no secret is copied."""
    arguments = ["serve", service.app, "--exempt", "/", "--realm", "workers"]
    monkeypatch.setenv(ARGUMENTS, json.dumps(arguments))
    monkeypatch.setenv("BEARER_GUARD_STORE", "sqlite:///bearer-guard.db")
    with TestClient(factory()) as client:
        assert client.get("/").status_code == 200
        assert client.get("/x").headers["www-authenticate"] == 'Bearer realm="workers"'
