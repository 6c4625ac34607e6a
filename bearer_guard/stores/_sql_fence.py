"""Reads that a replica, or a primary that was replaced, can't answer.

The fence stands in the statement itself, beside whatever it reads and also where that is nothing:
a replica that lags behind does not know the newest tokens, and knows ended ones as good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal_column, select, true

from bearer_guard.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select, Subquery
    from sqlalchemy.ext.asyncio import AsyncConnection

    from ._sql_speech import Speech

__all__ = ["Replica", "fence", "fenced_rows", "refuse_replica"]


class Replica(StoreUnavailable):
    """The connection leads to a server whose answers may be old."""


def fence(text: str) -> Subquery:
    """One row with the column ``fence``, to be joined with what is read.

    Args:
        text: ``Speech.fence``.
    """
    return select(literal_column(text).label("fence")).subquery("here")


def refuse_replica(fence: object) -> None:
    """Take no answer of a server that may lag behind.

    Raises:
        Replica: It is one.
    """
    if fence:
        raise Replica("the database server is a replica, or read-only: name the primary in the URL")


async def fenced_rows(
    connection: AsyncConnection, speech: Speech, wanted: Select[*tuple[Any, ...]]
) -> list[Row[Any]]:
    """What is found, in no order; its first column is never NULL.

    Raises:
        Replica: A replica answered.
    """
    here, found = fence(speech.fence), wanted.subquery("found")
    statement = select(*found.c, here.c.fence).select_from(here.outerjoin(found, true()))
    rows: Sequence[Any] = (await connection.execute(statement)).all()
    refuse_replica(rows[0].fence)
    return [row for row in rows if row[0] is not None]
