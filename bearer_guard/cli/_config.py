"""Where the values of options come from: the command line, the environment, ``bearer-guard.toml``.

``store = …`` at the top of the file sets ``--store`` of every command, ``[serve] port = …`` an
option of one. What stands there must mean something: with a typo, a setting would silently not
hold.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from bearer_guard.errors import ConfigurationError

from ._logins import check_logins

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_FILE", "TopOption", "check_config", "defaults_of", "read_config"]

DEFAULT_FILE: Final = "bearer-guard.toml"


class TopOption(click.Option):
    """An option that is known without its command's name.

    ``--store`` may stand before the command, as ``BEARER_GUARD_STORE`` in the environment, and as
    ``store`` at the top of the file. With the command's name it counts more:
    ``BEARER_GUARD_SERVE_PORT`` over ``BEARER_GUARD_PORT``.
    """

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """What the environment says."""
        short = os.environ.get(f"BEARER_GUARD_{self.name.upper()}" if self.name else "", "")
        if short.startswith("tcp://"):
            short = ""  # Kubernetes sets BEARER_GUARD_PORT so for a service called bearer-guard
        return super().resolve_envvar_value(ctx) or short or None

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, click.Parameter]
    ) -> tuple[Any, ParameterSource]:
        """The value, and where it is from."""
        value, source = super().consume_value(ctx, opts)
        given = ctx.find_root().params.get(self.name or "")
        if given and source is not ParameterSource.COMMANDLINE:
            return given, ParameterSource.COMMANDLINE
        return value, source

    def before_the_command(self) -> click.Option:
        """The same option, to stand before the command; the command's own looks for it there."""
        return click.Option(
            self.opts,
            metavar=self.metavar,
            is_flag=self.is_flag,
            default=None,
            allow_from_autoenv=False,
            help=self.help,
        )


def read_config(given: str | None) -> tuple[str, dict[str, Any]]:
    """The file's path, and what it says: nothing where none is named and there is none here.

    Raises:
        ConfigurationError: It can't be read.
    """
    path = given or DEFAULT_FILE
    try:
        return path, tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        if given is None:
            return path, {}
        raise ConfigurationError(f"there is no file {path}: name another with --config") from None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


def check_config(path: str, file: Mapping[str, Any], root: click.Context) -> None:
    """Make sure that everything in the file means something.

    Raises:
        ConfigurationError: A key is unknown, or its value can't be. The message names it.
    """
    options = _top_options(root.command, root) if file else {}
    try:
        check_logins(file.get("logins", {}))
        others = {key: value for key, value in file.items() if key != "logins"}
        _check_table(others, options, root.command, root, "")
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def defaults_of(file: Mapping[str, Any], ctx: click.Context) -> dict[str, Any]:
    """The defaults of one command's options: those known without its name, then its own."""
    table = file
    for name in ctx.command_path.split()[1:]:
        table = table.get(name, {})
        table = table if isinstance(table, dict) else {}  # `store` is a command and an option
    names = {option.name for option in ctx.command.params if isinstance(option, TopOption)}
    top = {key: value for key, value in file.items() if key in names}
    return {key: value for key, value in top.items() if not isinstance(value, dict)} | dict(table)


def _check_table(
    table: Mapping[str, Any],
    options: Mapping[str, click.Option],
    command: click.Command,
    ctx: click.Context,
    above: str,
) -> None:
    for key, value in table.items():
        name = f"{above}{key}"
        below = command.get_command(ctx, key) if isinstance(command, click.Group) else None
        if below is not None and isinstance(value, dict):
            _check_table(value, _options(below), below, ctx, f"{name}.")
        elif key in options:
            _check_value(options[key], value, name, ctx)
        else:
            raise ConfigurationError(f"unknown key {name}")


def _check_value(option: click.Option, value: object, name: str, ctx: click.Context) -> None:
    """Refuse what click would make something of: the letters of a text, a number from a flag."""
    kinds, wanted = _kinds(option)
    values = value if option.multiple and isinstance(value, list) else [value]
    several = option.multiple == isinstance(value, list)
    if not several or any(
        not isinstance(one, kinds) or (isinstance(one, bool) and not option.is_flag)
        for one in values
    ):
        raise ConfigurationError(f"{name} must be {'a list' if option.multiple else wanted}")
    try:
        option.type_cast_value(ctx, value)
    except click.BadParameter as error:
        raise ConfigurationError(f"{name}: {error.message}") from error


def _kinds(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The types that a value of the file may have, and what that is called."""
    if option.is_flag:
        return (bool,), "true or false"
    if isinstance(option.type, click.types.IntParamType):
        return (str, int), "a whole number"
    return (str, int, float), "one value"


def _options(command: click.Command) -> dict[str, click.Option]:
    return {
        option.name: option
        for option in command.params
        if isinstance(option, click.Option) and option.name and option.expose_value
    }


def _top_options(command: click.Command, ctx: click.Context) -> dict[str, click.Option]:
    if not isinstance(command, click.Group):
        own = _options(command).items()
        return {name: option for name, option in own if isinstance(option, TopOption)}
    found: dict[str, click.Option] = {}
    for name in command.list_commands(ctx):
        below = command.get_command(ctx, name)
        found |= {} if below is None else _top_options(below, ctx)
    return found
