"""`forward-auth`: the endpoint as a service of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bearer_guard.cli import _serving
from tests.cli.support import Cli, ask, serving


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "65536"),
        ("--workers", "0"),
        ("--staleness", "-1"),
        ("--rule", "/admin"),
        ("--rule", "admin=a"),
        ("--rule", "/admin="),
        ("--trusted-proxy", "localhost"),
        ("--nosuch",),
    ],
)
def test_what_cannot_be_is_a_usage_error(options: tuple[str, ...], cli: Cli) -> None:
    assert cli("forward-auth", *options).exit_code == 2


def test_without_keys_it_does_not_start(cli: Cli) -> None:
    Path("bearer-guard.keys").unlink()
    result = cli("forward-auth")
    assert result.exit_code == 2
    assert "bearer-guard init" in result.stderr


def test_a_store_that_does_not_answer_is_said_at_the_start(cli: Cli) -> None:
    assert cli("forward-auth", "--store", "redis://127.0.0.1:1/0").exit_code == 3


def test_it_listens_where_it_is_told_and_believes_no_addresses_but_its_own(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were uvicorn to read X-Forwarded-For, the endpoint would take the client for the proxy."""
    ran: list[dict[str, object]] = []
    monkeypatch.setattr(_serving, "run", lambda _, **where: ran.append(where))
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    result = cli("forward-auth", "--host", "::1", "--port", "9", "--workers", "3")
    assert result.exit_code == 0
    assert ran == [{"host": "::1", "port": 9, "workers": 3, "access_log": False}]
    assert os.environ["FORWARDED_ALLOW_IPS"] == ""
    assert os.environ["WEB_CONCURRENCY"] == "3"


def test_it_answers_proxies_and_stops_when_it_is_told(alice: Cli) -> None:
    token = alice.create_token("alice")["tokenValue"]
    bearer = {"authorization": f"Bearer {token}"}
    rules = ("--rule", "/admin/*=admin,root", "--rule", "/admin/*=more")
    with serving(alice.folder, "forward-auth", *rules) as (port, child):
        told = {**bearer, "x-original-uri": "/reports"}
        assert ask(port, "/forward-auth", headers=told)[0] == 200
        assert ask(port, "/forward-auth")[0] == 401
        status, _ = ask(port, "/forward-auth", headers={**bearer, "x-original-uri": "/admin/x"})
        assert status == 403
        assert ask(port, "/healthz") == (200, {"status": "ok"})
        assert ask(port, "/", headers=bearer)[0] == 404
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(20) == 0
        assert token not in child.log()


def test_only_trusted_proxies_are_believed(alice: Cli) -> None:
    token = alice.create_token("alice")["tokenValue"]
    told = {"authorization": f"Bearer {token}", "x-original-uri": "/reports"}
    options = ("--trusted-proxy", "192.0.2.1", "--rule", "/admin/*=admin")
    with serving(alice.folder, "forward-auth", *options) as (port, _):
        assert ask(port, "/forward-auth", headers=told)[0] == 403


def test_the_file_may_say_it_too(alice: Cli, tmp_path: Path) -> None:
    (tmp_path / "bearer-guard.toml").write_text('[forward-auth]\nrule = ["/*=admin"]\n')
    token = alice.create_token("alice")["tokenValue"]
    told = {"authorization": f"Bearer {token}", "x-original-uri": "/reports"}
    with serving(alice.folder, "forward-auth") as (port, _):
        assert ask(port, "/forward-auth", headers=told)[0] == 403
