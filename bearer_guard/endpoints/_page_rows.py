"""What the table of tokens shows: which tokens, and what of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bearer_guard.errors import InvalidRequest

from ._page_times import when

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bearer_guard.issuing import Issuer, Principal
    from bearer_guard.record import TokenRecord

    from ._page_times import When

__all__ = ["PAGE_ROWS", "Row", "Rows", "Show", "Wanted", "find_rows", "row_of"]

PAGE_ROWS: Final = 25  # so that a page has a few tens of kilobytes
SOON_MS: Final = 7 * 24 * 3_600_000
_CHUNK: Final = 200  # records read at once: with their seals, a few milliseconds of the event loop
_MOST_CHUNKS: Final = 50  # then the reader is asked whether to look further


class Show(StrEnum):
    """Which tokens: by how long they live."""

    ALL = "all"
    ACTIVE = "active"
    SOON = "soon"
    EXPIRED = "expired"

    def includes(self, record: TokenRecord, now_ms: int) -> bool:
        """Whether the record is one of these."""
        if self is Show.ALL:
            return True
        left_ms = _left_ms(record, now_ms)
        expired = left_ms is not None and left_ms <= 0
        if self is Show.SOON:
            return left_ms is not None and 0 < left_ms <= SOON_MS
        return expired is (self is Show.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the reader asks to see.

    Attributes:
        owner: Whose; ``*``: everybody's.
        text: To be found in the description, the id or the owner's name; empty: anything.
        show: Which.
        after: Where the page before ended.
    """

    owner: str
    text: str = ""
    show: Show = Show.ALL
    after: str | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str], owner: str) -> Wanted:
        """From the parameters of a page's address.

        Raises:
            InvalidRequest: One of them means nothing.
        """
        show = query.get("show", Show.ALL)
        if show not in set(Show):
            raise InvalidRequest("there is no such choice of tokens")
        return cls(
            owner=owner,
            text=query.get("q", "").strip(),
            show=Show(show),
            after=query.get("after") or None,
        )

    def test(self, now_ms: int) -> Callable[[TokenRecord], bool] | None:
        """Tells whether a record is wanted; ``None``: every one is."""
        if self.show is Show.ALL and not self.text:
            return None
        text = self.text.casefold()
        return lambda record: (
            self.show.includes(record, now_ms)
            and any(
                text in words.casefold()
                for words in (record.description, str(record.id), record.owner)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One token.

    Attributes:
        status: ``Active`` or ``Expired``.
        expires: When it dies, by whichever cause; ``None``: never.
        last_used: ``None``: never.
        soon: It dies within seven days.
        renewed: Its life was cut short by a new one.
    """

    id: str
    owner: str
    description: str
    status: str
    created: When | None
    expires: When | None
    last_used: When | None
    last_used_from: str | None
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    soon: bool
    renewed: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of the table.

    Attributes:
        next: Where the next page begins; ``None``: this was the last.
        unfinished: So many were looked through without filling the page that the reader is to say
            whether to go on.
    """

    rows: list[Row]
    next: str | None
    unfinished: bool = False


async def find_rows(issuer: Issuer, principal: Principal, wanted: Wanted, now_ms: int) -> Rows:
    """A page of what is wanted, newest first.

    Raises:
        NotAllowed: Another owner, asked for by no administrator.
        InvalidRequest: ``after`` is no place in the list.
        StoreUnavailable: No answer in time.
    """
    test, after = wanted.test(now_ms), wanted.after
    if test is None:
        page = await issuer.list(principal, owner=wanted.owner, after=after, limit=PAGE_ROWS)
        return Rows([row_of(record, now_ms) for record in page], page.next)
    found: list[TokenRecord] = []
    for _ in range(_MOST_CHUNKS):
        page = await issuer.list(principal, owner=wanted.owner, after=after, limit=_CHUNK)
        hits = [at for at, record in enumerate(page) if test(record)]
        room = PAGE_ROWS - len(found)
        if len(hits) > room:  # read again, up to the last that there is room for
            limit = hits[room - 1] + 1
            page = await issuer.list(principal, owner=wanted.owner, after=after, limit=limit)
        found += filter(test, page)
        after = page.next
        if after is None or len(found) >= PAGE_ROWS:
            break
        await asyncio.sleep(0)  # a store in memory never yields
    return Rows([row_of(r, now_ms) for r in found], after, len(found) < PAGE_ROWS and bool(after))


def row_of(record: TokenRecord, now_ms: int) -> Row:
    """What is shown of a record."""
    left_ms = _left_ms(record, now_ms)
    return Row(
        id=str(record.id),
        owner=record.owner,
        description=record.description,
        status="Expired" if left_ms is not None and left_ms <= 0 else "Active",
        created=when(record.created_ms, now_ms),
        expires=when(record.dead_ms(), now_ms),
        last_used=when(record.last_used_ms, now_ms),
        last_used_from=record.last_used_from,
        scopes=record.scopes,
        networks=record.networks,
        soon=Show.SOON.includes(record, now_ms),
        renewed=record.ended_ms is not None,
    )


def _left_ms(record: TokenRecord, now_ms: int) -> int | None:
    """Milliseconds that are left of its life; ``None``: it has no end."""
    dead_ms = record.dead_ms()
    return None if dead_ms is None else dead_ms - now_ms
