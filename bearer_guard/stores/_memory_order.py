"""Records of a memory store in the order in which they are listed."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from uuid import UUID

    from bearer_guard.record import TokenRecord

__all__ = ["Order"]


class Order:
    """Ids by age. Adding the newest, as is usual, takes no shifting."""

    def __init__(self) -> None:
        self._places: list[tuple[int, UUID]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, record: TokenRecord) -> None:
        """Put a record in its place."""
        insort(self._places, (record.created_ms, record.id))

    def remove(self, ids: Collection[UUID]) -> None:
        """Take these out."""
        self._places = [place for place in self._places if place[1] not in ids]

    def before(self, place: tuple[int, UUID] | None) -> Iterator[UUID]:
        """Newest first, those that are older than ``place``; ``None``: all."""
        start = len(self._places) if place is None else bisect_left(self._places, place)
        return (self._places[at][1] for at in range(start - 1, -1, -1))

    def __iter__(self) -> Iterator[UUID]:
        return self.before(None)
