"""PostgreSQL through asyncpg."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import asyncpg
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi, PGDialect_asyncpg

from ._sql_dialect import Kin
from ._sql_driver import CONNECT_SECONDS
from ._sql_speech import PostgresqlSpeech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import URL

    from ._sql_driver import Values

__all__ = ["make"]

_CACHED: Final = 100  # statements; asyncpg's own default


class Dialect(Kin, PGDialect_asyncpg):
    """SQLAlchemy's, for PostgreSQL's kin too."""

    supports_statement_cache = True


registry.register("postgresql.bearer_guard_asyncpg", __name__, "Dialect")


class AsyncpgDriver:
    """asyncpg. The URL's parameters are its own, such as ``sslmode``.

    Args:
        url: Where to connect to.
        statement_cache_size: 0 for a pooler that hands each transaction to another connection:
            statements are then prepared without a name, and used at once.
    """

    dialect: Final = "postgresql+bearer_guard_asyncpg"
    errors: Final = (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        AsyncAdapt_asyncpg_dbapi.Error,  # SQLAlchemy's own, where it connects
    )

    def __init__(self, url: URL, *, statement_cache_size: int | None) -> None:
        self._dsn: Final = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._cache_size: Final = _CACHED if statement_cache_size is None else statement_cache_size
        self.speech: Final = PostgresqlSpeech()
        self.adapted: Final[Mapping[str, object]] = (
            {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
            if statement_cache_size == 0
            else {}
        )

    async def connect(self) -> asyncpg.Connection:
        """A new connection."""
        connection: asyncpg.Connection = await asyncpg.connect(
            self._dsn, timeout=CONNECT_SECONDS, statement_cache_size=self._cache_size
        )
        return connection

    def cut(self, connection: asyncpg.Connection) -> None:
        """Let whatever waits on a connection fail at once."""
        connection.terminate()

    def hang_up(self, connection: asyncpg.Connection) -> None:
        """Its ``close`` waits until the server has closed."""
        connection.terminate()

    def closed(self, connection: asyncpg.Connection) -> bool:
        """Whether a connection is known to be gone."""
        return connection.is_closed()

    async def rows(
        self, connection: asyncpg.Connection, sql: str, values: Values
    ) -> Sequence[Sequence[object]]:
        """Ask, with nothing between."""
        return cast("Sequence[Sequence[object]]", await connection.fetch(sql, *values))

    async def listen(
        self, connection: asyncpg.Connection, channel: str, silence: float
    ) -> AsyncIterator[str | None]:
        """What is notified on a channel."""
        heard = asyncio.Queue[str | None]()
        await connection.add_listener(channel, lambda *told: heard.put_nowait(told[3]))
        connection.add_termination_listener(lambda _: heard.put_nowait(None))
        payload = None
        while True:
            yield payload
            payload = None
            with suppress(TimeoutError):
                async with asyncio.timeout(silence):
                    payload = await heard.get()


make = AsyncpgDriver
