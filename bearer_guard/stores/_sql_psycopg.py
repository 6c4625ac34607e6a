"""PostgreSQL through psycopg 3."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

import psycopg
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg

from ._sql_dialect import Kin
from ._sql_driver import CONNECT_SECONDS
from ._sql_speech import PostgresqlSpeech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import URL

    from ._sql_driver import Values

__all__ = ["make"]

_PREPARE_AFTER: Final = 5  # executions; psycopg's own default


class Dialect(Kin, PGDialectAsync_psycopg):
    """SQLAlchemy's, for PostgreSQL's kin too."""

    supports_statement_cache = True

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[PGDialectAsync_psycopg]:  # noqa: ARG003
        """This one, not SQLAlchemy's."""
        return cls


registry.register("postgresql.bearer_guard_psycopg", __name__, "Dialect")


class PsycopgDriver:
    """psycopg. The URL's parameters are those of libpq.

    Args:
        url: Where to connect to.
        statement_cache_size: 0 for a pooler that hands each transaction to another connection:
            nothing is prepared then.
    """

    dialect: Final = "postgresql+bearer_guard_psycopg"
    errors: Final = (psycopg.Error,)

    def __init__(self, url: URL, *, statement_cache_size: int | None) -> None:
        self._url: Final = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._prepare_after: Final = None if statement_cache_size == 0 else _PREPARE_AFTER
        self.speech: Final = PostgresqlSpeech()
        self.adapted: Final[Mapping[str, object]] = {}

    async def connect(self) -> psycopg.AsyncConnection:
        """A new connection."""
        return await psycopg.AsyncConnection.connect(
            self._url, prepare_threshold=self._prepare_after, connect_timeout=CONNECT_SECONDS
        )

    def cut(self, connection: psycopg.AsyncConnection) -> None:
        """Let whatever waits on a connection fail at once.

        The socket is shut down under libpq, which finds the end of its stream. To close it here
        would leave its number, soon another's, with the event loop.
        """
        if connection.closed:
            return
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    def hang_up(self, connection: psycopg.AsyncConnection) -> None:
        """Close, as its own ``close`` does."""
        connection.pgconn.finish()

    def closed(self, connection: psycopg.AsyncConnection) -> bool:
        """Whether a connection is known to be gone."""
        return connection.closed

    async def rows(
        self, connection: psycopg.AsyncConnection, sql: str, values: Values
    ) -> Sequence[Sequence[object]]:
        """Ask, with nothing between."""
        cursor = await connection.execute(sql.encode(), values, binary=True)
        return await cursor.fetchall()

    async def listen(
        self, connection: psycopg.AsyncConnection, channel: str, silence: float
    ) -> AsyncIterator[str | None]:
        """What is notified on a channel."""
        await connection.set_autocommit(True)
        await connection.execute(f"LISTEN {channel}".encode())
        while True:
            yield None
            async for notified in connection.notifies(timeout=silence):
                yield notified.payload


make = PsycopgDriver
