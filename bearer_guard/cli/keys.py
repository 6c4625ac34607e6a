"""``bearer-guard keys``: what tokens are signed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.endpoints._format import iso
from bearer_guard.errors import ConfigurationError
from bearer_guard.keyring import ENV_KEYS, Keyring

from ._command import Command
from ._terminal import date, note, print_json, print_table
from ._workplace import rotate_keys_file

if TYPE_CHECKING:
    from bearer_guard.store import KeyUsage

    from ._workplace import Place

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Keys: the newest one signs new tokens, all of them verify."""


@keys.command("new", cls=Command, place=False, example="bearer-guard keys new")
def new(*, json: bool) -> None:
    """Print a new random key. Nothing is changed."""
    key = Keyring.new_key()
    if json:
        print_json({"keyId": Keyring.from_text(key).ids[0], "key": key})
    else:
        click.echo(key)


@keys.command("list", cls=Command, example="bearer-guard keys list")
async def list_(place: Place, *, json: bool) -> None:
    """Show the keys, and how many live tokens hang on each, until when. Never the keys themselves.

    A key on which none hangs any more may be taken out.
    """
    async with place.open() as at:
        usage = await at.store.key_usage(SYSTEM_CLOCK.now_ms())
    ids = at.keyring.ids
    rows = [(key_id, usage.get(key_id)) for key_id in (*ids, *sorted(set(usage) - set(ids)))]
    if json:
        print_json({"data": [_key(key_id, used, ids) for key_id, used in rows]})
        return
    print_table(
        ("Key ID", "Use", "Live tokens", "Until"),
        [
            (key_id, _use(key_id, ids), str(used.count if used else 0), _until(used))
            for key_id, used in rows
        ],
    )


@keys.command("rotate", cls=Command, example="bearer-guard keys rotate")
def rotate(place: Place, *, json: bool) -> None:
    """Put a new key before the others in the key file. Tokens of the others go on working.

    A running process has the keys that it was started with: it takes the tokens of the new key
    for forgeries until it is started again.
    """
    if place.keys_text:
        raise ConfigurationError(
            f"the keys are in {ENV_KEYS}, which can't be changed from here: put what"
            " `bearer-guard keys new` prints, and a comma, before what it has, and start every"
            " process again"
        )
    place.keyring()
    keyring = rotate_keys_file(place.keys_file)
    if json:
        print_json({"keysFile": str(place.keys_file), "keyIds": list(keyring.ids)})
        return
    note(f"The key {keyring.ids[0]} is the first in {place.keys_file} now.")
    note("Start every process that guards or makes tokens again, so that it knows the key.")
    note("Where keys are in BEARER_GUARD_KEYS, put the file's first key before those there.")
    note("`bearer-guard keys list` tells when no token hangs on an old one: take it out then.")


def _key(key_id: str, used: KeyUsage | None, ids: tuple[str, ...]) -> dict[str, object]:
    return {
        "keyId": key_id,
        "signs": key_id == ids[0],
        "inKeyring": key_id in ids,
        "liveTokens": used.count if used else 0,
        "until": iso(used.until_ms) if used else None,
    }


def _use(key_id: str, ids: tuple[str, ...]) -> str:
    if key_id not in ids:
        return "missing: its tokens are refused"
    return "signs and verifies" if key_id == ids[0] else "verifies"


def _until(used: KeyUsage | None) -> str:
    return date(used.until_ms, "for ever") if used else ""
