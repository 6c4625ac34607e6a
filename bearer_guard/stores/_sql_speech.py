"""What is said differently to PostgreSQL and to MariaDB or MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from sqlalchemy import (
    ARRAY,
    LargeBinary,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import mysql, postgresql

from ._rows import READ_COLUMNS
from ._sql_tables import LAST_USED, LOG, TOKENS
from ._sql_types import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement, Executable, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["MariadbSpeech", "PostgresqlSpeech", "Speech", "Touched"]

LOCK_MS: Final = 600  # a little less than a call has: the server's own error says more
IDLE_MS: Final = 1_000  # a client that fell silent with the counter's lock keeps it no longer
PATIENT_SECONDS: Final = 60  # migrations, and counting all tokens

_LOGGED: Final = ("tag", "at_ms", "ids")
# Where `Exact` columns stand in a record's row.
_EXACT: Final = tuple(map(READ_COLUMNS.index, ("owner", "key_id", "end_reason", "last_used_from")))


class Touched(NamedTuple):
    """A row of ``last_used``."""

    id: bytes
    at_ms: int
    source: str | None


class Speech(Protocol):
    """The differences."""

    @property
    def fence(self) -> str:
        """An expression that is true where reads may be stale: a replica, an old primary."""
        ...

    @property
    def begin(self) -> str:
        """What begins a transaction that sees what others have committed."""
        ...

    @property
    def prologue(self) -> Select[Any]:
        """Said first in a transaction: it limits it, and has the column ``fence``."""
        ...

    @property
    def patience(self) -> str | None:
        """What raises a session's limits to ``PATIENT_SECONDS``, where it has any."""
        ...

    @property
    def has_channels(self) -> bool:
        """Whether there are LISTEN and NOTIFY."""
        ...

    @property
    def has_arrays(self) -> bool:
        """Whether a list is one parameter."""
        ...

    def among(self, column: Column[bytes]) -> ColumnElement[bool]:
        """Whether a column is one of ``:ids``, a list of bytes."""
        ...

    @property
    def put_log(self) -> Executable:
        """Write a row of the log, over the one that has its revision if there is one."""
        ...

    async def touch(self, connection: AsyncConnection, rows: Sequence[Touched]) -> None:
        """Note uses of tokens that exist, sorted by id, where they are later than what is there.

        Sorted, so that the flushes of several processes wait for each other and don't deadlock.
        """
        ...

    def read(self, row: Sequence[object]) -> Sequence[object]:
        """A row as the driver itself gives it, with text as text."""
        ...


class PostgresqlSpeech:
    """PostgreSQL, and what speaks its protocol."""

    begin: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
    patience: Final = None
    has_arrays: Final = True
    has_channels: Final = True

    def __init__(self, *, fence: str = "pg_is_in_recovery()") -> None:
        self.fence: Final = fence
        # Of the transaction, not of the session: behind a pooler the session is not ours.
        limits = {
            "lock_timeout": LOCK_MS,
            "statement_timeout": LOCK_MS,
            "idle_in_transaction_session_timeout": IDLE_MS,
        }
        local: ColumnElement[bool] = literal_column("true")
        self.prologue: Final[Select[Any]] = select(
            literal_column(fence).label("fence"),
            *(func.set_config(name, str(ms), local) for name, ms in limits.items()),
        )
        insert = postgresql.insert(LOG)
        self.put_log: Final = insert.on_conflict_do_update(
            index_elements=[LOG.c.revision],
            set_={name: insert.excluded[name] for name in _LOGGED},
        )

    def among(self, column: Column[bytes]) -> ColumnElement[bool]:
        """One parameter for all: a list of another length is the same statement."""
        return column == any_(bindparam("ids", type_=ARRAY(LargeBinary)))

    async def touch(self, connection: AsyncConnection, rows: Sequence[Touched]) -> None:
        """In one statement."""
        ids, times, sources = zip(*rows, strict=True)
        await connection.execute(
            _TOUCH, {"ids": list(ids), "times": list(times), "sources": list(sources)}
        )

    def read(self, row: Sequence[object]) -> Sequence[object]:
        """Text comes as text."""
        return row


_TOUCH: Final = text(
    """
    INSERT INTO bearer_guard_last_used AS kept (id, at_ms, source)
    SELECT used.id, used.at_ms, used.source
    FROM unnest(
        CAST(:ids AS bytea[]), CAST(:times AS bigint[]), CAST(:sources AS text[])
    ) AS used (id, at_ms, source)
    JOIN bearer_guard_tokens AS known ON known.id = used.id
    ORDER BY used.id
    ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms, source = excluded.source
    WHERE kept.at_ms < excluded.at_ms OR (
        kept.at_ms = excluded.at_ms AND COALESCE(kept.source, '') < COALESCE(excluded.source, '')
    )
    """
)


class MariadbSpeech:
    """MariaDB and MySQL."""

    fence: Final = "@@global.read_only"
    begin: Final = "START TRANSACTION"  # the session's level is set already
    patience: Final = (  # the limits of `_sql_asyncmy`, raised
        f"SET SESSION innodb_lock_wait_timeout = {PATIENT_SECONDS}"
        f" /*M!100300 , max_statement_time = {PATIENT_SECONDS},"
        f" idle_transaction_timeout = {PATIENT_SECONDS} */"
        f" /*!50708 , max_execution_time = {PATIENT_SECONDS * 1_000} */"
    )
    has_arrays: Final = False
    has_channels: Final = False

    def __init__(self) -> None:
        # Those who may do everything may also write where it is forbidden: it must be asked.
        self.prologue: Final[Select[Any]] = select(literal_column(self.fence).label("fence"))
        insert = mysql.insert(LOG)
        self.put_log: Final = insert.on_duplicate_key_update(
            {name: insert.inserted[name] for name in _LOGGED}
        )
        self._put_use: Final = _put_use()

    def among(self, column: Column[bytes]) -> ColumnElement[bool]:
        """A parameter each: there are no arrays."""
        return column.in_(bindparam("ids", expanding=True))

    async def touch(self, connection: AsyncConnection, rows: Sequence[Touched]) -> None:
        """Which tokens exist is asked first: a join with a list that long is slow to parse."""
        known = select(TOKENS.c.id).where(self.among(TOKENS.c.id))
        found = await connection.scalars(known, {"ids": [row.id for row in rows]})
        existing = set(found)
        if uses := [row._asdict() for row in rows if row.id in existing]:
            await connection.execute(self._put_use, uses)

    def read(self, row: Sequence[object]) -> Sequence[object]:
        """Text that is compared comes as bytes."""
        values = list(row)
        for place in _EXACT:
            values[place] = plain(values[place])
        return values


def _put_use() -> Executable:
    insert = mysql.insert(LAST_USED)
    kept, new = LAST_USED.c, insert.inserted
    nothing: ColumnElement[str] = literal_column("''")
    later = or_(
        new.at_ms > kept.at_ms,
        and_(
            new.at_ms == kept.at_ms,
            func.coalesce(new.source, nothing) > func.coalesce(kept.source, nothing),
        ),
    )
    # In this order: the second assignment would hide from the first what was there.
    return insert.on_duplicate_key_update(
        [
            ("source", func.if_(later, new.source, kept.source)),
            ("at_ms", func.greatest(kept.at_ms, new.at_ms)),
        ]
    )
