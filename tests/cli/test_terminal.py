"""`_terminal`: what is printed and asked."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from bearer_guard.cli._terminal import (
    date,
    note,
    print_json,
    print_table,
    progress,
    read_secret,
)
from tests.cli.support import COMMAND, PASSWORD, Cli


def test_a_cell_is_no_markup_and_is_not_folded_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "[red]x[/red] " * 40
    print_table(("A", "B"), [("a", long), ("[/]", "b")])
    output = capsys.readouterr().out
    assert long.strip() in output
    assert "[/]" in output


def test_json_is_printed_as_it_is_and_notes_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Zoë"})
    note("for people")
    output = capsys.readouterr()
    assert json.loads(output.out) == {"name": "Zoë"}
    assert "Zoë" in output.out
    assert output.err == "for people\n"


@pytest.mark.parametrize(
    ("at_ms", "text"), [(1_795_528_859_999, "2026-11-24 14:00 UTC"), (None, "never")]
)
def test_a_date_is_for_people(at_ms: int | None, text: str) -> None:
    assert date(at_ms, "never") == text


def test_nothing_is_shown_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Working", 2) as step:
        step(1)
        step(1)
    assert capsys.readouterr().err == ""


def secret(stdin: str | bytes, *, from_stdin: bool = True) -> Result:
    @click.command
    def command() -> None:
        click.echo(repr(read_secret("Password of alice", stdin=from_stdin)))

    return CliRunner().invoke(command, input=stdin)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_on_standard_input_ends_with_its_line(end: str) -> None:
    assert secret(f" pass word\t{end}").stdout == "' pass word\\t'\n"


@pytest.mark.parametrize(
    ("stdin", "problem"),
    [("", "There is no password"), ("\n", "There is no password"), (b"\xff\n", "is not UTF-8")],
)
def test_a_secret_must_be_there(stdin: str | bytes, problem: str) -> None:
    result = secret(stdin)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_nobody_is_asked_where_nobody_is() -> None:
    result = secret("a password that was piped in\n", from_stdin=False)
    assert result.exit_code == 2
    assert "--password-stdin" in result.stderr


def test_ctrl_c_ends_the_wait_for_somebody_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are coroutines, whose task asyncio would cancel when the next line has come."""

    waited = []

    def interrupted(size: int) -> bytes:
        signal.raise_signal(signal.SIGINT)
        waited.append(size)
        return b""

    async def command() -> str:
        return read_secret("Password", stdin=True)

    stdin = SimpleNamespace(buffer=SimpleNamespace(read=interrupted))
    monkeypatch.setattr(sys, "stdin", stdin)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(command())
    assert waited == []
    assert signal.getsignal(signal.SIGINT) is before


def at_a_terminal(folder: Path, *args: str, typed: list[str], columns: int = 80) -> tuple[int, str]:
    """Run a command at a terminal of its own, and type; what the terminal showed."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, columns))
    with subprocess.Popen(
        [*COMMAND, *args], stdin=its, stdout=its, stderr=its, cwd=folder, start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    ) as process:  # fmt: skip
        os.close(its)
        shown = ""
        for line in [*typed, None]:
            shown += read_until(ours, ": " if line is not None else None)
            if line is not None:
                os.write(ours, f"{line}\n".encode())
        status = process.wait(timeout=30)
    os.close(ours)
    return status, shown


def read_until(terminal: int, end: str | None) -> str:
    """What is shown until ``end``, after which something is to be typed; ``None``: until all is."""
    text = ""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (end is not None and text.endswith(end)):
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # of Linux, when nobody is left at the other end
            break
        if not piece:
            break
        text += piece.decode()
    return text


def test_a_table_is_plain_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Name", "Use"), [("a", "signs"), ("b", "verifies")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["Name", "Use"], ["a", "signs"], ["b", "verifies"]]


@pytest.mark.parametrize("columns", [80, 200])
def test_a_list_of_tokens_can_be_read_at_a_terminal(columns: int, alice: Cli) -> None:
    described = "nightly sync of job groups with the warehouse"
    made = alice.create_token("alice", "--description", described)["tokenInfo"]
    _, shown = at_a_terminal(alice.folder, "token", "list", typed=[], columns=columns)
    lines = click.unstyle(shown).splitlines()
    assert max(map(len, lines)) <= columns
    (line,) = [line for line in lines if made["tokenId"] in line]
    assert "alice  " in line
    assert ("nightly…" if columns == 80 else described) in line
    assert made["expiredAt"][:10] in line
    assert ("Last used" in shown) == (columns > 80)


def test_at_a_terminal_progress_is_shown(cli: Cli) -> None:
    for args in (("scan", "."), ("token", "purge")):
        status, shown = at_a_terminal(cli.folder, *args, typed=[])
        assert status == 0
        assert {"scan": "Scanning", "token": "Purging"}[args[0]] in shown


@pytest.mark.parametrize("args", [("add", "bob"), ("password", "alice")])
def test_a_password_that_can_not_be_is_not_asked_for_again(
    args: tuple[str, ...], alice: Cli
) -> None:
    status, shown = at_a_terminal(alice.folder, "user", *args, typed=["too short"])
    assert status == 1
    assert "at least 12 characters" in shown


def test_a_password_is_asked_for_twice_and_never_shown(cli: Cli) -> None:
    status, shown = at_a_terminal(cli.folder, "user", "add", "alice", typed=[PASSWORD, PASSWORD])
    assert status == 0
    assert "Password of alice: " in shown
    assert "Made the account alice." in shown
    assert PASSWORD not in shown
    args = ["token", "create", "--user", "alice", "--days", "1"]
    status, shown = at_a_terminal(cli.folder, *args, typed=[PASSWORD])
    assert status == 1  # nobody has allowed alice to make tokens: so the password was right
    assert "`bearer-guard user set NAME --may-generate`" in shown
    assert PASSWORD not in shown
