"""``bearer-guard settings``: the workspace's policy."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from bearer_guard.endpoints._format import settings_json

from ._command import Command
from ._terminal import print_json, print_table
from ._workplace import operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bearer_guard.issuing.issuer import SettingsChange
    from bearer_guard.policy import Policy

    from ._workplace import Place

__all__ = ["parse_changes", "settings"]

_UNLIMITED: Final = -1


@click.group()
def settings() -> None:
    """The workspace's settings: who may have tokens, and for how long."""


@settings.command("show", cls=Command, example="bearer-guard settings show --json")
async def show(place: Place, *, json: bool) -> None:
    """Show the settings."""
    async with place.open() as at:
        _print(await at.store.policy(), json=json)


@settings.command(
    "set",
    cls=Command,
    example="bearer-guard settings set maxLifetimeDays=90 usersMayGenerate=true",
)
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
async def set_(place: Place, *, changes: tuple[str, ...], json: bool) -> None:
    """Change settings; every process obeys within its bound.

    \b
    enabled            true or false: tokens work at all
    usersMayGenerate   true or false: all users may make tokens
    maxLifetimeDays    of new tokens; -1: unlimited
    allowNonExpiring   true or false: new tokens may never expire
    """  # noqa: D301 - click's mark for lines that are not to be folded
    wanted = parse_changes(changes)
    async with place.open(new=True) as at:
        policy = await at.issuer().change_settings(operator(), **wanted)
    _print(policy, json=json)


def parse_changes(texts: Iterable[str]) -> SettingsChange:
    """The settings that ``KEY=VALUE`` texts name, as in the HTTP API or with underscores.

    Raises:
        click.UsageError: A key is unknown or stands twice, or a value is none.
    """
    changes: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or _snake(key) not in _KEYS:
            raise click.UsageError(f"{key!r} is no setting: KEY=VALUE, KEY one of {_NAMES}.")
        field, read = _KEYS[_snake(key)]
        if field in changes:
            raise click.UsageError(f"{key} stands twice.")
        changes[field] = read(key, value)
    return changes  # type: ignore[return-value] # the table has its names and types


def _flag(key: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise click.UsageError(f"{key} must be true or false.")
    return text == "true"


def _days(key: str, text: str) -> timedelta | None:
    days = int(text) if re.fullmatch(r"-1|[0-9]{1,9}", text, re.ASCII) else 0
    if days == _UNLIMITED:
        return None
    if not 0 < days <= timedelta.max.days:
        raise click.UsageError(f"{key} must be a whole number of days, or -1 for no limit.")
    return timedelta(days=days)


_KEYS: Final[dict[str, tuple[str, Callable[[str, str], object]]]] = {
    "enabled": ("enabled", _flag),
    "users_may_generate": ("users_may_generate", _flag),
    "max_lifetime_days": ("max_lifetime", _days),
    "allow_non_expiring": ("allow_non_expiring", _flag),
}
_NAMES: Final = "enabled, usersMayGenerate, maxLifetimeDays, allowNonExpiring"


def _snake(key: str) -> str:
    """``usersMayGenerate`` as ``users_may_generate``; what has underscores stays as it is."""
    return key if "_" in key else re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", key)


def _print(policy: Policy, *, json: bool) -> None:
    values = settings_json(policy)
    if json:
        print_json(values)
        return
    print_table(("Setting", "Value"), [(key, _word(value)) for key, value in values.items()])


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-1 (unlimited)" if value == _UNLIMITED else f"{value}"
