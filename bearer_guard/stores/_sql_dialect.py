"""SQLAlchemy's PostgreSQL, for whatever speaks its protocol.

SQLAlchemy looks for PostgreSQL's name in what a server says of itself, and gives up where there is
another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect

__all__ = ["Kin", "is_cockroachdb"]

_WHO: Final = "SELECT version(), current_setting('server_version_num')"


class Kin:
    """What the drivers' dialects have in common; comes before SQLAlchemy's class.

    Attributes:
        is_cockroachdb: Whether it is CockroachDB that answers; known when a connection was made.
    """

    is_cockroachdb = False

    def _get_server_version_info(self, connection: Connection) -> tuple[int, int]:
        """The version of PostgreSQL that a server is, or claims to be like."""
        name, number = connection.exec_driver_sql(_WHO).one()
        self.is_cockroachdb = name.startswith("CockroachDB")
        return divmod(int(number), 10_000)


def is_cockroachdb(dialect: Dialect) -> bool:
    """Whether the server is CockroachDB.

    It compares text byte by byte and refuses to be told so, and changes tables in no transaction.
    """
    return getattr(dialect, "is_cockroachdb", False)
