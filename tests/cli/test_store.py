"""`store`: is it sound, bring it up to date, copy it to another."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

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
        assert "there is no database nosuch/tokens.db" in result.stderr


def test_what_cannot_be_looked_at_is_for_the_store_to_tell(cli: Cli) -> None:
    long = "x" * 300
    for args in (("user", "list"), ("store", "check"), ("init",), ("settings", "set", "enabled=1")):
        result = cli(*args, "--store", f"sqlite:///{long}/{long}.db")
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code in {1, 2, 3}
        assert result.stderr


def test_nothing_is_there_to_be_upgraded(cli: Cli) -> None:
    result = cli("store", "upgrade", "--store", "sqlite:///typo.db")
    assert (result.exit_code, "`bearer-guard init`" in result.stderr) == (3, True)


def test_an_address_that_cannot_be_read_is_no_traceback(cli: Cli) -> None:
    result = cli("user", "list", "--store", "postgresql://u:s3cret@[x/db")
    assert result.exit_code == 2
    assert "s3cret" not in result.output


def test_an_unknown_kind_of_store_is_a_configuration_error(cli: Cli) -> None:
    result = cli("user", "list", "--store", "oracle://host")
    assert result.exit_code == 2
    assert "the schemes are" in result.stderr


FROM, TO = "sqlite:///bearer-guard.db", "sqlite:///target.db"


def test_a_copy_has_everything_and_can_be_repeated(alice: Cli) -> None:
    value = alice.create_token("alice", "--description", "nightly")["tokenValue"]
    assert alice("settings", "set", "usersMayGenerate=true").exit_code == 0
    first = alice("store", "copy", FROM, TO, "--json")
    assert "Made a new database, target.db" in first.stderr
    said = json.loads(first.stdout)
    assert {kind: said[kind]["copied"] for kind in ("settings", "accounts", "tokens")} == {
        "settings": 1,
        "accounts": 1,
        "tokens": 1,
    }
    assert said["counts"] == {"accounts": {"from": 1, "to": 1}, "tokens": {"from": 1, "to": 1}}
    keys = ("--store", TO, "--keys-file", "bearer-guard.keys")
    assert alice("token", "verify", "--token-stdin", *keys, stdin=value).exit_code == 0
    assert alice("settings", "show", *keys).stdout == alice("settings", "show").stdout
    again = alice("store", "copy", FROM, TO)
    assert again.exit_code == 0
    rows = [line.split() for line in again.stdout.splitlines() if line.strip()]
    assert ["Tokens", "0", "0", "1"] in rows


def test_what_differs_and_what_was_altered_is_named(alice: Cli) -> None:
    ids = [alice.create_token("alice")["tokenInfo"]["tokenId"] for _ in range(3)]
    assert alice("store", "copy", FROM, TO).exit_code == 0
    execute("UPDATE tokens SET owner = 'root' WHERE id = ?", UUID(ids[0]).bytes)
    with closing(sqlite3.connect("target.db")) as connection, connection:
        connection.execute("UPDATE tokens SET owner = 'root' WHERE id = ?", (UUID(ids[1]).bytes,))
        connection.execute("UPDATE accounts SET admin = 1")
    result = alice("store", "copy", FROM, TO)
    assert result.exit_code == 1
    assert (
        f"1 tokens were changed, or made with a key that is not here, and were not copied: {ids[0]}"
        in result.stderr
    )
    assert f"tokens that differ in TO were left as they are: {ids[1]}" in result.stderr
    assert "accounts that differ in TO were left as they are: alice" in result.stderr
    assert ids[2] not in result.stderr


def test_a_rehearsal_says_what_would_be_copied(alice: Cli) -> None:
    alice.create_token("alice")
    said = alice.json("store", "copy", FROM, TO, "--dry-run")
    assert (said["dryRun"], said["tokens"]["copied"]) == (True, 1)
    assert said["counts"]["tokens"] == {"from": 1, "to": 0}
    assert not (alice.folder / "target.db").exists()
    assert alice.json("store", "copy", FROM, TO)["tokens"]["copied"] == 1


def test_the_stores_of_a_copy_can_stand_in_the_environment(
    alice: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """URLs hold passwords, and arguments are for all to see."""
    monkeypatch.setenv("BEARER_GUARD_STORE_COPY_FROM", FROM)
    monkeypatch.setenv("BEARER_GUARD_STORE_COPY_TO", TO)
    assert alice.json("store", "copy")["accounts"]["copied"] == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((FROM, FROM), "are the same store"),
        ((FROM, "memory://"), "in memory is gone"),
        (("memory://", TO), "in memory is gone"),
        (("sqlite:///empty.db", TO, "--keys-file", "bearer-guard.keys"), "without anything"),
        ((FROM, "oracle://host"), "the schemes are"),
        ((FROM,), "Missing argument 'TO'"),
    ],
)
def test_what_can_not_be_copied_is_a_usage_error(
    alice: Cli, args: tuple[str, ...], words: str
) -> None:
    Path("empty.db").touch()
    result = alice("store", "copy", *args)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_copy_to_a_store_of_other_keys_is_refused(alice: Cli) -> None:
    other = ("--store", TO, "--keys-file", "other.keys")
    assert alice("init", *other).exit_code == 0
    assert alice("keys", "list", *other).exit_code == 0
    result = alice("store", "copy", FROM, TO)
    assert result.exit_code == 2
    assert "keys" in result.stderr
