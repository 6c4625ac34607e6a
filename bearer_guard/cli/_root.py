"""The command itself: which subcommands there are, loaded when they are asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import click

from ._command import ASKED, SHARED, told

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LazyGroup", "root"]

_COMMANDS: Final = {
    "demo": "bearer_guard.cli.demo:demo",
    "init": "bearer_guard.cli.init:init",
    "serve": "bearer_guard.cli.serve:serve",
    "forward-auth": "bearer_guard.cli.forward_auth:forward_auth",
    "user": "bearer_guard.cli.user:user",
    "token": "bearer_guard.cli.token:token",
    "directory": "bearer_guard.cli.directory:directory",
    "settings": "bearer_guard.cli.settings:settings",
    "keys": "bearer_guard.cli.keys:keys",
    "store": "bearer_guard.cli.store:store",
    "scan": "bearer_guard.cli.scan:scan",
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are asked for.

    Args:
        lazy: Where each is, as ``module:name``, in the order of the help.
    """

    def __init__(self, name: str, *, lazy: Mapping[str, str], **attributes: object) -> None:
        super().__init__(name, **attributes)  # type: ignore[arg-type] # click's own names and types
        self._lazy: Final = lazy

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command; ``args`` is the whole command line."""
        ctx.meta[ASKED] = "--json" in args
        with told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Call the command."""
        with told(ctx):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        del ctx
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand; ``None``: there is none of this name."""
        del ctx
        if cmd_name not in self._lazy:
            return None
        module, _, name = self._lazy[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command


root: Final = LazyGroup(
    "bearer-guard",
    lazy=_COMMANDS,
    help="""Personal API access tokens: issue them, end them, guard an ASGI application with them.

    Every option may also stand in the environment, as BEARER_GUARD_… (the names of the command
    and of the option follow, BEARER_GUARD_SERVE_PORT), or in bearer-guard.toml: option over
    environment over file.

    Exit status: 0 done, 1 refused, 2 usage or configuration, 3 store unavailable.
    """,
    epilog="\b\nBegin with one of:\n  bearer-guard demo\n  bearer-guard init",
    params=[option.before_the_command() for option in SHARED.values()],
    context_settings={
        "auto_envvar_prefix": "BEARER_GUARD",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
click.version_option(package_name="bearer-guard")(root)
