"""``bearer-guard user``: native accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bearer_guard.endpoints._format import account_json

from ._command import Command, refuse
from ._terminal import note, print_json, print_table, read_secret
from ._workplace import operator

if TYPE_CHECKING:
    from bearer_guard.issuing.accounts import AccountFlags
    from bearer_guard.store import Account

    from ._workplace import Place

__all__ = ["user"]

_NOT_FOUND = "`bearer-guard user list` shows those that there are"
_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@click.group()
def user() -> None:
    """Native accounts: who may log in, and what they may do."""


@user.command(
    "add",
    cls=Command,
    example="bearer-guard user add alice --may-generate",
)
@click.argument("name")
@click.option("--admin", is_flag=True, help="Sees and ends everybody's tokens, changes settings.")
@click.option("--may-generate", is_flag=True, help="Makes tokens where the settings don't let all.")
@_password_stdin
@click.option("--no-password", is_flag=True, help="For somebody who logs in by a directory.")
async def add(
    place: Place,
    *,
    name: str,
    admin: bool,
    may_generate: bool,
    password_stdin: bool,
    no_password: bool,
    json: bool,
) -> None:
    """Make an account. Asks for its password."""
    from bearer_guard.issuing.accounts import NameTaken  # noqa: PLC0415 - it loads Argon2

    place.keyring()  # before anybody types a password for nothing
    password = None
    if not no_password:
        password = read_secret(f"Password of {name}", stdin=password_stdin, new=True)
    async with place.open(new=True) as at:
        try:
            account = await at.accounts().add(
                operator(), name, password=password, admin=admin, may_generate=may_generate
            )
        except NameTaken as error:
            refuse(f"{error}; `bearer-guard user set` and `user password` change it")
    _done(account, f"Made the account {account.name}.", json=json)


@user.command("list", cls=Command, example="bearer-guard user list --json")
async def list_(place: Place, *, json: bool) -> None:
    """Show all accounts."""
    async with place.open() as at:
        accounts = await at.accounts().list(operator())
    if json:
        print_json({"data": [account_json(account) for account in accounts]})
    else:
        print_table(
            ("Name", "Administrator", "May generate", "Disabled"),
            [(a.name, _yes(a.admin), _yes(a.may_generate), _yes(a.disabled)) for a in accounts],
        )


@user.command(
    "set", cls=Command, example="bearer-guard user set alice --may-generate", not_found=_NOT_FOUND
)
@click.argument("name")
@click.option("--admin/--no-admin", default=None, help="Whether it is an administrator's.")
@click.option("--may-generate/--no-may-generate", default=None, help="Whether it may make tokens.")
async def set_(
    place: Place, *, name: str, admin: bool | None, may_generate: bool | None, json: bool
) -> None:
    """Change what an account may do. Its tokens are not touched."""
    flags: AccountFlags = {}
    if admin is not None:
        flags["admin"] = admin
    if may_generate is not None:
        flags["may_generate"] = may_generate
    if not flags:
        raise click.UsageError("Say what to change: --admin, --no-admin, --may-generate, …")
    await _change(place, name, flags, "Changed", json=json)


@user.command(
    "disable", cls=Command, example="bearer-guard user disable alice", not_found=_NOT_FOUND
)
@click.argument("name")
async def disable(place: Place, *, name: str, json: bool) -> None:
    """Stop an account: nobody logs in to it, and its tokens don't work until it is enabled."""
    await _change(place, name, {"disabled": True}, "Disabled", json=json)


@user.command("enable", cls=Command, example="bearer-guard user enable alice", not_found=_NOT_FOUND)
@click.argument("name")
async def enable(place: Place, *, name: str, json: bool) -> None:
    """Let an account that was disabled, and its tokens, work again."""
    await _change(place, name, {"disabled": False}, "Enabled", json=json)


@user.command(
    "password",
    cls=Command,
    example="bearer-guard user password alice --password-stdin < password.txt",
    not_found=_NOT_FOUND,
)
@click.argument("name")
@_password_stdin
async def password(place: Place, *, name: str, password_stdin: bool, json: bool) -> None:
    """Set an account's password. Its tokens are not touched."""
    place.check()
    secret = read_secret(f"Password of {name}", stdin=password_stdin, new=True)
    async with place.open() as at:
        account = await at.accounts().change(operator(), name, password=secret)
    _done(account, f"Set the password of {name}.", json=json)


async def _change(place: Place, name: str, flags: AccountFlags, done: str, *, json: bool) -> None:
    async with place.open() as at:
        account = await at.accounts().change(operator(), name, **flags)
    _done(account, f"{done} the account {name}.", json=json)


def _done(account: Account, sentence: str, *, json: bool) -> None:
    if json:
        print_json(account_json(account))
    else:
        note(sentence)


def _yes(flag: bool) -> str:  # noqa: FBT001 - a word for a cell
    return "yes" if flag else ""
