"""``bearer-guard directory``: ends the tokens of people who have left the directory."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

import click

from bearer_guard.errors import ConfigurationError

from ._command import Command, Failure, refuse
from ._logins import account_store, directory_of, note_store
from ._terminal import counted, note, print_json, print_table

if TYPE_CHECKING:
    from bearer_guard.events import Listener
    from bearer_guard.issuing.sweep import Sweep, Swept

    from ._workplace import Place, Workplace

__all__ = ["directory"]

_NO_ANSWER: Final = 3  # the exit status of a store that does not answer
_EVERY: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}


class _Every(click.ParamType[float]):
    """A time between two sweeps: seconds, of a text such as ``30m``, ``1h``, ``1d``."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds."""
        if isinstance(value, float):
            return value  # click converts its own results, too
        found = _EVERY.fullmatch(str(value))
        if found is None:
            self.fail("say how often: 30m, 1h, 1d", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


@click.group()
def directory() -> None:
    """The directory of [logins.ldap]: who has left it."""


@directory.command("sweep", cls=Command, example="bearer-guard directory sweep --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would be ended.")
@click.option("--force", is_flag=True, help="Also where most people have left at once.")
@click.option(
    "--every",
    type=_Every(),
    metavar="TIME",
    help="Sweep at once, and again after each 30m, 1h, 1d. Runs until it is stopped, and logs what"
    " it does.",
)
async def sweep(
    place: Place, *, dry_run: bool, force: bool, every: float | None, json: bool
) -> None:
    """End tokens and sessions of those who are gone from the directory, or disabled in it.

    That can't be undone. Whom the directory never knew is left alone, and so are native accounts
    with a password. A directory that does not answer ends nothing (exit status 3). More than ten
    owners, and more than half of the directory's people here, look like a mistake: nothing is ended
    then without --force (exit status 1).
    """
    if every is not None and (dry_run or force or json):
        raise click.UsageError("--every goes with none of --dry-run, --force, --json.")
    async with place.open() as at:
        if every is not None:
            await _sweep_every(at, every)
        swept = await _sweep_once(at, dry_run=dry_run, force=force)
    if json:
        print_json(_as_json(swept))
    else:
        _print(swept)
    if swept.too_many and not (swept.done or dry_run):
        refuse(
            f"nothing is ended: {_left(swept)} of {swept.owners} owners at once look like a mistake"
            " in a setting; look at who they are, and if it is none, --force"
        )


def _sweep(at: Workplace, *listeners: Listener) -> Sweep:
    from bearer_guard.issuing.sweep import Sweep  # noqa: PLC0415 - not for --help

    if "ldap" not in at.logins:
        raise ConfigurationError(
            "there is no directory: the file with settings has no [logins.ldap]"
        )
    return Sweep(
        at.store,
        account_store(at.store),
        note_store(at.store),
        directory_of(at.store, at.logins["ldap"]),
        listeners=listeners,
    )


async def _sweep_once(at: Workplace, *, dry_run: bool, force: bool) -> Swept:
    from bearer_guard.issuing.logins._people import (  # noqa: PLC0415 - not for --help
        DirectoryUnavailable,
    )

    try:
        return await _sweep(at).run(dry_run=dry_run, force=force)
    except DirectoryUnavailable as error:
        raise Failure(f"{error}; nothing is ended: try again later", _NO_ANSWER) from error


async def _sweep_every(at: Workplace, seconds: float) -> None:
    """Sweep until the process is ended. The audit goes to standard error, with what is amiss."""
    from bearer_guard.events import log_event  # noqa: PLC0415 - with _sweep

    logger = logging.getLogger("bearer_guard")
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.INFO)
    await _sweep(at, log_event).every(seconds)


def _as_json(swept: Swept) -> dict[str, object]:
    return {
        "owners": swept.owners,
        "gone": swept.gone,
        "disabled": swept.disabled,
        "strangers": swept.strangers,
        "tokens": swept.tokens,
        "done": swept.done,
        "tooMany": swept.too_many,
    }


def _print(swept: Swept) -> None:
    rows = [(owner, "gone") for owner in swept.gone]
    rows += [(owner, "disabled") for owner in swept.disabled]
    if rows:
        print_table(("Owner", "In the directory"), rows)
    verb = "Ended" if swept.done else "Would end"
    note(
        f"{verb} {counted(swept.tokens, 'token')} of {_left(swept)} who have left."
        f" Asked about {counted(swept.owners, 'owner')};"
        f" {len(swept.strangers)} the directory never knew."
    )


def _left(swept: Swept) -> int:
    return len(swept.gone) + len(swept.disabled)
