"""What all commands share: options, coroutines that are run, errors that become an exit status."""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import os
import re
from contextlib import contextmanager, suppress
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
from ._terminal import note
from ._workplace import NoDatabase, Place, beside, is_exposed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "ASKED",
    "DEFAULT_STORE",
    "SHARED",
    "TOKEN",
    "Command",
    "Failure",
    "as_failures",
    "refuse",
    "told",
]

ASKED: Final = "bearer_guard.json"  # in ``Context.meta``: whether JSON is asked for
# Of any prefix, and whatever stands around it.
TOKEN: Final = re.compile(r"[a-z][a-z0-9]{0,15}_[0-9A-Za-z]{71}")
REFUSED: Final = 1
_MACHINE: Final = 2  # a full disk, a working directory that is gone
DEFAULT_STORE: Final = "sqlite:///bearer-guard.db"
_CODES: Final = {1: "refused", 2: "usage", 3: "unavailable"}
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
    NoDatabase: "; `bearer-guard init` makes one, or name another with --store",
    StoreUnavailable: "; make sure that the store runs and can be reached, or name another with"
    " --store",
    BearerGuardError: "",
}
_LOGINS: Final = "bearer_guard.logins"  # in ``Context.meta``
_FAILURES: Final = (
    "on failure, standard error ends with a line of JSON: error (refused, usage or unavailable) and"
    " error_description."
)


class Failure(click.ClickException):
    """Ends the command with one sentence on standard error, and an exit status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.exit_code = status  # type: ignore[misc] # click reads it from the instance

    def show(self, file: IO[str] | None = None) -> None:
        """Print the sentence."""
        click.echo(f"bearer-guard: {self.format_message()}", file=file, err=file is None)


class _JsonFailure(click.ClickException):
    """Ends the command with a line of JSON on standard error, as the HTTP API would say it."""

    def __init__(self, failure: click.ClickException) -> None:
        super().__init__(failure.format_message())
        self.exit_code = failure.exit_code  # type: ignore[misc] # as above

    def show(self, file: IO[str] | None = None) -> None:
        """Print the line."""
        said = {"error": _CODES[self.exit_code], "error_description": self.message}
        click.echo(json.dumps(said, ensure_ascii=False), file=file, err=file is None)


@contextmanager
def told(ctx: click.Context) -> Iterator[None]:
    """Let failures say nothing that is a token, and say it in JSON where that is asked for."""
    try:
        yield
    except click.ClickException as failure:
        failure.message = TOKEN.sub(  # type: ignore[misc] # it shows what the instance has
            "(a token)", failure.message
        )
        if ctx.meta.get(ASKED) and not isinstance(failure, click.exceptions.NoArgsIsHelpError):
            raise _JsonFailure(failure) from failure
        raise


def refuse(sentence: str) -> NoReturn:
    """End the command: what was asked for is refused."""
    raise Failure(sentence, REFUSED)


@contextmanager
def as_failures(not_found: str = "") -> Iterator[None]:
    """Turn our own errors into ``Failure``, and what the machine refuses.

    All others are bugs, and keep their traceback. Output that nobody reads any more is click's to
    end.

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
    except OSError as error:
        if error.errno in {None, errno.EPIPE}:
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{where}{error.strerror}", _MACHINE) from error


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


def _note_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's
    del param
    ctx.meta[ASKED] = value
    return value


SHARED: Final[dict[str, TopOption]] = {
    "store": TopOption(
        ["--store"],
        metavar="URL",
        default=DEFAULT_STORE,
        show_default=True,
        help="Which store: memory://, sqlite:///PATH, postgresql://…, mysql://… or redis://….",
    ),
    "keys_file": TopOption(
        ["--keys-file"],
        metavar="PATH",
        help="Where the keys are, unless BEARER_GUARD_KEYS has them itself; by default"
        " bearer-guard.keys beside the database.",
    ),
    "config": TopOption(
        ["--config"],
        metavar="PATH",
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="The file with settings; by default bearer-guard.toml, where there is one.",
    ),
    "json": TopOption(
        ["--json"],
        is_flag=True,
        is_eager=True,  # but after the file: what is wrong with other options is said in JSON too
        callback=_note_json,
        help=f"Print JSON, named as in the HTTP API; {_FAILURES}",
    ),
}
_PLACE: Final = (SHARED["store"], SHARED["keys_file"])
# Of commands that print nothing that a program could want, and may yet be run by one.
_JSON_FAILURES: Final = TopOption(
    ["--json"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_note_json,
    help=f"{_FAILURES[0].upper()}{_FAILURES[1:]}",
)


class Command(click.Command):
    """A command. Its function may be a coroutine; it is run.

    Args:
        example: A line to paste.
        place: It works on a store: it has the options for one, and its function gets a ``Place``.
        prints: It prints something that a program could want: its function is told of ``--json``,
            which is about failures alone in the others.
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
        json = SHARED["json"] if prints else _JSON_FAILURES
        wanted = [*(_PLACE if place else ()), SHARED["config"], json]
        own = {param.name for param in params}  # the store may be an argument
        shared = [option for option in wanted if option.name not in own]
        super().__init__(
            name,
            params=[*params, *shared],
            epilog=f"\b\nExample:\n  {example}",
            **attributes,  # type: ignore[arg-type] # click's own names and types
        )
        self._not_found: Final = not_found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse arguments that are too many, and don't repeat them: they may be secrets."""
        ctx.allow_extra_args = True
        surplus = super().parse_args(ctx, args)
        if surplus and not ctx.resilient_parsing:
            ctx.fail("There are too many arguments; passwords and tokens are never arguments.")
        return surplus

    def invoke(self, ctx: click.Context) -> object:
        """Call the function, and await it where that is what it asks for."""
        with as_failures(self._not_found):
            if "keys_file" in ctx.params:
                place = ctx.params["place"] = _place(ctx)
                if ctx.obj is None:  # workers leave it to the command that started them
                    _warn(place)
            result = super().invoke(ctx)
            return asyncio.run(result) if inspect.iscoroutine(result) else result


def _warn(place: Place) -> None:
    with suppress(OSError):  # whoever reads the file says what is wrong with it
        if not place.keys_text and is_exposed(place.keys_file):
            note(f"Warning: others can read {place.keys_file}: chmod 600 {place.keys_file}")


def _place(ctx: click.Context) -> Place:
    url, path = ctx.params.pop("store"), ctx.params.pop("keys_file")
    by_option = ctx.get_parameter_source("keys_file") is ParameterSource.COMMANDLINE
    return Place(
        store_url=url,
        keys_file=Path(path) if path else beside(url),
        keys_text=None if by_option else os.environ.get(ENV_KEYS),
        logins=ctx.meta.get(_LOGINS, {}),
    )
