"""`store`: is it sound, and bring it up to date."""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

from tests.cli.support import Cli

DATABASE = Path("bearer-guard.db")


def execute(statement: str, *values: object) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute(statement, values)


def test_a_sound_store_has_no_errors(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    cli.create_token("alice")
    findings = cli.json("store", "check")["findings"]
    assert {finding["level"] for finding in findings} == {"ok"}
    texts = "\n".join(finding["text"] for finding in findings)
    assert "the seals of all 1 records hold" in texts
    assert "the keys are this store's" in texts
    assert "Finding" in cli("store", "check").stdout


def test_a_changed_record_is_found(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    bad = cli.create_token("alice")["tokenInfo"]["tokenId"]
    good = cli.create_token("alice")["tokenInfo"]["tokenId"]
    execute("UPDATE tokens SET owner = 'root' WHERE id = ?", UUID(bad).bytes)
    result = cli("store", "check")
    assert result.exit_code == 1
    assert "1 of 2 records were changed" in result.stdout
    assert bad in result.stdout
    assert good not in result.stdout
    assert "1 of the findings are errors" in result.stderr


def test_a_key_file_that_others_can_read_is_a_warning(cli: Cli) -> None:
    Path("bearer-guard.keys").chmod(0o644)
    result = cli("store", "check")
    assert result.exit_code == 0
    assert "others can read bearer-guard.keys: chmod 600" in result.stdout


def test_a_newer_schema_is_an_error_that_says_what_to_install(cli: Cli) -> None:
    execute("PRAGMA user_version = 99")
    checked = cli("store", "check")
    assert checked.exit_code == 1
    assert "install the newer one" in checked.stdout
    for args in (("user", "list"), ("store", "upgrade"), ("init",)):
        result = cli(*args)
        assert result.exit_code == 3
        assert "install the newer one" in result.stderr


def test_an_upgrade_says_what_was_done(cli: Cli) -> None:
    assert cli.json("store", "upgrade") == {"done": "the schema has version 1 already"}
    assert cli("store", "upgrade").stderr == "The schema has version 1 already.\n"


def test_a_locked_database_is_unavailable(cli: Cli) -> None:
    with closing(sqlite3.connect(DATABASE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = cli("user", "add", "alice", "--password-stdin", stdin="correct horse battery")
    assert result.exit_code == 3
    assert "is locked by another process" in result.stderr
    assert "--store" in result.stderr


def test_a_database_in_a_folder_that_is_not_there_is_unavailable(cli: Cli) -> None:
    keys = ("--keys-file", "bearer-guard.keys")
    for args in (("user", "list"), ("store", "check")):
        result = cli(*args, "--store", "sqlite:///nosuch/tokens.db", *keys)
        assert result.exit_code == 3
        assert "No such file or directory" in result.stderr


def test_an_unknown_kind_of_store_is_a_configuration_error(cli: Cli) -> None:
    result = cli("user", "list", "--store", "oracle://host")
    assert result.exit_code == 2
    assert "the schemes are" in result.stderr
