"""What all commands share: options, coroutines that are run, errors that become an exit status."""

from __future__ import annotations

import asyncio
import inspect
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

import click
from click.core import ParameterSource

from bearer_guard.errors import (
    BearerGuardError,
    ConfigurationError,
    FeatureOff,
    IssueRefused,
    KeyringError,
    LifetimeTooLong,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from bearer_guard.keyring import ENV_KEYS

from ._config import TopOption, check_config, defaults_of, read_config
from ._workplace import Place, beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SHARED", "Command", "Failure", "as_failures", "refuse"]

REFUSED: Final = 1
_DEFAULT_STORE: Final = "sqlite:///bearer-guard.db"
_STATUS: Final[dict[type[BearerGuardError], int]] = {
    IssueRefused: REFUSED,
    ConfigurationError: 2,
    KeyringError: 2,
    StoreUnavailable: 3,
}
# What to do about it, where the error itself can't know that there is a command for it. The
# nearest class in the error's line of descent counts.
_ADVICE: Final[dict[type[BaseException], str]] = {
    LifetimeTooLong: "; ask for less, or change the limit with `bearer-guard settings set`",
    FeatureOff: "; `bearer-guard settings set enabled=true` switches them on",
    NotAllowed: "; `bearer-guard user set NAME --may-generate` allows it",
    StoreUnavailable: "; make sure that the store runs and can be reached, or name another with"
    " --store",
    BearerGuardError: "",
}
_LOGINS: Final = "bearer_guard.logins"  # in ``Context.meta``


class Failure(click.ClickException):
    """Ends the command with one sentence on standard error, and an exit status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.exit_code = status  # type: ignore[misc] # click reads it from the instance

    def show(self, file: IO[str] | None = None) -> None:
        """Print the sentence."""
        click.echo(f"bearer-guard: {self.format_message()}", file=file, err=file is None)


def refuse(sentence: str) -> NoReturn:
    """End the command: what was asked for is refused."""
    raise Failure(sentence, REFUSED)


@contextmanager
def as_failures(not_found: str = "") -> Iterator[None]:
    """Turn our own errors into ``Failure``; all others are bugs, and keep their traceback.

    Args:
        not_found: What to do where the error is ``NotFound``.
    """
    try:
        yield
    except BearerGuardError as error:
        kinds = type(error).__mro__
        status = next(_STATUS[kind] for kind in kinds if kind in _STATUS)
        advice = next(_ADVICE[kind] for kind in kinds if kind in _ADVICE)
        if isinstance(error, NotFound) and not_found:
            advice = f"; {not_found}"
        raise Failure(f"{error}{advice}", status) from error


def _read_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Read the file before the other options are looked at: it has their defaults."""
    del param
    if ctx.resilient_parsing:
        return
    with as_failures():
        path, file = read_config(value)
        check_config(path, file, ctx.find_root())
    ctx.default_map = defaults_of(file, ctx)
    ctx.meta[_LOGINS] = file.get("logins", {})


SHARED: Final[dict[str, TopOption]] = {
    "store": TopOption(
        ["--store"],
        metavar="URL",
        default=_DEFAULT_STORE,
        show_default=True,
        help="Which store: memory://, sqlite:///PATH, postgresql://…, mysql://… or redis://….",
    ),
    "keys_file": TopOption(
        ["--keys-file"],
        metavar="PATH",
        help="Where the keys are, unless BEARER_GUARD_KEYS has them itself; by default"
        " bearer-guard.keys beside the database.",
    ),
    "json": TopOption(["--json"], is_flag=True, help="Print JSON, named as in the HTTP API."),
    "config": TopOption(
        ["--config"],
        metavar="PATH",
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="The file with settings; by default bearer-guard.toml, where there is one.",
    ),
}


class Command(click.Command):
    """A command. Its function may be a coroutine; it is run.

    Args:
        example: A line to paste.
        place: It works on a store: it has the options for one, and its function gets a ``Place``.
        prints: It prints something that a program could want: it has ``--json``.
        not_found: What to do where something is not there.
    """

    def __init__(
        self,
        name: str | None,
        *,
        example: str,
        place: bool = True,
        prints: bool = True,
        not_found: str = "",
        params: Sequence[click.Parameter] = (),
        **attributes: object,
    ) -> None:
        wanted = {"store": place, "keys_file": place, "json": prints, "config": True}
        own = {param.name for param in params}  # the store may be an argument
        shared = [SHARED[name] for name, wants in wanted.items() if wants and name not in own]
        super().__init__(
            name,
            params=[*params, *shared],
            epilog=f"\b\nExample:\n  {example}",
            **attributes,  # type: ignore[arg-type] # click's own names and types
        )
        self._not_found: Final = not_found

    def invoke(self, ctx: click.Context) -> object:
        """Call the function, and await it where that is what it asks for."""
        with as_failures(self._not_found):
            if "keys_file" in ctx.params:
                ctx.params["place"] = _place(ctx)
            result = super().invoke(ctx)
            return asyncio.run(result) if inspect.iscoroutine(result) else result


def _place(ctx: click.Context) -> Place:
    url, path = ctx.params.pop("store"), ctx.params.pop("keys_file")
    by_option = ctx.get_parameter_source("keys_file") is ParameterSource.COMMANDLINE
    return Place(
        store_url=url,
        keys_file=Path(path) if path else beside(url),
        keys_text=None if by_option else os.environ.get(ENV_KEYS),
        logins=ctx.meta.get(_LOGINS, {}),
    )
