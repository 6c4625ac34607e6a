"""``bearer-guard demo``: the whole service on one machine, to be tried."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import click

from bearer_guard.errors import ConfigurationError

from ._command import Command
from ._config import TopOption
from ._extras import check_extras
from ._workplace import Place, operator
from .init import make

if TYPE_CHECKING:
    from bearer_guard.issuing.accounts import Accounts

__all__ = ["demo"]

_HOST: Final = "127.0.0.1"
_SAMPLE: Final = "bearer_guard.cli._sample:app"


@click.command(
    "demo", cls=Command, place=False, prints=False, example="bearer-guard demo --port 8000"
)
@click.option(
    "--port",
    cls=TopOption,
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="Where to listen, on this machine only.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to keep everything; by default it is gone with the demo.",
)
def demo(*, port: int, folder: Path | None) -> None:
    """Serve a sample API behind the guard, and print lines to paste.

    On SQLite, with an administrator and a user whose passwords are new with each start.
    """
    from ._serving import check_address, run  # noqa: PLC0415 - it loads Starlette

    check_extras("sqlite:", "server", "page")
    check_address(_HOST, port)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="bearer-guard-")))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{folder} can't be made: {error.strerror}") from error
        place = Place(
            store_url=f"sqlite:///{quote(str((folder / 'demo.db').absolute()))}",
            keys_file=folder / "bearer-guard.keys",
        )
        passwords = asyncio.run(_populate(place))
        click.echo(_lines_to_paste(f"http://{_HOST}:{port}", **passwords))
        run(_arguments(place), host=_HOST, port=port, workers=1)


def _arguments(place: Place) -> list[str]:
    """What the worker serves: the command line that one could write oneself."""
    return [
        "serve",
        _SAMPLE,
        "--exempt=/",
        "--prefix=/v4",
        f"--store={place.store_url}",
        f"--keys-file={place.keys_file}",
        f"--config={os.devnull}",  # what stands in the working directory is not the demo's
    ]


async def _populate(place: Place) -> dict[str, str]:
    """Make the accounts, or give those that are there new passwords; returns them by name."""
    await make(place)
    passwords = {"admin": secrets.token_urlsafe(12), "alice": secrets.token_urlsafe(12)}
    async with place.open() as at:
        for name, password in passwords.items():
            await _put(at.accounts(), name, password)
    return passwords


async def _put(accounts: Accounts, name: str, password: str) -> None:
    admin = name == "admin"
    known = {account.name for account in await accounts.list(operator())}
    put = accounts.change if name in known else accounts.add
    await put(operator(), name, password=password, admin=admin, may_generate=True)


def _lines_to_paste(url: str, *, admin: str, alice: str) -> str:
    tokens = f"{url}/v4/apiAccessTokens"
    return f"""\
A sample API behind the guard: {url}
The Access Tokens page: {url}/access-tokens

  administrator   admin   {admin}
  user            alice   {alice}

Paste these into another terminal.

# A name and a password make a token. Its value is shown this once.
answer=$(curl -s -u 'alice:{alice}' -H 'Content-Type: application/json' \\
  -d '{{"lifetimeSeconds": 3600, "description": "demo"}}' {tokens}); echo "$answer"
token=$(echo "$answer" | sed 's/.*"tokenValue": "\\([^"]*\\)".*/\\1/')
id=$(echo "$answer" | sed 's/.*"tokenId": "\\([^"]*\\)".*/\\1/')

# Use it.
curl -s -H "Authorization: Bearer $token" {url}/whoami; echo
curl -s -H "Authorization: Bearer $token" -X POST {url}/v4/jobGroups; echo
curl -s -H "Authorization: Bearer $token" {url}/v4/jobGroups/1/status; echo

# List all tokens of the user, and delete this one.
curl -s -H "Authorization: Bearer $token" {tokens}; echo
curl -s -H "Authorization: Bearer $token" -X DELETE {tokens}/$id

# It is refused now.
curl -s -i -H "Authorization: Bearer $token" {url}/whoami; echo

Stop with Ctrl-C.
"""
