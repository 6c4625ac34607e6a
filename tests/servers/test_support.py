"""The helpers themselves: a failing start must be told apart from a failing test."""

import socket
import urllib.request
from pathlib import Path

import pytest

from tests.servers.support import SERVERS, serve
from tests.support import LOOPBACK, StartError, require

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""


@pytest.mark.parametrize("server", SERVERS)
def test_every_server_serves_and_is_stopped(server: str, tmp_path: Path) -> None:
    (tmp_path / "hello_app.py").write_text(APP)
    with (
        serve("hello_app:app", server, cwd=tmp_path) as served,
        urllib.request.urlopen(served.url) as answer,
    ):
        assert answer.read() == b"hello"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, served.port))


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_does_not_start_shows_its_log(server: str, tmp_path: Path) -> None:
    (tmp_path / "broken_app.py").write_text("raise RuntimeError('broken on purpose')\n")
    with (
        pytest.raises(StartError, match="broken on purpose"),
        serve("broken_app:app", server, cwd=tmp_path),
    ):
        pass


def test_a_missing_program_skips_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install no-such-package"):
        require("no-such-program", "no-such-package")


def test_a_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install no-such-package"):
        require("no-such-program", "no-such-package")
