"""`init`: a store's schema, and its keys."""

import stat
from pathlib import Path

import pytest

from bearer_guard import Keyring
from tests.cli.support import Cli

KEYS = Path("bearer-guard.keys")


def test_it_makes_the_database_and_a_key_file_of_mode_0600(bare: Cli) -> None:
    result = bare("init")
    assert result.exit_code == 0
    assert Path("bearer-guard.db").exists()
    assert stat.S_IMODE(KEYS.stat().st_mode) == 0o600
    (key_id,) = Keyring.from_file(KEYS).ids
    assert key_id in result.stderr
    assert KEYS.read_text().split()[-1] not in result.output


def test_the_keys_stand_beside_the_database(bare: Cli) -> None:
    Path("data").mkdir()
    assert bare("init", "--store", "sqlite:///data/tokens.db").exit_code == 0
    assert sorted(Path().iterdir()) == [Path("data")]
    assert Path("data/bearer-guard.keys").exists()


def test_doing_it_again_changes_nothing(cli: Cli) -> None:
    before = KEYS.read_text()
    ids = list(Keyring.from_text(before).ids)
    said = {"keysFile": "bearer-guard.keys", "keysFileMade": False, "keyIds": ids}
    assert cli.json("init") == said
    assert KEYS.read_text() == before
    assert cli.json("init", "--store", "sqlite:///new.db") == said


def test_it_tells_programs_where_the_keys_are(bare: Cli) -> None:
    said = bare.json("init")
    ids = list(Keyring.from_file(KEYS).ids)
    assert said == {"keysFile": "bearer-guard.keys", "keysFileMade": True, "keyIds": ids}


def test_keys_of_the_environment_need_no_file(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_GUARD_KEYS", Keyring.new_key())
    said = bare.json("init")
    assert (said["keysFile"], said["keysFileMade"]) == (None, False)
    assert not KEYS.exists()


def test_a_lost_key_file_is_not_made_up_for(cli: Cli) -> None:
    """New keys would leave a store whose tokens nobody can verify."""
    (key_id,) = Keyring.from_file(KEYS).ids
    KEYS.unlink()
    result = cli("init")
    assert result.exit_code == 2
    assert key_id in result.stderr
    assert "put it back" in result.stderr
    assert not KEYS.exists()


def test_the_keys_of_another_store_are_refused(cli: Cli) -> None:
    KEYS.write_text(Keyring.new_key())
    result = cli("init")
    assert result.exit_code == 2
    assert "not the keys of this store" in result.stderr


def test_a_database_of_another_application_is_left_alone(bare: Cli) -> None:
    import sqlite3  # noqa: PLC0415 - once

    with sqlite3.connect("bearer-guard.db") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = Path("bearer-guard.db").read_bytes()
    result = bare("init")
    assert result.exit_code == 2
    assert "another application's" in result.stderr
    assert Path("bearer-guard.db").read_bytes() == before
    assert not KEYS.exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///no/such/tokens.db", "no folder no/such: mkdir -p no/such"),
        ("memory://", "gone with its process"),
    ],
)
def test_where_no_store_can_be_made_it_says_so(url: str, words: str, bare: Cli) -> None:
    result = bare("init", "--store", url)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr
    assert "--store" in result.stderr
    assert not [*Path().iterdir()]


def test_the_next_step_is_in_the_same_store(bare: Cli) -> None:
    assert bare("init").stderr.endswith("Next: bearer-guard user add NAME --admin\n")
    elsewhere = bare("init", "--store", "sqlite:///other.db").stderr
    assert elsewhere.endswith("user add NAME --admin --store sqlite:///other.db\n")


def test_keys_in_a_folder_that_is_not_there_are_said_so(bare: Cli) -> None:
    result = bare("user", "add", "alice", "--store", "sqlite:///nosuch/tokens.db")
    assert (result.exit_code, "there is no folder nosuch" in result.stderr) == (2, True)
