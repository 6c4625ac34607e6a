"""The URL of an SQL store: where the database is, and options that are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["split", "whereabouts"]

# Those that can be set in the URL, and what makes them of its text. The rest is the driver's.
_OPTIONS: Final[dict[str, Callable[[str], object]]] = {
    "poll_interval": float,
    "pool_size": int,
    "statement_cache_size": int,
    "unsafe": str,
}


def split(url: str) -> tuple[URL, dict[str, object]]:
    """The URL without our options, and these.

    Raises:
        ConfigurationError: It is no URL, or an option has no sensible value.
    """
    try:
        whole = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("the URL of the store can't be read") from error
    texts = {name: str(value) for name, value in whole.query.items() if name in _OPTIONS}
    try:
        options = {name: _OPTIONS[name](text) for name, text in texts.items()}
    except ValueError as error:
        raise ConfigurationError(f"an option in the URL of the store: {error}") from error
    if whole.drivername.startswith("postgres") and not whole.drivername.startswith("postgresql"):
        whole = whole.set(drivername=whole.drivername.replace("postgres", "postgresql", 1))
    return whole.difference_update_query(texts), options


def whereabouts(url: URL) -> str:
    """What a database is called in errors: no password, no parameters."""
    kind = url.drivername.partition("+")[0]
    port = f":{url.port}" if url.port else ""
    return f"{kind}://{url.host or ''}{port}/{url.database or ''}"
