"""`user`: native accounts."""

from pathlib import Path

import pytest

from tests.cli.support import PASSWORD, Cli

ALICE = {"name": "alice", "admin": False, "mayGenerate": True, "disabled": False}


def test_an_account_is_made_and_listed(cli: Cli) -> None:
    made = cli.json("user", "add", "alice", "--may-generate", "--password-stdin", stdin=PASSWORD)
    assert made == ALICE
    cli.add_user("root", "--admin")
    root = {"name": "root", "admin": True, "mayGenerate": False, "disabled": False}
    assert cli.json("user", "list") == {"data": [ALICE, root]}
    table = cli("user", "list").stdout
    assert "alice" in table
    assert "Administrator" in table


def test_a_name_that_is_taken_is_refused(cli: Cli) -> None:
    cli.add_user("alice")
    result = cli("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert result.exit_code == 1
    assert "`user password`" in result.stderr


@pytest.mark.parametrize(
    ("name", "password", "problem"),
    [
        ("alice", "too short", "at least 12 characters"),
        ("al:ice", PASSWORD, "no colon"),
        ("me", PASSWORD, "means something else"),
    ],
)
def test_what_no_account_can_have_is_refused(
    name: str, password: str, problem: str, cli: Cli
) -> None:
    result = cli("user", "add", name, "--password-stdin", stdin=password)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert password not in result.output
    assert cli.json("user", "list") == {"data": []}


def test_what_an_account_may_do_is_changed_flag_by_flag(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    assert cli.json("user", "set", "alice", "--admin") == ALICE | {"admin": True}
    changed = cli.json("user", "set", "alice", "--no-admin", "--no-may-generate")
    assert changed == ALICE | {"mayGenerate": False}


def test_an_account_without_a_password_is_for_the_people_of_a_directory(cli: Cli) -> None:
    assert cli.json("user", "add", "alice", "--no-password", "--may-generate") == ALICE
    for password in ("", "x", PASSWORD):
        create = ("token", "create", "--user", "alice", "--days", "1", "--password-stdin")
        assert cli(*create, stdin=password).exit_code != 0


def test_a_change_of_nothing_is_a_usage_error(cli: Cli) -> None:
    cli.add_user("alice")
    assert cli("user", "set", "alice").exit_code == 2


def test_tokens_of_a_disabled_account_stop_and_work_again(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    value = cli.create_token("alice")["tokenValue"]
    assert cli.json("user", "disable", "alice")["disabled"] is True
    refused = cli("token", "verify", "--token-stdin", stdin=value)
    assert (refused.exit_code, refused.stdout.split(",")[0]) == (1, "refused: owner-disabled")
    assert cli.json("user", "enable", "alice")["disabled"] is False
    assert cli("token", "verify", "--token-stdin", stdin=value).exit_code == 0


def test_a_new_password_counts_and_leaves_the_tokens_alone(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    value = cli.create_token("alice")["tokenValue"]
    new = "another horse battery"
    assert cli("user", "password", "alice", "--password-stdin", stdin=new).exit_code == 0
    create = ("token", "create", "--user", "alice", "--days", "1", "--password-stdin")
    assert cli(*create, stdin=PASSWORD).exit_code == 1
    assert cli(*create, stdin=new).exit_code == 0
    assert cli("token", "verify", "--token-stdin", stdin=value).exit_code == 0


@pytest.mark.parametrize(
    "args",
    [("set", "bob", "--admin"), ("disable", "bob"), ("enable", "bob"), ("password", "bob")],
)
def test_an_account_that_is_not_there_is_refused(args: tuple[str, ...], cli: Cli) -> None:
    stdin = ("--password-stdin",) if args[0] == "password" else ()
    result = cli("user", *args, *stdin, stdin=PASSWORD)
    assert result.exit_code == 1
    assert "`bearer-guard user list`" in result.stderr


def test_nobody_types_a_password_where_there_are_no_keys(cli: Cli) -> None:
    Path("bearer-guard.keys").unlink()
    result = cli("user", "add", "alice")
    assert result.exit_code == 2
    assert "`bearer-guard init`" in result.stderr


def test_no_command_takes_a_password_as_an_argument(cli: Cli) -> None:
    assert cli("user", "add", "alice", "--password", PASSWORD).exit_code == 2
    result = cli("user", "password", "alice", PASSWORD)
    assert result.exit_code == 2
    assert PASSWORD not in result.output
