"""How tokens are read by id: the statement that is sent most, and what is made of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import LargeBinary, and_, bindparam, select

from ._rows import FIXED_COLUMNS, READ_COLUMNS, decode_record
from ._sql_fence import fence, refuse_replica
from ._sql_spoken import spoken
from ._sql_tables import ACCOUNTS, LAST_USED, TOKENS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, FromClause, Select

    from bearer_guard.record import TokenRecord

    from ._sql_gateway import Gateway
    from ._sql_speech import Speech

__all__ = ["Lookup", "records", "whole_records"]

_COLUMNS: Final = (
    *(TOKENS.c[name] for name in FIXED_COLUMNS),
    TOKENS.c.ended_ms,
    TOKENS.c.end_reason,
    LAST_USED.c.at_ms.label("last_used_ms"),
    LAST_USED.c.source.label("last_used_from"),
    ACCOUNTS.c.disabled.label("owner_disabled"),
)
_ID_BYTES: Final = 16


def _joined(tokens: FromClause) -> FromClause:
    """Tokens with their last use and their owner's account, where there are such."""
    used = LAST_USED.c.id == TOKENS.c.id
    owned = and_(ACCOUNTS.c.name == TOKENS.c.owner, ACCOUNTS.c.disabled)
    return tokens.outerjoin(LAST_USED, used).outerjoin(ACCOUNTS, owned)


def whole_records(among: FromClause = TOKENS) -> Select[Any]:
    """``READ_COLUMNS`` of all tokens, or of those in a join: the beginning of a statement."""
    return select(*_COLUMNS).select_from(_joined(among))


def records(rows: Iterable[Sequence[object]]) -> dict[UUID, TokenRecord]:
    """The records that rows of ``READ_COLUMNS`` hold, in their order, by id."""
    width = len(READ_COLUMNS)
    found = {}
    for row in rows:
        key = row[0]
        if isinstance(key, bytes) and len(key) == _ID_BYTES:  # else nobody can ask for it
            id = UUID(bytes=key)
            found[id] = decode_record(id, row[:width])
    return found


class Lookup:
    """Reads tokens by id.

    Args:
        gateway: To the database.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway: Final = gateway
        driver, speech = gateway.driver, gateway.driver.speech
        self._one: Final = spoken(driver.dialect, _fenced(speech, TOKENS.c.id == _ID))
        self._many: Final = _fenced(speech, speech.among(TOKENS.c.id))
        self._array: Final = spoken(driver.dialect, self._many) if speech.has_arrays else None

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        """The records with these ids; unknown ids are left out.

        Raises:
            StoreUnavailable: No answer, or one of a replica.
        """
        if not ids:
            return {}
        rows = await self._rows([id.bytes for id in ids])
        refuse_replica(rows[0][-1])
        read = self._gateway.driver.speech.read
        return records(read(row) for row in rows)

    async def _rows(self, keys: list[bytes]) -> Sequence[Sequence[object]]:
        if len(keys) == 1:
            return await self._one.rows(self._gateway, {"id": keys[0]})
        if self._array is not None:
            return await self._array.rows(self._gateway, {"ids": keys})
        async with self._gateway.reading() as connection:
            rows: Sequence[Any] = (await connection.execute(self._many, {"ids": keys})).all()
            return rows


_ID: Final = bindparam("id", type_=LargeBinary)


def _fenced(speech: Speech, wanted: ColumnElement[bool]) -> Select[Any]:
    """``READ_COLUMNS`` and the fence."""
    here = fence(speech.fence)
    tokens = here.outerjoin(TOKENS, wanted)
    return select(*_COLUMNS, here.c.fence).select_from(_joined(tokens))
