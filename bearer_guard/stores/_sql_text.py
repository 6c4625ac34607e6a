"""Text that no SQL store can keep: with a NUL, which PostgreSQL has not, or no text at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearer_guard.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_storable", "storable"]


def storable(text: str) -> bool:
    """Whether this can be kept. What can't be is under no name and no key."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def check_storable(values: Iterable[object]) -> None:
    """Refuse what can't be kept.

    Raises:
        InvalidRequest: A text among ``values`` can't.
    """
    for value in values:
        if isinstance(value, str) and not storable(value):
            raise InvalidRequest("text with a NUL, or with half a surrogate pair, can't be kept")
