"""`settings`: the workspace's policy."""

from datetime import timedelta

import click
import pytest

from bearer_guard.cli.settings import parse_changes
from tests.cli.support import Cli

NEW = {
    "enabled": True,
    "usersMayGenerate": False,
    "maxLifetimeDays": -1,
    "allowNonExpiring": False,
}


def test_the_settings_of_a_new_store(cli: Cli) -> None:
    assert cli.json("settings", "show") == NEW
    table = cli("settings", "show").stdout
    assert "-1 (unlimited)" in table


def test_what_is_set_is_changed_and_the_rest_stays(cli: Cli) -> None:
    changed = cli.json("settings", "set", "maxLifetimeDays=1", "users_may_generate=true")
    assert changed == NEW | {"maxLifetimeDays": 1, "usersMayGenerate": True}
    assert cli.json("settings", "show") == changed
    rows = [line.split() for line in cli("settings", "show").stdout.splitlines()]
    assert ["maxLifetimeDays", "1"] in rows
    assert cli.json("settings", "set", "maxLifetimeDays=-1", "enabled=false") == NEW | {
        "enabled": False,
        "usersMayGenerate": True,
    }


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("enabled=false", {"enabled": False}),
        ("usersMayGenerate=true", {"users_may_generate": True}),
        ("users_may_generate=true", {"users_may_generate": True}),
        ("maxLifetimeDays=90", {"max_lifetime": timedelta(days=90)}),
        ("max_lifetime_days=-1", {"max_lifetime": None}),
        ("allowNonExpiring=true", {"allow_non_expiring": True}),
    ],
)
def test_a_setting_is_named_in_either_spelling(text: str, changes: dict[str, object]) -> None:
    assert parse_changes([text]) == changes


@pytest.mark.parametrize(
    "texts",
    [
        ["enabled"],
        ["=true"],
        ["Enabled=true"],
        ["enabled=True"],
        ["enabled=1"],
        ["enabled=yes"],
        ["enabled= true"],
        ["enabled="],
        ["users-may-generate=true"],
        ["users_mayGenerate=true"],
        ["maxLifetimeDays=0"],
        ["maxLifetimeDays=-2"],
        ["maxLifetimeDays=1.5"],
        ["maxLifetimeDays=+1"],
        ["maxLifetimeDays=1_0"],
        ["maxLifetimeDays=٣"],
        ["maxLifetimeDays=9999999999"],
        ["max_lifetime=90"],
        ["enabled=true", "enabled=false"],
        ["maxLifetimeDays=1", "max_lifetime_days=2"],
    ],
)
def test_anything_else_is_a_usage_error(texts: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse_changes(texts)


def test_nothing_is_half_done(cli: Cli) -> None:
    assert cli("settings", "set", "usersMayGenerate=true", "nosuch=1").exit_code == 2
    assert cli.json("settings", "show") == NEW


def test_a_limit_holds_for_new_tokens(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    cli.json("settings", "set", "maxLifetimeDays=30")
    args = ("token", "create", "--user", "alice", "--password-stdin", "--days")
    assert cli(*args, "30", stdin="correct horse battery").exit_code == 0
    beyond = cli(*args, "30.00001", stdin="correct horse battery")
    assert beyond.exit_code == 1
    assert "the limit is 30 days" in beyond.stderr
