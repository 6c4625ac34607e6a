"""`serve`: its options, and what its help must say."""

from pathlib import Path
from typing import Any

import pytest

from bearer_guard.cli import _serving
from bearer_guard.cli._application import Service
from tests.cli.support import Cli, ask, serving


def normal(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    "sentence",
    [
        "/healthz, /readyz need no credentials",
        "/forward-auth and below for a reverse proxy to ask; takes a Bearer token",
        "/.well-known/oauth-protected-resource…, with --resource only needs no credentials",
        "/metrics, with --metrics only takes a Bearer token, and refuses requests without",
        "Every other path needs a token, but those of --exempt.",
        "Each worker counts for itself: N workers let N times as many pass.",
        "MODULE is looked for in the working directory first.",
        "[default: 127.0.0.1]",
    ],
)
def test_the_help_says_what_matters(sentence: str, bare: Cli) -> None:
    assert sentence in normal(bare("serve", "--help").stdout)


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "-1"),
        ("--port", "65536"),
        ("--workers", "0"),
        ("--staleness", "-1"),
        ("--staleness", "soon"),
        ("--nosuch",),
    ],
)
def test_an_option_that_cannot_be_is_a_usage_error(options: tuple[str, ...], bare: Cli) -> None:
    assert bare("serve", "a:b", *options).exit_code == 2


def test_the_options_are_what_is_served(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[tuple[Service, int]] = []
    ran: dict[str, Any] = {}
    monkeypatch.setattr(
        _serving, "prepare", lambda service, workers: prepared.append((service, workers))
    )
    monkeypatch.setattr(_serving, "run", lambda _, **where: ran.update(where))
    options = (
        "--host", "::1", "--port", "9", "--workers", "3", "--exempt", "/", "--exempt", "/a/*",
        "--optional", "--staleness", "0.5", "--realm", "r", "--prefix", "/p",
        "--resource", "https://x", "--metrics",
    )  # fmt: skip
    assert cli("serve", "reports:app", *options).exit_code == 0
    ((service, workers),) = prepared
    assert (workers, ran) == (3, {"host": "::1", "port": 9, "workers": 3})
    assert service == Service(
        app="reports:app",
        place=service.place,
        exempt=("/", "/a/*"),
        optional=True,
        staleness=0.5,
        realm="r",
        prefix="/p",
        resource="https://x",
        metrics=True,
    )
    assert service.place.keys_file == Path("bearer-guard.keys")


def test_not_a_number_is_no_bound(cli: Cli) -> None:
    (cli.folder / "any_app.py").write_text("async def app(scope, receive, send): ...\n")
    result = cli("serve", "any_app:app", "--staleness", "nan")
    assert result.exit_code == 2
    assert "staleness must be a number" in result.stderr


def test_port_and_realm_from_environment_and_file_reach_the_workers(cli: Cli) -> None:
    (cli.folder / "any_app.py").write_text("async def app(scope, receive, send): ...\n")
    (cli.folder / "bearer-guard.toml").write_text('[serve]\nrealm = "from the file"\nworkers = 2\n')
    env = {"BEARER_GUARD_SERVE_PREFIX": "/env"}
    with serving(cli.folder, "serve", "any_app:app", env=env) as (port, _):
        status, body = ask(port, "/env/apiAccessTokens")
        assert status == 401
        assert body["error"] == "unauthorized"
