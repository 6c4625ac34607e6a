"""`keys`: what tokens are signed with."""

from pathlib import Path

import pytest

from bearer_guard import Keyring
from tests.cli.support import Cli

KEYS = Path("bearer-guard.keys")


def test_a_new_key_is_printed_and_nothing_is_changed(bare: Cli) -> None:
    key = bare("keys", "new").stdout
    assert len(Keyring.from_text(key).ids) == 1
    assert key != bare("keys", "new").stdout
    new = bare.json("keys", "new")
    assert Keyring.from_text(new["key"]).ids == (new["keyId"],)
    assert list(Path().iterdir()) == []


def test_a_rotation_keeps_old_tokens_and_signs_new_ones_with_the_new_key(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    old = cli.create_token("alice", days="30")
    rotated = cli.json("keys", "rotate")
    new_id, old_id = rotated["keyIds"]
    assert rotated["keysFile"] == str(KEYS)
    new = cli.create_token("alice", days="1")
    for token in (old, new):
        assert cli("token", "verify", "--token-stdin", stdin=token["tokenValue"]).exit_code == 0
    assert cli.json("keys", "list") == {
        "data": [
            {
                "keyId": new_id,
                "signs": True,
                "inKeyring": True,
                "liveTokens": 1,
                "until": new["tokenInfo"]["expiredAt"],
            },
            {
                "keyId": old_id,
                "signs": False,
                "inKeyring": True,
                "liveTokens": 1,
                "until": old["tokenInfo"]["expiredAt"],
            },
        ]
    }


def test_a_rotation_says_what_comes_next_and_shows_no_key(cli: Cli) -> None:
    result = cli("keys", "rotate")
    assert "again" in result.stderr
    assert "BEARER_GUARD_KEYS" in result.stderr
    for line in KEYS.read_text().splitlines()[1:]:
        assert line not in result.output


def test_a_key_that_was_taken_out_too_early_is_told(cli: Cli) -> None:
    cli.json("settings", "set", "allowNonExpiring=true")
    cli.add_user("alice", "--may-generate")
    cli.create_token("alice", days="-1")
    _, old_id = cli.json("keys", "rotate")["keyIds"]
    cli("user", "list")  # the store gets to know the new key
    head, new, _old = KEYS.read_text().splitlines()
    KEYS.write_text(f"{head}\n{new}\n")
    _, missing = cli.json("keys", "list")["data"]
    assert (missing["keyId"], missing["inKeyring"], missing["liveTokens"]) == (old_id, False, 1)
    table = cli("keys", "list").stdout
    assert "missing: its tokens are refused" in table
    assert "for ever" in table


def test_keys_of_the_environment_cannot_be_rotated_from_here(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = KEYS.read_text()
    monkeypatch.setenv("BEARER_GUARD_KEYS", text)
    result = cli("keys", "rotate")
    assert result.exit_code == 2
    assert "`bearer-guard keys new`" in result.stderr
    assert KEYS.read_text() == text


def test_there_must_be_a_file_to_rotate(bare: Cli) -> None:
    result = bare("keys", "rotate")
    assert result.exit_code == 2
    assert "`bearer-guard init`" in result.stderr
    assert list(Path().iterdir()) == []
