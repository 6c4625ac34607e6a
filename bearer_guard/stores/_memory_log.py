"""The change log of a memory store: what changed, one revision after another."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from bearer_guard.store import Cursor

from ._rows import LOG_IDS, LOG_MS, TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

__all__ = ["Log"]


class _Revision(NamedTuple):
    number: int
    tag: bytes
    at_ms: int
    ids: frozenset[UUID]


class Log:
    """Revisions of the last ten minutes, and the one before them: there a reader may stand."""

    def __init__(self) -> None:
        self._epoch: Final = secrets.token_hex(TAG_BYTES)
        self._revisions = deque([_Revision(0, secrets.token_bytes(TAG_BYTES), 0, frozenset())])

    def head(self) -> Cursor:
        """Where the log stands."""
        last = self._revisions[-1]
        return Cursor(self._epoch, last.number, last.tag)

    def append(self, ids: Iterable[UUID], now_ms: int) -> None:
        """The next revision, and what changed with it."""
        number = self._revisions[-1].number + 1
        tag = secrets.token_bytes(TAG_BYTES)
        self._revisions.append(_Revision(number, tag, now_ms, frozenset(ids)))
        while self._revisions[1].at_ms < now_ms - LOG_MS:
            self._revisions.popleft()

    def since(self, cursor: Cursor) -> frozenset[UUID] | None:
        """What changed since; ``None``: the log can't say, or it is more than a reader wants."""
        ids: set[UUID] = set()
        for revision in reversed(self._revisions):
            if revision.number <= cursor.revision:
                known = Cursor(self._epoch, revision.number, revision.tag)
                return frozenset(ids) if known == cursor else None
            ids |= revision.ids
            if len(ids) > LOG_IDS:
                return None
        return None
