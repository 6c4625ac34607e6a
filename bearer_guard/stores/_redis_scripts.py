"""The Lua scripts of a Redis store: all that it asks of a server, be it reading or writing.

Each is one round trip, and atomic. None is declared to be free of writes, so that a replica, and a
primary that has lost its replicas, refuse to run any: nobody reads there what has been changed
elsewhere (https://redis.io/docs/latest/develop/programmability/lua-api/#script_flags). The first
key is the change log of a shard; scripts make up the names of others, all in the same slot.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeAlias

from ._redis_rows import ACCOUNT_FIELDS, ID_LENGTH, PLACE_DIGITS, TOKEN_FIELDS
from ._rows import LOG_IDS, LOG_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ACCOUNTS",
    "ACCOUNT_NEWS",
    "ADD",
    "ADD_ACCOUNT",
    "ADD_NOTE",
    "CHANGES",
    "CHANGE_ACCOUNT",
    "CREATE",
    "DROP_NOTE",
    "DROP_NOTES",
    "END",
    "END_ALL",
    "FENCE",
    "FETCH",
    "KEY_USAGE",
    "NOTE",
    "OWNERS_TOLD",
    "PAGE",
    "PURGE",
    "REMEMBER_KEYS",
    "SET_POLICY",
    "TELL",
    "TOUCH",
    "Arg",
    "Script",
]

Arg: TypeAlias = bytes | str | int

LOG_ENTRIES: Final = 100_000  # about; some 10 MB where each tells of one token
NOTE_MS: Final = 3_600_000  # how much longer Redis keeps a note: its clock may be off by that

_FOLDER: Final = files(__package__ or "") / "_redis_lua"


@dataclass(frozen=True, slots=True)
class Script:
    """A script, by its text and by the name that servers know it by once they have run it."""

    text: str
    sha: str

    def by_name(self, log: str, args: Iterable[Arg]) -> tuple[Arg, ...]:
        """The command that runs it where it is known."""
        return ("EVALSHA", self.sha, 1, log, *args)

    def in_full(self, log: str, args: Iterable[Arg]) -> tuple[Arg, ...]:
        """The command that runs it anywhere."""
        return ("EVAL", self.text, 1, log, *args)


def _lua_list(words: Iterable[str]) -> str:
    return "{" + ", ".join(f"'{word}'" for word in words) + "}"


def _constants() -> str:
    positions = ", ".join(f"{name} = {at}" for at, name in enumerate(TOKEN_FIELDS, start=1))
    return "\n".join(
        (
            f"local FIELDS = {_lua_list(TOKEN_FIELDS.values())}",
            f"local AT = {{{positions}}}",
            f"local ACCOUNT = {_lua_list(ACCOUNT_FIELDS)}",
            f"local LOG_MS, LOG_IDS, LOG_ENTRIES = {LOG_MS}, {LOG_IDS}, {LOG_ENTRIES}",
            f"local ID_LENGTH, PLACE_ID, NOTE_MS = {ID_LENGTH}, {PLACE_DIGITS + 1}, {NOTE_MS}",
        )
    )


def _load(*names: str, grows: bool = False) -> Script:
    """A script, of the files with these names one after the other.

    Args:
        names: Of files, without their ending.
        grows: Whether it is refused where the server's memory is full. What ends tokens is not.
    """
    flags = "" if grows else " flags=allow-oom"
    parts = (_FOLDER.joinpath(f"{name}.lua").read_text("utf-8") for name in ("prelude", *names))
    text = "\n".join((f"#!lua{flags}", _constants(), *parts))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


CREATE: Final = _load("create")
CHANGES: Final = _load("changes")
SET_POLICY: Final = _load("set_policy")
REMEMBER_KEYS: Final = _load("remember_keys")
FENCE: Final = _load("fence")

ADD: Final = _load("add", grows=True)
FETCH: Final = _load("fetch")
END: Final = _load("end")
END_ALL: Final = _load("end_all")
TOUCH: Final = _load("touch", grows=True)
PAGE: Final = _load("page")
PURGE: Final = _load("purge")
KEY_USAGE: Final = _load("key_usage")

ACCOUNTS: Final = _load("accounts")
ADD_ACCOUNT: Final = _load("owners", "add_account", grows=True)
CHANGE_ACCOUNT: Final = _load("owners", "change_account")
ACCOUNT_NEWS: Final = _load("owners", "account_news")
TELL: Final = _load("owners", "tell")
OWNERS_TOLD: Final = _load("owners_told")

ADD_NOTE: Final = _load("add_note", grows=True)
NOTE: Final = _load("note")
DROP_NOTE: Final = _load("drop_note")
DROP_NOTES: Final = _load("drop_notes")
