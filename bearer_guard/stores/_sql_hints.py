"""Hints by LISTEN and NOTIFY: ids of tokens that ended, as they end. Never needed, often fast.

The listener has a connection of its own. When it begins it sends itself a probe through another
one: behind a pooler that hands each transaction to another connection nothing arrives, and nobody
says so. The probe is for the log only; no proof rests on it.
"""

from __future__ import annotations

import logging
import re
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bearer_guard.errors import StoreUnavailable

from ._sql_driver import codes
from ._sql_gateway import CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from ._sql_driver import Connection
    from ._sql_gateway import Gateway, Writing

__all__ = ["Hints", "payloads"]

CHANNEL: Final = "bearer_guard"
SILENCE_SECONDS: Final = (
    2.0  # then the probe should be back; later, a look whether anybody is there
)
_PROBE: Final = "probe "
_IDS: Final = 200  # of 32 digits and a space: a payload has less than 8,000 bytes
_MOST_IDS: Final = 1_000  # of more a poll makes a reset
_NOTIFY: Final = text(f"SELECT pg_notify('{CHANNEL}', :payload)")
# Not supported; a syntax error; no such function: so say CockroachDB and YugabyteDB.
_NOT_THERE: Final = {"0A000", "42601", "42883"}
_ID: Final = re.compile(r"[0-9a-f]{32}")

_log: Final = logging.getLogger("bearer_guard")


class Hints:
    """Sends and receives them.

    Args:
        gateway: To the database.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway: Final = gateway
        self._channels = gateway.driver.speech.has_channels
        self._deaf = False

    def send(self, writing: Writing, ids: Sequence[bytes]) -> None:
        """Tell who listens when the transaction is committed.

        Not within it: there, NOTIFY takes a lock that makes all commits wait for each other, and
        fails the transaction when the queue is full.
        """
        if self._channels and len(ids) <= _MOST_IDS:
            writing.afterwards.append(partial(self._notify, payloads(ids)))

    async def _notify(self, texts: Sequence[str], connection: AsyncConnection) -> None:
        try:
            for text in texts:
                await connection.execute(_NOTIFY, {"payload": text})
        except DBAPIError as error:
            if not self._lacks_channels(error):
                raise

    def listen(self) -> AsyncIterator[Collection[UUID]] | None:
        """Ids as they are told; ``None`` where nothing can be heard.

        The iterator raises ``StoreUnavailable`` when the connection breaks.
        """
        if self._deaf or not self._channels:
            return None
        return self._listen()

    async def _listen(self) -> AsyncIterator[Collection[UUID]]:
        driver = self._gateway.driver
        async with self._gateway.answering():
            connection = await driver.connect()
        try:
            heard = driver.listen(connection, CHANNEL, SILENCE_SECONDS)
            probe = _PROBE + secrets.token_hex(8)
            try:
                async with self._gateway.answering() as limit:
                    with limit.holding(connection):
                        await anext(heard)
                async with self._gateway.reading() as other:
                    await other.execute(_NOTIFY, {"payload": probe})
            except StoreUnavailable as error:
                if self._lacks_channels(error.__cause__):
                    return
                raise
            arrives = False
            while True:
                payload = await self._next(heard)
                if payload is not None:
                    arrives = True
                    if not payload.startswith(_PROBE):
                        yield _ids(payload)
                    continue
                await self._ping(connection)
                if not arrives:
                    self._deaf = True
                    _log.warning(
                        "hints do not arrive from %s, perhaps for a pooler in front of it: ended"
                        " tokens are noticed by polls alone",
                        self._gateway.where,
                    )
                    return
        finally:
            driver.hang_up(connection)

    def _lacks_channels(self, error: BaseException | None) -> bool:
        """Whether the server said so; then it is not asked again."""
        if codes(error) & _NOT_THERE:
            self._channels = False
            _log.info(
                "%s has no LISTEN and NOTIFY: ended tokens are noticed by polls alone",
                self._gateway.where,
            )
        return not self._channels

    async def _next(self, heard: AsyncIterator[str | None]) -> str | None:
        async with self._gateway.answering(SILENCE_SECONDS + CALL_SECONDS):
            return await anext(heard)

    async def _ping(self, connection: Connection) -> None:
        async with self._gateway.answering() as limit:
            with limit.holding(connection):
                await self._gateway.driver.rows(connection, "SELECT 1", ())


def payloads(ids: Sequence[bytes]) -> list[str]:
    """What is notified of these."""
    digits = [id.hex() for id in ids]
    return [" ".join(digits[at : at + _IDS]) for at in range(0, len(digits), _IDS)]


def _ids(payload: str) -> list[UUID]:
    """What a payload tells; anybody may notify, and what is no id is nothing."""
    return [UUID(hex=part) for part in payload.split() if _ID.fullmatch(part)]
