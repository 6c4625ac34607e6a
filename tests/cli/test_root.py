"""`_root`: every command is there, says how it is used, and costs no more than it must."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest

from bearer_guard.cli import main
from tests.cli.support import COMMAND, ROOT, Cli, leaves
from tests.core.test_architecture import HEAVY

LEAVES = dict(leaves())
INTERFACE = {
    "demo", "init", "serve", "user add", "user list", "user set", "user disable", "user enable",
    "user password", "token create", "token list", "token show", "token delete", "token verify",
    "token purge", "settings show", "settings set", "keys new", "keys list", "keys rotate",
    "store check", "store upgrade",
    "store copy", "scan",
}  # fmt: skip


def test_every_command_of_the_interface_is_there() -> None:
    assert {" ".join(path) for path in LEAVES} >= INTERFACE


def test_the_help_names_the_commands_and_the_exit_statuses(bare: Cli) -> None:
    text = bare("--help").stdout
    for name in {path[0] for path in LEAVES}:
        assert re.search(rf"^  {name} ", text, re.MULTILINE), name
    assert "0 done, 1 refused, 2 usage or configuration, 3 store" in " ".join(text.split())


def test_an_unknown_command_is_a_usage_error(bare: Cli) -> None:
    result = bare("tokne")
    assert result.exit_code == 2
    assert "No such command 'tokne'" in result.stderr


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_help_of_each_command_has_an_example_that_fits_it(
    path: tuple[str, ...], bare: Cli
) -> None:
    result = bare(*path, "--help")
    example = re.search(r"Example:\n +(.*bearer-guard .*)", result.stdout)
    assert example is not None
    words = shlex.split(example[1].partition("bearer-guard ")[2].rstrip(")"))
    assert tuple(words[: len(path)]) == path
    known = {name for option in LEAVES[path].params for name in option.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_no_help_imports_anything_slow() -> None:
    """Beyond what ``import bearer_guard`` itself brings."""
    code = f"""
import sys
import bearer_guard
before = set(sys.modules)
from bearer_guard.cli._root import root
for path in {[list(path) for path in [(), *LEAVES]]}:
    root.main([*path, "--help"], standalone_mode=False)
print("LOADED", *(set(sys.modules) - before))
"""
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    loaded = output.partition("LOADED ")[2].split()
    slow = HEAVY | {"starlette", "uvicorn", "asyncpg", "httptools"}
    assert {name.partition(".")[0] for name in loaded} & (slow - {"click"}) == set()


def test_the_command_is_installed_by_its_name() -> None:
    (found,) = entry_points(group="console_scripts", name="bearer-guard")
    assert found.load() is main


def status_of(*args: str, **options: Any) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stderr


def test_the_module_is_the_command_too(bare: Cli) -> None:
    del bare
    output = subprocess.check_output([*COMMAND, "--version"], text=True)
    assert re.fullmatch(r"bearer-guard, version \d+\.\d+\.\d+\n", output)


@pytest.mark.parametrize(
    ("args", "closed", "status"),
    [
        ("user list", ">&-", 0),
        ("user list", "2>&-", 0),
        ("user add bob", "<&-", 2),
        ("user add bob --password-stdin", "<&-", 2),
    ],
)
def test_what_whoever_runs_it_has_closed_is_empty(
    args: str, closed: str, status: int, cli: Cli
) -> None:
    del cli
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *args.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)


def test_the_process_ends_with_the_status(cli: Cli) -> None:
    assert status_of("user", "list")[0] == 0
    assert status_of("user", "enable", "nobody")[0] == 1
    assert status_of("user", "list", "--store", "nosuch://")[0] == 2
    (cli.folder / "bearer-guard.db").write_text("this is no database" * 100)
    status, stderr = status_of("user", "list")
    assert status == 3
    assert stderr.count("\n") == 1
    assert "is no SQLite database" in stderr
