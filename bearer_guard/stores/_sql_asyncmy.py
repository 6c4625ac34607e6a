"""MariaDB and MySQL through asyncmy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import asyncmy
from asyncmy import errors
from asyncmy.constants import CLIENT

from bearer_guard.errors import ConfigurationError

from ._sql_driver import CONNECT_SECONDS, RECYCLE_SECONDS
from ._sql_speech import LOCK_MS, MariadbSpeech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import URL

    from ._sql_driver import Connection, Values

__all__ = ["make"]

_TLS: Final = {"ssl", "ssl_ca", "ssl_cert", "ssl_key"}
_SECONDS: Final = LOCK_MS / 1000

# Whatever the server's defaults: no value is cut to fit, tables have transactions, no snapshot
# outlives a statement, waits end before the call does, no connection is closed before the pool
# lets go of it, and a client that fell silent within a transaction gives the counter's lock back.
# The first of the marks is read by MariaDB alone, the second by MySQL alone, which has no limit for
# transactions but that of the whole connection.
_SESSION: Final = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " default_storage_engine = 'InnoDB', innodb_lock_wait_timeout = 1,"
    f" wait_timeout = {RECYCLE_SECONDS + 20}"
    f" /*M!100300 , max_statement_time = {_SECONDS}, idle_transaction_timeout = 1 */"
    f" /*!50708 , max_execution_time = {LOCK_MS} */"
)
_LEVEL: Final = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
# In clusters a read on one node may else miss what was written on another, and a node that was cut
# off from the others may answer. By what tells of each: what is set there.
_CAUSAL: Final = {
    "wsrep_on": "SET SESSION wsrep_sync_wait = 1, wsrep_dirty_reads = OFF",
    "group_replication_group_name": "SET SESSION group_replication_consistency = 'BEFORE'",
}
_CLUSTERS: Final = (
    f"SHOW VARIABLES WHERE Variable_name IN {tuple(_CAUSAL)} AND Value NOT IN ('', 'OFF')"
)


class AsyncmyDriver:
    """asyncmy.

    Args:
        url: Where to connect to. Its parameters: ``unix_socket``, ``ssl=true``, ``ssl_ca``,
            ``ssl_cert``, ``ssl_key``.
        statement_cache_size: Of no meaning here: values are written into the statement.
    """

    dialect: Final = "mysql+asyncmy"
    errors: Final = (errors.MySQLError, EOFError)

    def __init__(self, url: URL, *, statement_cache_size: int | None) -> None:  # noqa: ARG002
        if unknown := sorted(set(url.query) - _TLS - {"unix_socket"}):
            raise ConfigurationError(f"no such parameter of a MySQL URL: {', '.join(unknown)}")
        if url.database is None:
            raise ConfigurationError("a MySQL URL names a database: mysql://user@host/database")
        if url.query.get("ssl", "true") != "true":
            raise ConfigurationError("ssl in a MySQL URL can only be true")
        query = {name: str(value) for name, value in url.query.items()}
        self._options: Final[dict[str, Any]] = {
            "host": url.host or "localhost",
            "port": url.port or 3306,
            "user": url.username,
            "password": url.password or "",
            "database": url.database,
            "unix_socket": query.get("unix_socket"),
            "ssl": _tls(query) if _TLS & set(query) else None,
        }
        self.speech: Final = MariadbSpeech()
        self.adapted: Final[Mapping[str, object]] = {}

    async def connect(self) -> Connection:
        """A new connection."""
        connection = await asyncmy.connect(
            **self._options,
            charset="utf8mb4",
            autocommit=True,
            binary_prefix=True,
            connect_timeout=CONNECT_SECONDS,
            init_command=_SESSION,
            client_flag=CLIENT.FOUND_ROWS,  # as SQLAlchemy has it
        )
        await self.rows(connection, _LEVEL, ())
        for name, _ in await self.rows(connection, _CLUSTERS, ()):
            await self.rows(connection, _CAUSAL[str(name)], ())
        return connection

    def cut(self, connection: Connection) -> None:
        """Let whatever waits on a connection fail at once."""
        connection.close()

    def hang_up(self, connection: Connection) -> None:
        """Nothing: SQLAlchemy's way says good-bye, and does not wait for an answer."""

    def closed(self, connection: Connection) -> bool:
        """Whether a connection is known to be gone."""
        return not connection.connected

    async def rows(
        self, connection: Connection, sql: str, values: Values
    ) -> Sequence[Sequence[object]]:
        """Ask, with nothing between."""
        async with connection.cursor() as cursor:
            await cursor.execute(sql, values or None)
            found: Sequence[Sequence[object]] = await cursor.fetchall()
            return found

    def listen(
        self, connection: Connection, channel: str, silence: float
    ) -> AsyncIterator[str | None]:
        """There are no channels."""
        raise NotImplementedError


def _tls(query: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=query.get("ssl_ca"))
        if "ssl_cert" in query:
            context.load_cert_chain(query["ssl_cert"], query.get("ssl_key"))
    except OSError as error:
        msg = f"a file of ssl_ca, ssl_cert, ssl_key in the MySQL URL: {error.strerror}"
        raise ConfigurationError(msg) from error
    return context


make = AsyncmyDriver
