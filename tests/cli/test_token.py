"""`token`: tokens made with their owner's password; everybody's seen and ended."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import click
import pytest

from bearer_guard import Keyring
from bearer_guard.cli import token
from bearer_guard.cli.token import Days
from bearer_guard.token import TokenForm
from tests.cli.support import PASSWORD, Cli

CREATE = ("token", "create", "--user", "alice", "--password-stdin", "--days")


def lifetime(info: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(info["expiredAt"]) - datetime.fromisoformat(info["createdAt"])


def verify(cli: Cli, value: str) -> dict[str, Any]:
    result = cli("token", "verify", "--token-stdin", "--json", stdin=f"{value}\n")
    verdict: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if verdict["accepted"] else 1)
    return verdict


def test_only_the_value_goes_to_standard_output(alice: Cli) -> None:
    """So that a shell can keep it."""
    result = alice(*CREATE, "1", stdin=PASSWORD)
    assert result.exit_code == 0
    assert TokenForm().parse(result.stdout.strip().encode()) is not None
    assert result.stdout.count("\n") == 1
    assert result.stdout.strip() not in result.stderr


def test_a_token_is_as_it_was_asked_for(alice: Cli) -> None:
    options = ("--description", "nightly sync", "--scope", "b", "--scope", "a", "--network")
    made = alice.create_token("alice", *options, "192.0.2.0/24", days="0.5")
    info = made["tokenInfo"]
    assert lifetime(info) == timedelta(hours=12)
    assert (info["description"], info["scopes"]) == ("nightly sync", ["a", "b"])
    assert info["networks"] == ["192.0.2.0/24"]
    verdict = verify(alice, made["tokenValue"])
    assert verdict["owner"] == "alice"
    assert {key: verdict[key] for key in info if key != "lastUsed"} == {
        key: value for key, value in info.items() if key != "lastUsed"
    }


@pytest.mark.parametrize("password", ["wrong horse battery", "short"])
def test_it_takes_the_password_of_its_owner(password: str, alice: Cli) -> None:
    alice.add_user("root", "--admin")
    result = alice(*CREATE, "1", stdin=password)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "the name or the password is wrong" in result.stderr
    assert alice.json("token", "list") == {"data": []}


def test_a_disabled_account_makes_none(alice: Cli) -> None:
    alice("user", "disable", "alice")
    assert alice(*CREATE, "1", stdin=PASSWORD).exit_code == 1


def test_who_may_not_generate_is_told_how_to_be_allowed(cli: Cli) -> None:
    cli.add_user("alice")
    result = cli(*CREATE, "1", stdin=PASSWORD)
    assert result.exit_code == 1
    assert "`bearer-guard user set NAME --may-generate`" in result.stderr


def test_a_token_for_ever_needs_a_setting(alice: Cli) -> None:
    assert alice(*CREATE, "-1", stdin=PASSWORD).exit_code == 1
    alice("settings", "set", "allowNonExpiring=true")
    assert alice.create_token("alice", days="-1")["tokenInfo"]["expiredAt"] is None


def test_nothing_is_made_while_tokens_are_switched_off(alice: Cli) -> None:
    value = alice.create_token("alice")["tokenValue"]
    alice("settings", "set", "enabled=false")
    result = alice(*CREATE, "1", stdin=PASSWORD)
    assert result.exit_code == 1
    assert "`bearer-guard settings set enabled=true`" in result.stderr
    assert verify(alice, value)["reason"] == "feature-off"


@pytest.mark.parametrize(
    ("days", "problem"),
    [("0", "must be positive"), ("-3", "-1 for one that never expires"), ("x", "number of days")],
)
def test_what_is_no_lifetime_is_a_usage_error(days: str, problem: str, alice: Cli) -> None:
    result = alice(*CREATE, days, stdin=PASSWORD)
    assert (result.exit_code, problem in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("1", "--description", "x" * 257), "256 characters"),
        (("1", "--scope", "two words"), "a scope has"),
        (("1", "--network", "192.0.2.1/24"), "no CIDR block"),
        (("999999999",), "beyond the year 9999"),
    ],
)
def test_what_no_token_can_be_is_refused(
    options: tuple[str, ...], problem: str, alice: Cli
) -> None:
    result = alice(*CREATE, *options, stdin=PASSWORD)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert alice.json("token", "list") == {"data": []}


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1", timedelta(days=1)),
        ("0.25", timedelta(hours=6)),
        ("0.000011574", timedelta(milliseconds=999)),
        ("-1", None),
    ],
)
def test_a_length_in_days_is_exact(text: str, length: timedelta | None) -> None:
    assert Days(endless=True).convert(text, None, None) == length


@pytest.mark.parametrize(
    "text", ["", "-2", "-1.0", "1e3", "inf", "nan", "+1", " 1", "1 ", ".5", "1.", "1_0", "٣"]
)
def test_anything_else_is_no_length(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Days(endless=True).convert(text, None, None)


def test_an_age_has_no_end() -> None:
    with pytest.raises(click.BadParameter):
        Days(endless=False).convert("-1", None, None)


def test_tokens_are_listed_newest_first_without_their_values(alice: Cli) -> None:
    alice.add_user("bob", "--admin")
    made = [alice.create_token(name) for name in ("alice", "bob", "alice")]
    listed = alice.json("token", "list")["data"]
    assert sorted(row["tokenId"] for row in listed) == sorted(
        one["tokenInfo"]["tokenId"] for one in made
    )
    created = [row["createdAt"] for row in listed]
    assert created == sorted(created, reverse=True)
    assert {row["owner"] for row in alice.json("token", "list", "--user", "bob")["data"]} == {"bob"}
    output = alice("token", "list").output + json.dumps(listed)
    assert not [one for one in made if one["tokenValue"] in output]


def test_the_status_says_what_ends_soon_and_what_has_ended(alice: Cli) -> None:
    ids = {
        days: alice.create_token("alice", days=days)["tokenInfo"]["tokenId"]
        for days in ("0.00000002", "6.9", "7.1")
    }
    rows = re.findall(
        r"([0-9a-f-]{36}) .* (Active|Expired|Expires soon) ", alice("token", "list").stdout
    )
    assert dict(rows) == {
        ids["0.00000002"]: "Expired",
        ids["6.9"]: "Expires soon",
        ids["7.1"]: "Active",
    }
    alice("user", "disable", "alice")
    assert "Account disabled" in alice("token", "show", ids["7.1"]).stdout


def test_one_token_is_shown(alice: Cli) -> None:
    info = alice.create_token("alice", "--description", "[b]x[/b]")["tokenInfo"]
    assert alice.json("token", "show", info["tokenId"]) == info | {"owner": "alice"}
    assert "[b]x[/b]" in alice("token", "show", info["tokenId"]).stdout


def test_a_deleted_token_is_refused_and_gone(alice: Cli) -> None:
    made = alice.create_token("alice")
    token_id = made["tokenInfo"]["tokenId"]
    assert alice("token", "delete", token_id).stderr == f"Deleted the token {token_id}.\n"
    assert verify(alice, made["tokenValue"]) == {
        "accepted": False,
        "reason": "ended",
        "tokenId": token_id,
    }
    assert alice.json("token", "list") == {"data": []}
    for command in ("show", "delete"):
        result = alice("token", command, token_id)
        assert result.exit_code == 1
        assert "`bearer-guard token list`" in result.stderr


def test_what_is_no_id_is_a_usage_error(alice: Cli) -> None:
    assert alice("token", "delete", "nosuch").exit_code == 2


def test_a_good_token_is_accepted_and_that_is_no_use_of_it(alice: Cli) -> None:
    made = alice.create_token("alice")
    result = alice("token", "verify", "--token-stdin", stdin=made["tokenValue"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"accepted: token {made['tokenInfo']['tokenId']} of alice")
    assert alice.json("token", "show", made["tokenInfo"]["tokenId"])["lastUsed"] is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nonsense", "malformed"),
        (TokenForm().mint(uuid4(), Keyring.generate().tag), "forged"),
        ("\x7f\u0000", "malformed"),
    ],
    ids=["words", "forged", "control characters"],
)
def test_a_bad_token_is_refused_with_its_reason(value: str, reason: str, alice: Cli) -> None:
    assert verify(alice, value) == {"accepted": False, "reason": reason, "tokenId": None}
    result = alice("token", "verify", "--token-stdin", stdin=value)
    assert (result.exit_code, result.stdout) == (1, f"refused: {reason}\n")
    assert result.stderr.startswith("bearer-guard: the token is refused")


def test_a_tampered_token_is_refused(alice: Cli) -> None:
    value = alice.create_token("alice")["tokenValue"]
    with closing(sqlite3.connect("bearer-guard.db")) as database, database:
        database.execute("UPDATE tokens SET owner = 'root'")
    assert verify(alice, value)["reason"] == "tampered"


def test_a_tampered_record_can_be_ended_and_taken_out(alice: Cli) -> None:
    made = [alice.create_token("alice")["tokenInfo"]["tokenId"] for _ in range(2)]
    with closing(sqlite3.connect("bearer-guard.db")) as database, database:
        database.execute("UPDATE tokens SET scopes = '5' WHERE id = ?", (UUID(made[0]).bytes,))
    assert "`bearer-guard token delete ID`" in alice("store", "check").stdout
    result = alice("token", "delete", made[0])
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: the record was changed")
    assert alice.json("token", "purge") == {"purged": 1}
    assert alice("store", "check").exit_code == 0
    assert "Warning" not in alice("token", "delete", made[1]).stderr


def test_no_command_takes_a_token_as_an_argument(alice: Cli) -> None:
    value = alice.create_token("alice")["tokenValue"]
    for args in (("verify",), ("verify", "--token"), ("delete",), ("list", "--user", "a"), ()):
        result = alice("token", *args, value)
        assert result.exit_code == 2
        assert value not in result.output
    assert value not in alice("token", "purge", "--older-than", value).output
    assert value not in alice("token", "verify", f"--{value}").output
    assert value not in alice(value).output
    assert value[:-1] not in alice("token", "verify", value[:-1]).output


def test_a_purge_deletes_what_ended_and_nothing_else(
    alice: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token, "_CHUNK", 2)
    live = alice.create_token("alice")["tokenInfo"]["tokenId"]
    deleted = [alice.create_token("alice")["tokenInfo"]["tokenId"] for _ in range(3)]
    for token_id in deleted:
        alice("token", "delete", token_id)
    alice.create_token("alice", days="0.00000002")
    assert alice.json("token", "purge", "--older-than", "1") == {"purged": 0}
    assert alice.json("token", "purge") == {"purged": 4}
    assert [row["tokenId"] for row in alice.json("token", "list")["data"]] == [live]
    assert alice("token", "purge").stderr == "Purged 0 records.\n"
