"""`_serving`: the address, the log, the signals, the workers."""

import base64
import json
import logging
import logging.config
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from websockets.sync.client import connect

from bearer_guard import ConfigurationError, Keyring
from bearer_guard.cli._serving import PathsOnly, check_address, log_config
from bearer_guard.testing import a_token
from tests.cli.support import COMMAND, PASSWORD, ROOT, Cli, ask, comes_true, serving
from tests.support import LOOPBACK

APP = """
import os

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute


async def who(request):
    return JSONResponse({"user": request.user.display_name, "pid": os.getpid()})


async def echo(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


app = Starlette(routes=[Route("/who", who), Route("/", who), WebSocketRoute("/echo", echo)])
"""
FORM = "application/x-www-form-urlencoded"
TOKEN, _ = a_token(Keyring.generate())


@pytest.fixture
def folder(alice: Cli) -> Path:
    """Where alice may make tokens, with an application."""
    (alice.folder / "who_app.py").write_text(APP)
    return alice.folder


def basic(name: str = "alice") -> dict[str, str]:
    credentials = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    return {"authorization": f"Basic {credentials}"}


def create(port: int, name: str = "alice") -> tuple[str, dict[str, str]]:
    """The id of a new token, and the header that carries it."""
    body = {"lifetimeSeconds": 3600}
    status, made = ask(port, "/v4/apiAccessTokens", method="POST", body=body, headers=basic(name))
    assert status == 201
    return made["tokenInfo"]["tokenId"], {"authorization": f"Bearer {made['tokenValue']}"}


def last_used(folder: Path) -> list[str | None]:
    command = [*COMMAND, "token", "list", "--json"]
    listed = json.loads(subprocess.check_output(command, cwd=folder))
    return [row["lastUsed"] for row in listed["data"]]


def failed(folder: Path, *args: str, **env: str) -> tuple[int, str]:
    """The status and the one line of a command that ends by itself."""
    done = subprocess.run(
        [*COMMAND, *args],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_it_well_and_the_last_uses_are_told(
    stop: signal.Signals, folder: Path
) -> None:
    with serving(folder, "serve", "who_app:app") as (port, child):
        _, token = create(port)
        assert ask(port, "/who", headers=token)[1]["user"] == "alice"
        assert last_used(folder) == [None]
        child.process.send_signal(stop)
        assert child.process.wait(30) == 0, child.log()
        assert "Traceback" not in child.log()
        assert "Aborted" not in child.log()
    assert last_used(folder) != [None]


# Every documented URL, as a running service answers it: who asks, for what, with which body.
# {id} is alice's second token; nobody asks with the first one after it has gone.
HOUR = {"lifetimeSeconds": 3600}
TOKENS, SETTINGS = "/v4/apiAccessTokens", "/v4/apiAccessTokenSettings"
NEW = {"name": "carol", "password": "correct horse carol"}
CHANGED = {"password": "correct horse again", "currentPassword": PASSWORD}
DOCUMENTED = [
    ("nobody", "GET", "/healthz", None, 200),
    ("nobody", "GET", "/readyz", None, 200),
    ("nobody", "POST", TOKENS, HOUR, 401),
    ("nobody", "GET", "/login", None, 200),
    ("nobody", "GET", "/logout", None, 303),
    ("nobody", "GET", "/access-tokens", None, 303),
    ("nobody", "GET", "/access-tokens/settings", None, 303),
    ("bearer", "GET", "/access-tokens", None, 303),
    ("nobody", "GET", "/.well-known/oauth-protected-resource", None, 200),
    ("nobody", "GET", "/metrics", None, 401),
    ("bearer", "GET", "/metrics", None, 200),
    ("nobody", "GET", "/forward-auth", None, 401),
    ("bearer", "GET", "/forward-auth", None, 200),
    ("bearer", "POST", "/forward-auth/below", None, 200),
    ("nobody", "POST", "/oauth/introspect", {"token": "x"}, 401),
    ("bearer", "POST", "/oauth/introspect", {"token": "x"}, 200),
    ("bearer", "POST", "/oauth/revoke", {"token": "x"}, 200),
    ("alice", "POST", TOKENS, HOUR, 201),
    ("bearer", "POST", TOKENS, HOUR, 201),
    ("bearer", "POST", TOKENS, {"lifetimeSeconds": 0}, 400),
    ("bearer", "POST", TOKENS, {"lifetimeSeconds": -1}, 400),
    ("alice", "POST", TOKENS, {**HOUR, "scopes": ["a"], "networks": ["192.0.2.0/24"]}, 201),
    ("bearer", "GET", TOKENS, None, 200),
    ("bearer", "GET", f"{TOKENS}?limit=1", None, 200),
    ("bearer", "GET", f"{TOKENS}?owner=root", None, 403),
    ("root", "GET", f"{TOKENS}?owner=*", None, 200),
    ("bearer", "GET", f"{TOKENS}/{{id}}", None, 200),
    ("bearer", "GET", f"{TOKENS}/{uuid4()}", None, 404),
    ("root", "POST", f"{TOKENS}/{{id}}/renew", {}, 404),
    ("bearer", "POST", f"{TOKENS}/{{id}}/renew", {"graceSeconds": 60}, 201),
    ("bearer", "DELETE", f"{TOKENS}/{{id}}", None, 204),
    ("bearer", "DELETE", f"{TOKENS}/{{id}}", None, 404),
    ("bearer", "DELETE", TOKENS, None, 400),
    ("bearer", "GET", SETTINGS, None, 200),
    ("bearer", "PATCH", SETTINGS, {"enabled": False}, 403),
    ("root", "PATCH", SETTINGS, {"maxLifetimeDays": 90}, 200),
    ("bearer", "GET", "/v4/users", None, 403),
    ("root", "GET", "/v4/users", None, 200),
    ("root", "POST", "/v4/users", NEW, 403),  # it takes a log-in
    ("password", "POST", "/v4/users", NEW, 201),
    ("password", "PATCH", "/v4/users/carol", {"disabled": True}, 200),
    ("alice", "PATCH", "/v4/users/me", CHANGED, 204),
    ("bearer", "GET", "/who", None, 200),
    ("nobody", "GET", "/v4/who", None, 401),
    ("bearer", "GET", "/v4/who", None, 404),
    ("bearer", "DELETE", f"{TOKENS}?owner=me", None, 200),
    ("bearer", "GET", "/who", None, 401),
]


def test_every_documented_url_answers_as_documented(folder: Path, alice: Cli) -> None:
    alice.add_user("root", "--admin")
    options = ("--metrics", "--resource", "https://reports.example.com")
    with serving(folder, "serve", "who_app:app", *options) as (port, child):
        _, bearer = create(port)
        token_id, _ = create(port)
        _, root = create(port, "root")  # a password takes a while to be checked
        who = {
            "nobody": {},
            "bearer": bearer,
            "alice": basic(),
            "root": root,
            "password": basic("root"),
        }
        for name, method, path, body, status in DOCUMENTED:
            form = path.startswith("/oauth") and body is not None
            got, answer = ask(
                port,
                path.format(id=token_id),
                method=method,
                body=urlencode(body) if form else body,
                headers={**who[name], **({"content-type": FORM} if form else {})},
            )
            assert got == status, (name, method, path, answer)
        assert "Traceback" not in child.log()


def test_the_log_holds_no_query_strings_and_no_credentials(folder: Path) -> None:
    with serving(folder, "serve", "who_app:app", "--exempt", "/echo") as (port, child):
        token_id, token = create(port)
        value = token["authorization"].removeprefix("Bearer ")
        ask(port, f"/who?access_token={value}&x=query-string", headers=token)
        ask(port, f"/who/{value}")
        ask(port, "/who?query-string", headers={"authorization": "Basic query-string"})
        with connect(f"ws://{LOOPBACK}:{port}/echo?access_token={value}&query-string") as open_one:
            open_one.send("hello")
            assert open_one.recv() == "hello"
        assert comes_true(lambda: "/echo" in child.log())
        log = child.log()
    assert '"GET /who HTTP/1.1" 200' in log
    assert '"GET /who/(a token) HTTP/1.1" 401' in log
    assert token_id in log  # the audit tells that it was made
    for secret in (value, "query-string", PASSWORD, basic()["authorization"]):
        assert secret not in log


def test_the_password_is_in_no_process_list_and_in_no_environment(folder: Path) -> None:
    """Neither what made the token, nor keys, nor the URL that stood in the file."""
    (folder / "bearer-guard.toml").write_text('store = "sqlite:///bearer-guard.db"\n')
    key = (folder / "bearer-guard.keys").read_text().split()[-1].encode()
    with serving(folder, "serve", "who_app:app", "--workers", "2") as (port, child):
        create(port)
        processes = [child.pid, *children_of(child.pid)]
        assert len(processes) >= 3
        for pid in processes:
            for part in ("cmdline", "environ"):
                text = Path(f"/proc/{pid}/{part}").read_bytes()
                assert PASSWORD.encode() not in text
                assert key not in text
                assert b"sqlite:" not in text


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def spread(port: int, headers: dict[str, str], workers: int) -> Iterator[tuple[int, Any]]:
    """Answers, until each of the workers has given some, or 400 of them."""
    seen: set[int] = set()
    for _ in range(400):
        status, body = ask(port, "/who", headers=headers)
        yield status, body
        if status == 200:
            seen.add(body["pid"])
            if len(seen) == workers:
                return


def test_four_workers_share_one_file(folder: Path) -> None:
    """Made in one, deleted in another, refused in all within the bound."""
    staleness = 2.0
    args = ("serve", "who_app:app", "--workers", "4", "--staleness", str(staleness))
    with serving(folder, *args, seconds=90) as (port, child):
        token_id, token = create(port)
        answers = list(spread(port, token, 4))
        assert {status for status, _ in answers} == {200}
        assert len({body["pid"] for _, body in answers}) == 4
        status, _ = ask(port, f"/v4/apiAccessTokens/{token_id}", method="DELETE", headers=basic())
        deleted = time.monotonic()
        assert status == 204
        accepted = deleted
        while time.monotonic() < deleted + 2 * staleness:
            begun = time.monotonic()
            if ask(port, "/who", headers=token)[0] != 401:
                accepted = begun
        assert accepted < deleted + staleness
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(60) == 0, child.log()
    assert last_used(folder) == []


def test_a_port_that_is_taken_is_said_in_one_line(folder: Path) -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as taken:
        port = str(taken.getsockname()[1])
        for args in (("serve", "who_app:app"), ("demo",)):
            status, line = failed(folder, *args, "--port", port)
            assert status == 2
            assert f"can't listen on 127.0.0.1 port {port}: Address already in use" in line
            assert "--port" in line


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("nosuch.invalid", "can't listen on nosuch.invalid"),
    ],
)
def test_an_address_that_is_not_ours_is_an_error(host: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        check_address(host, 0)


def test_an_address_that_is_free_is_left_free() -> None:
    check_address("localhost", 0)
    with closing(socket.socket()) as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    check_address(LOOPBACK, port)
    check_address(LOOPBACK, port)


def test_wrong_keys_are_said_in_one_line(folder: Path) -> None:
    status, line = failed(folder, "serve", "who_app:app", BEARER_GUARD_KEYS=Keyring.new_key())
    assert status == 2
    assert "these are not the keys of this store" in line


def test_a_store_that_cannot_be_read_is_said_in_one_line(folder: Path) -> None:
    (folder / "bearer-guard.db").write_bytes(b"no database" * 1000)
    status, line = failed(folder, "serve", "who_app:app")
    assert status == 3
    assert "is no SQLite database" in line


def test_memory_is_not_shared_by_workers(folder: Path) -> None:
    args = ("--store", "memory://", "--workers", "2", "--keys-file", "bearer-guard.keys")
    status, line = failed(folder, "serve", "who_app:app", *args)
    assert status == 2
    assert "memory:// is one process's own" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_application_that_does_not_start_is_told(workers: str, folder: Path) -> None:
    (folder / "bad_app.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from starlette.applications import Starlette\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise RuntimeError('no database today')\n"
        "    yield\n"
        "app = Starlette(lifespan=lifespan)\n"
    )
    done = subprocess.run(
        [*COMMAND, "serve", "bad_app:app", "--port", "0", "--workers", workers],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no database today" in done.stderr
    assert done.stderr.endswith("the service did not start: see above, and try again\n")


def test_without_uvicorn_it_says_what_to_install(folder: Path) -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from bearer_guard.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "who_app:app"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "bearer-guard: packages are missing: pip install 'bearer-guard[server]'\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("127.0.0.1:1", "GET", "/a%3Fb?t=x", "1.1", 200), 'GET "/a%3Fb" 200'),
        (("127.0.0.1:1", "GET", f"/a/{TOKEN}/b", "1.1", 200), 'GET "/a/(a token)/b" 200'),
        (("127.0.0.1:1", "GET", f"/{TOKEN}?{TOKEN}", "1.1", 401), 'GET "/(a token)" 401'),
        (("127.0.0.1:1", "GET", "http%3A//a%3Ab%40host/x", "1.1", 401), 'GET "host/x" 401'),
    ],
)
def test_only_paths_are_logged(args: tuple[object, ...], message: str) -> None:
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "%s", args, None)
    assert PathsOnly().filter(record)
    _, method, path, _, status = record.args  # type: ignore[misc]
    assert f'{method} "{path}" {status}' == message


def test_other_records_are_left_as_they_are() -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, "started [%d]", (1,), None)
    assert PathsOnly().filter(record)
    assert record.getMessage() == "started [1]"
    bare = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, "why?", None, None)
    assert PathsOnly().filter(bare)
    assert bare.getMessage() == "why?"


def test_every_handler_of_uvicorn_is_filtered() -> None:
    config = log_config()
    logging.config.DictConfigurator(config)  # it is well-formed
    handlers = {
        name for logger in config["loggers"].values() for name in logger.get("handlers", ())
    }
    assert handlers == {"default", "access", "audit"}
    for name in ("default", "access"):
        assert config["handlers"][name]["filters"] == ["paths_only"]
