"""``bearer-guard init``: a store's schema, and its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bearer_guard.errors import ConfigurationError, KeyringError
from bearer_guard.store import open_store

from ._command import DEFAULT_STORE, Command
from ._terminal import note, print_json
from ._workplace import database_of, is_missing, make_keys_file

if TYPE_CHECKING:
    from ._workplace import Place

__all__ = ["init", "make"]


@click.command(
    "init", cls=Command, example="bearer-guard init --store sqlite:////var/lib/bg/tokens.db"
)
async def init(place: Place, *, json: bool) -> None:
    """Make the store's schema, and a key file.

    What is there already is left as it is: doing it again does no harm. Keys in
    BEARER_GUARD_KEYS are used as they are, and no file is made.
    """
    made, key_ids = await make(place)
    if json:
        keys_file = None if place.keys_text else str(place.keys_file)
        print_json({"keysFile": keys_file, "keysFileMade": made, "keyIds": key_ids})
        return
    if made:
        note(f"Made the key file {place.keys_file}: keep a copy apart from the store's backups.")
    note(f"The store is ready. Key: {key_ids[0]}")
    elsewhere = database_of(place.store_url) not in {None, database_of(DEFAULT_STORE)}
    named = f" --store {place.store_url}" if elsewhere else ""  # of a server's, there is a password
    note(f"Next: bearer-guard user add NAME --admin{named}")


async def make(place: Place) -> tuple[bool, list[str]]:
    """Make what is missing; returns whether that was a key file, and the ids of the keys.

    Raises:
        ConfigurationError: There can be no such store.
        KeyringError: The store was made with other keys, or with keys that are missing now.
    """
    store = open_store(place.store_url)
    _check_lasting(place.store_url)
    await store.open()
    try:
        known = await store.remember_keys(())
        lost = known and not place.keys_text and not place.keys_file.exists()
        if lost:
            raise KeyringError(
                f"the store was made with the keys {', '.join(sorted(known))}, and there is no file"
                f" {place.keys_file}: put it back, or name it with --keys-file"
            )
        made = not place.keys_text and make_keys_file(place.keys_file)
        keyring = place.keyring()
        keyring.check(await store.remember_keys(keyring.ids))
    finally:
        await store.close()
    return made, list(keyring.ids)


def _check_lasting(store_url: str) -> None:
    if store_url.startswith("memory:"):
        raise ConfigurationError(
            "a store in memory is gone with its process: name another with --store, or go without"
            " init, with what `bearer-guard keys new` prints in BEARER_GUARD_KEYS"
        )
    database = database_of(store_url)
    if database is not None and is_missing(database.parent):
        folder = database.parent
        raise ConfigurationError(
            f"there is no folder {folder}: mkdir -p {folder}, or name another file with --store"
        )
