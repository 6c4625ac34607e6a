"""`_command`: coroutines are run, errors become an exit status and one sentence."""

import asyncio
import inspect
import logging
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bearer_guard.cli._command import Command
from bearer_guard.errors import (
    BearerGuardError,
    ConfigurationError,
    FeatureOff,
    InvalidRequest,
    KeyringError,
    LifetimeTooLong,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from tests.cli.support import Cli, leaves

LEAVES = dict(leaves())
SAMPLES = {
    "uuid": "0bc1d49f-5475-4c62-a0ba-6ad269389ada",
    "days": "1",
    "path": ".",
    "text": "x",
}


def needed(command: click.Command) -> list[str]:
    """Arguments that a command can't do without, made up."""
    words = []
    for param in command.params:
        if param.required:
            sample = SAMPLES[param.type.name]
            words += [sample] if isinstance(param, click.Argument) else [param.opts[0], sample]
    return words


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_each_command_runs_its_function_to_the_end(
    path: tuple[str, ...], bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coroutine that is made and never awaited does nothing, with exit status 0."""
    command = LEAVES[path]
    assert isinstance(command, Command)
    done = []

    async def waits(*args: object, **keywords: object) -> None:
        await asyncio.sleep(0)
        done.append((args, keywords))

    def returns(*args: object, **keywords: object) -> None:
        done.append((args, keywords))

    is_coroutine = inspect.iscoroutinefunction(command.callback)
    monkeypatch.setattr(command, "callback", waits if is_coroutine else returns)
    result = bare(*path, *needed(command))
    assert result.exit_code == 0, result.stderr
    assert len(done) == 1


def ended_with(error: Exception, *, not_found: str = "") -> tuple[int, str]:
    @click.command(cls=Command, example="x", not_found=not_found)
    async def failing(**keywords: object) -> None:
        del keywords
        await asyncio.sleep(0)
        raise error

    result = CliRunner().invoke(failing)
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InvalidRequest, 1),
        (LifetimeTooLong, 1),
        (NotAllowed, 1),
        (FeatureOff, 1),
        (NotFound, 1),
        (ConfigurationError, 2),
        (KeyringError, 2),
        (StoreUnavailable, 3),
    ],
)
def test_an_expected_error_is_a_status_and_one_line(
    kind: type[BearerGuardError], status: int, bare: Cli
) -> None:
    del bare
    code, stderr = ended_with(kind("what is wrong"))
    assert code == status
    assert stderr.startswith("bearer-guard: what is wrong")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotAllowed("no"), "`bearer-guard user set NAME --may-generate`"),
        (FeatureOff("no"), "`bearer-guard settings set enabled=true`"),
        (LifetimeTooLong("no"), "`bearer-guard settings set`"),
        (NotFound("no"), "look there"),
        (StoreUnavailable("no"), "--store"),
    ],
)
def test_the_line_says_what_to_do(error: BearerGuardError, advice: str, bare: Cli) -> None:
    del bare
    assert advice in ended_with(error, not_found="look there")[1]


def test_a_bug_keeps_its_traceback(bare: Cli) -> None:
    del bare

    @click.command(cls=Command, example="x")
    async def broken(**keywords: object) -> None:
        del keywords
        raise ZeroDivisionError

    result = CliRunner().invoke(broken)
    assert isinstance(result.exception, ZeroDivisionError)


def test_what_a_command_does_is_not_logged_to_the_terminal(
    cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cli.add_user("alice")
    refused = cli(
        "token", "create", "--user", "alice", "--days", "1", "--password-stdin", stdin="wrong"
    )
    assert refused.exit_code == 1
    assert not [record for record in caplog.records if record.name.startswith("bearer_guard")]


def test_no_error_shows_the_password_in_a_store_url(bare: Cli) -> None:
    url = "postgresql://bg:hunter2secret@127.0.0.1:1/bg"
    Path("keys").write_text(bare("keys", "new").stdout)
    result = bare("user", "list", "--store", url, "--keys-file", "keys")
    assert result.exit_code in {2, 3}
    assert "hunter2secret" not in result.output
