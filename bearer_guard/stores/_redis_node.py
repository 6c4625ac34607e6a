"""Connections to one Redis server.

redis-py speaks the protocol and keeps the connections. Its clients are left out: they repeat
commands behind the caller's back, quote commands in their errors, and don't promise that what is
sent together goes over one connection.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._redis_rows import Reply
    from ._redis_scripts import Arg
    from ._redis_url import Address, Login

__all__ = ["Command", "Node"]

Command: TypeAlias = "tuple[Arg, ...]"

CONNECT_SECONDS: Final = 0.5
CONNECTIONS: Final = 32  # more callers than that wait for their turn


class Node:
    """A server, and the connections to it. It belongs to one event loop.

    Args:
        address: Where it listens.
        login: Who to be.
        database: Which of its databases to use.
        tls: Options of a TLS connection; ``None``: no TLS.
    """

    def __init__(
        self,
        address: Address,
        *,
        login: Login,
        database: int = 0,
        tls: Mapping[str, str] | None = None,
    ) -> None:
        secure: dict[str, Any] = {} if tls is None else {"ssl_check_hostname": True, **tls}
        self.address: Final = address
        self._turns: Final = asyncio.Semaphore(CONNECTIONS)
        self._pool: Final = ConnectionPool(
            connection_class=Connection if tls is None else SSLConnection,
            max_connections=CONNECTIONS,
            host=address.host,
            port=address.port,
            db=database,
            username=login.username,
            password=login.password,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=None,  # callers limit the time of all of it, at a third of the cost
            socket_keepalive=True,
            health_check_interval=0,  # it would cost a round trip more, and prove nothing
            retry=Retry(NoBackoff(), 0),
            **secure,
        )

    async def send(self, commands: Sequence[Command]) -> list[Reply | ResponseError]:
        """What the server answers to each, all sent at once over one connection.

        The caller limits the time. A connection on which it runs out is given up.

        Raises:
            RedisError: No answer; none of the commands is repeated.
            OSError: No answer.
        """
        async with self._turns:
            # redis-py's decorator hides the types
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            try:
                packed = connection.pack_commands(commands)
                await connection.send_packed_command(packed, check_health=False)
                return [await _reply(connection) for _ in commands]
            finally:
                await self._pool.release(connection)

    async def close(self) -> None:
        """Let go of the connections."""
        with suppress(RedisError, OSError):  # it may be the one that does not answer
            await self._pool.disconnect()


async def _reply(connection: AbstractConnection) -> Reply | ResponseError:
    try:
        return cast("Reply", await connection.read_response())
    except ResponseError as error:
        return error
