"""What is asked of a database driver, besides what SQLAlchemy does with it.

A call that has no answer in time has its connection *cut*: whatever waits on it fails at once, as
if the server had gone. To cancel is not enough, since drivers then tell the server so, and wait.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import URL

    from ._sql_speech import Speech

__all__ = ["Connection", "Driver", "Values", "codes", "driver_for"]

Connection: TypeAlias = Any
"""A driver's own object."""

Values: TypeAlias = "Sequence[object] | Mapping[str, object]"
"""Of a statement's parameters: in order, or by name, as the driver's own SQL has them."""

CONNECT_SECONDS: Final = 10  # drivers have a limit of their own; the caller's is shorter
# The age of a connection: below the 300 to 350 after which networks forget quiet ones.
RECYCLE_SECONDS: Final = 280


class Driver(Protocol):
    """A driver, and where it connects to."""

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of it."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What it raises, besides ``OSError``."""
        ...

    @property
    def adapted(self) -> Mapping[str, object]:
        """What SQLAlchemy's adapter of it is told with each connection."""
        ...

    @property
    def speech(self) -> Speech:
        """What its servers understand."""
        ...

    async def connect(self) -> Connection:
        """A new connection."""
        ...

    def cut(self, connection: Connection) -> None:
        """Let whatever waits on a connection fail at once. Nothing is waited for."""
        ...

    def hang_up(self, connection: Connection) -> None:
        """Close a connection that nobody waits on, without waiting for the server."""
        ...

    def closed(self, connection: Connection) -> bool:
        """Whether a connection is known to be gone."""
        ...

    async def rows(
        self, connection: Connection, sql: str, values: Values
    ) -> Sequence[Sequence[object]]:
        """Ask, with nothing between."""
        ...

    def listen(
        self, connection: Connection, channel: str, silence: float
    ) -> AsyncIterator[str | None]:
        """What is notified on a channel, where the server has channels.

        Yields ``None`` when it begins to listen, after ``silence`` seconds without a word, and
        when the connection may have gone.
        """
        ...


_DRIVERS: Final = {
    "postgresql": "asyncpg",
    "postgresql+asyncpg": "asyncpg",
    "postgresql+psycopg": "psycopg",
    "mysql": "asyncmy",
    "mysql+asyncmy": "asyncmy",
    "mariadb": "asyncmy",
    "mariadb+asyncmy": "asyncmy",
}
_PACKAGES: Final = {
    "asyncpg": "bearer-guard[postgresql]",
    "asyncmy": "bearer-guard[mysql]",
    "psycopg": "psycopg[binary]",
}


def driver_for(url: URL, *, statement_cache_size: int | None) -> Driver:
    """The driver that a URL names, or the one that is ours for its scheme.

    Raises:
        ConfigurationError: There is none, or its package is not installed.
    """
    name = _DRIVERS.get(url.drivername)
    if name is None:
        known = ", ".join(f"{scheme}://" for scheme in _DRIVERS)
        raise ConfigurationError(f"no driver for {url.drivername}://; there are {known}")
    try:
        module = importlib.import_module(f"._sql_{name}", __package__)
    except ModuleNotFoundError as error:
        msg = f"{url.drivername}:// needs a package more: pip install '{_PACKAGES[name]}'"
        raise ConfigurationError(msg) from error
    return cast("Driver", module.make(url, statement_cache_size=statement_cache_size))


def codes(error: BaseException | None) -> set[object]:
    """SQLSTATE, or MariaDB's number, of a driver's error or SQLAlchemy's; empty: it is neither."""
    said = getattr(error, "orig", error)
    return {getattr(said, "sqlstate", None), *getattr(said, "args", ())} - {None}
