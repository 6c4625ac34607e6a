"""What log-ins share that send the browser away to a provider and get it back.

A *journey* is such a log-in under way: noted when it begins, and gone when it ends, so that no
answer of a provider counts twice. The browser keeps the journey's id in a cookie: an answer counts
only in the browser that asked for it, or somebody could be logged in as somebody else.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from bearer_guard.errors import StoreUnavailable
from bearer_guard.store import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearer_guard.clock import Clock
    from bearer_guard.issuing.principal import Principal
    from bearer_guard.store import NoteStore

__all__ = ["Begun", "Journeys", "LoggedIn", "local_path"]

_MINUTES: Final = 10  # to log in at the provider
_HOME: Final = "/"
# Browsers take a backslash for a slash, drop tabs and line ends, and take two slashes for a host.
_LOCAL: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


class Begun(NamedTuple):
    """A log-in under way.

    Attributes:
        url: Where to send the browser.
        request_id: For a cookie of this browser's; ``finish`` wants it back.
    """

    url: str
    request_id: str


class LoggedIn(NamedTuple):
    """Who has logged in, and the page that they wanted: a path of this site."""

    principal: Principal
    return_to: str


class Journeys:
    """Log-ins under way, in the store's notes.

    Args:
        notes: Where they are noted.
        clock: Time.
        kind: A word that keeps them apart from others.
    """

    def __init__(self, notes: NoteStore, clock: Clock, kind: str) -> None:
        self._notes: Final = notes
        self._clock: Final = clock
        self._kind: Final = kind

    async def begin(self, request_id: str, **things: str) -> None:
        """Note what will be needed at the end.

        Raises:
            StoreUnavailable: No answer, or there is one of this id already.
        """
        now_ms = self._clock.now_ms()
        note = Note(owner="", value=json.dumps(things), expires_ms=now_ms + _MINUTES * 60_000)
        if not await self._notes.add_note(self._key(request_id), note, now_ms):
            raise StoreUnavailable("a log-in of this id is under way")

    async def end(self, request_id: str) -> Mapping[str, str] | None:
        """What was noted; ``None``: there is no such journey, or it has ended. It has now."""
        key = self._key(request_id)
        note = await self._notes.note(key, self._clock.now_ms())
        if note is None or not await self._notes.drop_note(key):
            return None
        things: dict[str, str] = json.loads(note.value)
        return things

    async def first_time(self, thing: str, until_ms: int) -> bool:
        """Whether this was not seen before, and is to be remembered until then."""
        note = Note(owner="", value="", expires_ms=until_ms)
        return await self._notes.add_note(self._key(f"seen {thing}"), note, self._clock.now_ms())

    def _key(self, name: str) -> str:
        digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
        return f"{self._kind} {digest}"


def local_path(text: str) -> str:
    """The path if it is one of this site, else the site's own root: no redirect leads away."""
    return text if _LOCAL.fullmatch(text) else _HOME
