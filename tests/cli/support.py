"""What tests of the command line need: the command in this process, or in one of its own."""

import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner, Result

from bearer_guard.cli._root import root
from tests.support import LOOPBACK, Running, StartError, free_port, running

PASSWORD: Final = "correct horse battery"
COMMAND: Final = [sys.executable, "-m", "bearer_guard"]
ROOT: Final = Path(__file__).resolve().parents[2]
_TRIES: Final = 3  # another process can take the free port before the server does


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs commands in a folder of their own."""

    folder: Path

    def __call__(self, *args: str, stdin: str | bytes | None = None) -> Result:
        """Run one; whatever is no expected end of a command is raised here."""
        result = CliRunner().invoke(root, args, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *args: str, stdin: str | None = None) -> Any:
        """Run one that succeeds, and read the JSON that it prints."""
        result = self(*args, "--json", stdin=stdin)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def add_user(self, name: str, *flags: str) -> None:
        result = self("user", "add", name, *flags, "--password-stdin", stdin=PASSWORD)
        assert result.exit_code == 0, result.stderr

    def create_token(self, owner: str, *options: str, days: str = "30") -> Any:
        """``tokenValue`` and ``tokenInfo`` of a new one."""
        args = ["token", "create", "--user", owner, "--days", days, "--password-stdin"]
        return self.json(*args, *options, stdin=PASSWORD)


def bare_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command in an empty folder, with nothing of it in the environment."""
    for name in list(os.environ):
        if name.startswith("BEARER_GUARD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WEB_CONCURRENCY", "1")  # `serve` sets it: it is put back afterwards
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path)


def leaves(group: click.Group = root, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, and its path."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from leaves(command, *above, name)
        else:
            yield (*above, name), command


def keywords_of(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Where the arguments go that a command's function would be called with."""
    command = dict(leaves())[path]
    got: dict[str, Any] = {}

    def note(*args: object, **keywords: object) -> None:
        del args
        got.update(keywords)

    monkeypatch.setattr(command, "callback", note)
    return got


@contextmanager
def serving(
    cwd: Path,
    *args: str,
    env: Mapping[str, str] | None = None,
    probe: Callable[[int], bool] | None = None,
    seconds: float = 40.0,
) -> Iterator[tuple[int, Running]]:
    """Run ``bearer-guard ARGS --port …`` until the block ends; gives the port and the process."""
    for tries_left in reversed(range(_TRIES)):
        port = free_port()
        ready = partial(probe or answers, port)
        try:
            with running(
                [*COMMAND, *args, "--port", str(port)],
                ready=ready,
                env={"PYTHONPATH": str(ROOT), **(env or {})},
                cwd=cwd,
                seconds=seconds,
            ) as child:
                yield port, child
                return
        except StartError as error:
            if not tries_left or "in use" not in str(error):
                raise


def answers(port: int) -> bool:
    """Whether ``/readyz`` is answered well."""
    status, _ = ask(port, "/readyz")
    return status == 200


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """The status and the JSON body of one request; 0 where nobody answers.

    The body is sent as JSON, or as it is where it is text.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    sent = {"content-type": "application/json", "connection": "close", **(headers or {})}
    try:
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        connection.request(method, path, text, sent)
        answer = connection.getresponse()
        read = answer.read()
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()
    try:
        return answer.status, json.loads(read) if read else None
    except ValueError:
        return answer.status, read.decode()


def comes_true(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it does in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
