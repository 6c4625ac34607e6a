"""`_command`: coroutines are run, errors become an exit status and one sentence."""

import asyncio
import errno
import inspect
import json
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


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_each_command_takes_json_after_itself(path: tuple[str, ...]) -> None:
    assert [param.name for param in LEAVES[path].params].count("json") == 1


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


MAY_MAKE = [
    ("init",),
    ("serve",),
    ("forward-auth",),
    ("user", "add"),
    ("settings", "set"),
    ("store", "upgrade"),
]
NEEDING = [
    path
    for path, command in LEAVES.items()
    if "keys_file" in {param.name for param in command.params}
    and path not in {*MAY_MAKE, ("keys", "rotate")}
]


@pytest.mark.parametrize("path", NEEDING, ids=" ".join)
def test_a_store_that_is_not_there_is_not_made(path: tuple[str, ...], cli: Cli) -> None:
    """A mistyped name would be an empty store, in which every token is unknown."""
    settled = {("user", "set"): ["alice", "--admin"]}
    words = settled.get(path) or needed(LEAVES[path])
    typo = "sqlite:///bearer-gaurd.db"
    named = [typo, *words[1:]] if path == ("store", "copy") else [*words, "--store", typo]
    before = set(cli.folder.iterdir())
    result = cli(*path, *named)
    assert result.exit_code == 3
    assert "no database bearer-gaurd.db" in result.stderr
    assert "`bearer-guard init`" in result.stderr
    assert set(cli.folder.iterdir()) == before


def test_a_store_that_is_made_by_the_way_is_told(cli: Cli) -> None:
    words = ("settings", "set", "enabled=true", "--store", "sqlite:///new.db")
    assert "Made a new database, new.db" in cli(*words).stderr
    assert "new database" not in cli(*words).stderr


def test_a_store_url_that_is_none_is_still_told_so(cli: Cli) -> None:
    result = cli("token", "list", "--store", "sqlite://folder/tokens.db")
    assert result.exit_code == 2
    assert "sqlite:///relative/path" in result.stderr


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


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("token", "show", SAMPLES["uuid"], "--json"), 1, "`bearer-guard token list` shows"),
        (("token", "show", "nosuch", "--json"), 2, "a token ID is a UUID"),
        (("token", "list", "--store", "sqlite:///typo.db", "--json"), 3, "no database typo.db"),
        (("token", "show", "--json"), 2, "Missing argument 'ID'"),
        (("token", "list", "surplus", "--json"), 2, "arguments"),
        (("token", "lst", "--json"), 2, "No such command 'lst'"),
        (("--json", "lst"), 2, "No such command 'lst'"),
        (("--json", "--config", "nosuch.toml", "token", "list"), 2, "no file nosuch.toml"),
        (("token", "list", "--json", "--config", "nosuch.toml"), 2, "no file nosuch.toml"),
        (("--nosuch", "--json", "token", "list"), 2, "--nosuch"),
        (("serve", "nosuch:app", "--json"), 2, "no module nosuch"),
        (("--json", "serve", "nosuch:app"), 2, "no module nosuch"),
        (("forward-auth", "--rule", "x", "--json"), 2, "a rule is PATH=SCOPE"),
        (("demo", "--port", "0", "--json"), 2, "'--port'"),
    ],
)
def test_a_failure_is_json_too_where_json_is_asked_for(
    args: tuple[str, ...], status: int, words: str, cli: Cli
) -> None:
    result = cli(*args)
    assert (result.exit_code, result.stdout) == (status, "")
    failure = json.loads(result.stderr)
    assert failure["error"] == {1: "refused", 2: "usage", 3: "unavailable"}[status]
    assert words in failure["error_description"]


@pytest.mark.parametrize("where", ["environment", "file"])
def test_json_that_is_always_asked_for_covers_failures(
    where: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "file":
        Path("bearer-guard.toml").write_text("json = true")
    else:
        monkeypatch.setenv("BEARER_GUARD_JSON", "1")
    for token_id, error in ((SAMPLES["uuid"], "refused"), ("nosuch", "usage")):
        result = cli("token", "show", token_id)
        assert json.loads(result.stderr)["error"] == error


def test_what_the_machine_refuses_is_a_sentence(bare: Cli) -> None:
    del bare
    full = OSError(errno.ENOSPC, "No space left on device")
    assert ended_with(full) == (2, "bearer-guard: No space left on device\n")
    named = OSError(errno.EACCES, "Permission denied", "a file")
    assert ended_with(named) == (2, "bearer-guard: a file: Permission denied\n")


def test_output_that_nobody_reads_any_more_ends_it_in_silence(bare: Cli) -> None:
    del bare
    assert ended_with(BrokenPipeError(errno.EPIPE, "Broken pipe")) == (1, "")


def test_a_bug_keeps_its_traceback(bare: Cli) -> None:
    del bare

    @click.command(cls=Command, example="x")
    async def broken(**keywords: object) -> None:
        del keywords
        raise TimeoutError

    result = CliRunner().invoke(broken)
    assert isinstance(result.exception, TimeoutError)


def test_help_is_no_failure(cli: Cli) -> None:
    assert "Usage:" in cli("--json", "token").output


READING = [*NEEDING, *MAY_MAKE, ("keys", "rotate")]


@pytest.mark.parametrize("path", READING, ids=" ".join)
def test_keys_that_others_can_read_are_warned_of_once(
    path: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LEAVES[path], "callback", lambda **_: None)
    warning = "others can read bearer-guard.keys: chmod 600 bearer-guard.keys\n"
    keys = ("--keys-file", "bearer-guard.keys")
    assert warning not in cli(*path, *needed(LEAVES[path]), *keys).stderr
    Path("bearer-guard.keys").chmod(0o644)
    assert cli(*path, *needed(LEAVES[path]), *keys).stderr.count(warning) == 1


def test_keys_of_the_environment_need_no_warning(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_GUARD_KEYS", Path("bearer-guard.keys").read_text().split()[-1])
    Path("bearer-guard.keys").chmod(0o644)
    assert cli("user", "list").stderr == ""


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
