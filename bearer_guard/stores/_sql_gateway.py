"""Connections to a database: lent for one call, for a short time.

Every driver's error ends here, in ``answering``.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

from bearer_guard.errors import BearerGuardError, InvalidRequest, StoreUnavailable

from ._sql_dialect import is_cockroachdb
from ._sql_driver import codes
from ._sql_fence import Replica, refuse_replica
from ._sql_limit import Limit
from ._sql_pool import Pool, new_engine
from ._sql_speech import PATIENT_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.pool import PoolProxiedConnection

    from ._sql_driver import Driver, Values

__all__ = ["CALL_SECONDS", "Gateway", "Writing"]

CALL_SECONDS: Final = 0.65  # a 503 must be out within a second
_ERROR_CHARACTERS: Final = 200
# The server says for sure that nothing was committed: two transactions were in each other's way.
_TAKEN_BACK: Final = {"40001", "40P01", 1213}
_TRIES: Final = 5  # of a transaction, within the time of its call
_PAUSE_SECONDS: Final = 0.02  # at most, before the next try

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Writing:
    """A transaction that is open.

    Attributes:
        connection: In which statements are executed.
        limit: To be renewed between the steps of a long one.
        afterwards: What is done when it is committed; nobody is told when that fails.
    """

    connection: AsyncConnection
    limit: Limit
    afterwards: list[Callable[[AsyncConnection], Awaitable[None]]] = field(default_factory=list)


class Gateway:
    """Lends connections.

    Args:
        driver: Makes them.
        where: What errors call the database; no password in it.
        pool_size: How many connections are kept, and half of how many there are at most.
    """

    def __init__(self, driver: Driver, where: str, *, pool_size: int) -> None:
        self.driver: Final = driver
        self.where: Final = where
        self.seconds = CALL_SECONDS
        self._pool_size: Final = pool_size
        self._pool: Pool | None = None
        self._failures: Final[tuple[type[Exception], ...]] = (
            DBAPIError,
            PoolTimeoutError,
            OSError,  # with it TimeoutError, which is what a limit ends with
            *driver.errors,
        )

    async def close(self) -> None:
        """Let go of all connections; a call makes new ones."""
        pool, self._pool = self._pool, None
        if pool is not None and pool.is_here():
            async with self.answering():
                await pool.engine.dispose()

    @asynccontextmanager
    async def answering(self, seconds: float | None = None) -> AsyncIterator[Limit]:
        """An answer in time, or the one error that there is.

        Raises:
            StoreUnavailable: No answer.
        """
        limit = Limit(self.driver, self.seconds if seconds is None else seconds)
        try:
            async with limit:
                yield limit
        except Replica:
            self._distrust(limit)
            raise
        except DataError as error:
            raise InvalidRequest("a text is too long, or a number too large") from error
        except self._failures as error:
            if limit.over or (limit.connection and self.driver.closed(limit.connection)):
                self._distrust(limit)
            raise StoreUnavailable(self._sentence(error, limit)) from error

    @asynccontextmanager
    async def reading(self, seconds: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection, where each statement is a transaction.

        Raises:
            StoreUnavailable: No answer.
        """
        pool = self._current()
        async with self.answering(seconds) as limit, pool.engine.connect() as connection:
            with _lending(limit, _pooled(connection)):
                yield connection

    async def write(self, work: Callable[[Writing], Awaitable[_T]]) -> _T:
        """What ``work`` returns, once its transaction is committed; an exception takes it back.

        Where the server takes it back, for the sake of another transaction, work is begun anew.

        Raises:
            StoreUnavailable: No answer. Whether it was committed is unknown.
        """
        pool = self._current()
        async with self.answering() as limit:
            return await self._written(pool, limit, work)

    async def write_alone(self, work: Callable[[Writing], Awaitable[_T]]) -> _T:
        """As ``write``, for what locks the counter: one at a time in this process.

        If all stood in line at the database instead, whoever has the lock would wait for the
        event loop in the middle of all the others, and everybody with it.

        Raises:
            StoreUnavailable: No answer. Whether it was committed is unknown.
        """
        pool = self._current()
        async with self.answering() as limit, pool.turn:
            return await self._written(pool, limit, work)

    async def _written(
        self, pool: Pool, limit: Limit, work: Callable[[Writing], Awaitable[_T]]
    ) -> _T:
        tries = 0
        while True:
            tries += 1
            try:
                async with self._transaction(pool, limit) as writing:
                    return await work(writing)
            except DBAPIError as error:
                if tries == _TRIES or not _is_taken_back(error):
                    raise
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - jitter

    @asynccontextmanager
    async def _transaction(self, pool: Pool, limit: Limit) -> AsyncIterator[Writing]:
        speech = self.driver.speech
        undone: Exception | None = None
        async with pool.engine.connect() as connection:
            writing = Writing(connection, limit)
            with _lending(limit, _pooled(connection)):
                try:
                    await connection.exec_driver_sql(speech.begin)
                    told = (await connection.execute(speech.prologue)).one()
                    try:
                        refuse_replica(told.fence)
                        yield writing
                        await connection.exec_driver_sql("COMMIT")
                    except (BearerGuardError, DBAPIError) as error:
                        if isinstance(error, DBAPIError) and not _is_taken_back(error):
                            raise
                        undone = error
                        await connection.exec_driver_sql("ROLLBACK")
                except BaseException:
                    await connection.invalidate()  # the server takes back what was not committed
                    raise
                if undone is None:
                    await self._follow_up(writing)
        if undone is not None:
            raise undone

    async def _follow_up(self, writing: Writing) -> None:
        try:
            for step in writing.afterwards:
                await step(writing.connection)
        except self._failures:
            await writing.connection.invalidate()

    @asynccontextmanager
    async def patient(self) -> AsyncIterator[AsyncConnection]:
        """A connection of its own, in a transaction, for what may take a minute.

        On CockroachDB in none: it changes tables by single statements.

        Raises:
            StoreUnavailable: No answer even so.
        """
        engine = new_engine(self.driver, poolclass=NullPool)
        async with self.answering(PATIENT_SECONDS), engine.connect() as connection:
            if not is_cockroachdb(connection.dialect):
                await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                if self.driver.speech.patience is not None:
                    await connection.exec_driver_sql(self.driver.speech.patience)
                yield connection

    async def rows(self, sql: str, values: Values) -> Sequence[Sequence[object]]:
        """Ask the driver itself, for what is asked most: less than half of SQLAlchemy's cost.

        Args:
            sql: In the driver's own form.
            values: Of its parameters, as the driver takes them.

        Raises:
            StoreUnavailable: No answer.
        """
        pool = self._current()
        async with self.answering() as limit:
            lent = await pool.engine.raw_connection()
            try:
                with _lending(limit, lent):
                    return await self.driver.rows(limit.connection, sql, values)
            except BaseException:
                await greenlet_spawn(lent.invalidate)  # in the middle of an answer, perhaps
                raise
            finally:
                # Where there are more than the pool keeps, this closes it: that has to be awaited.
                await greenlet_spawn(lent.close)

    def _current(self) -> Pool:
        pool = self._pool
        if pool is None or not pool.is_here():
            if pool is not None:
                pool.abandon()
            pool = Pool(self.driver, size=self._pool_size, seconds=self.seconds)
            self._pool = pool
        return pool

    def _distrust(self, limit: Limit) -> None:
        if self._pool is not None:
            self._pool.distrust(limit.generation)

    def _sentence(self, error: Exception, limit: Limit) -> str:
        if limit.over:
            return f"no answer from {self.where} within {limit.seconds:g} s"
        cause = getattr(error, "orig", None) or error
        said = str(cause).partition("\n")[0][:_ERROR_CHARACTERS]
        return f"no answer from {self.where}: {said or type(cause).__name__}"


def _is_taken_back(error: DBAPIError) -> bool:
    return not codes(error).isdisjoint(_TAKEN_BACK)


def _lending(limit: Limit, lent: PoolProxiedConnection) -> AbstractContextManager[None]:
    return limit.holding(lent.driver_connection, lent.info["generation"])


def _pooled(connection: AsyncConnection) -> PoolProxiedConnection:
    return connection.sync_connection.connection  # type: ignore[union-attr] # it is connected
