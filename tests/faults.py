"""A TCP proxy that misbehaves on demand: what a network does between a client and a server."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from typing import Final

from tests.support import LOOPBACK

_CHUNK: Final = 65_536
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: RST instead of FIN


class Fault(Enum):
    """What happens to the connections that are open, and to those that come."""

    NONE = auto()
    REFUSE = auto()  # nobody listens any more; open connections are reset at once
    RESET = auto()  # open connections are reset when something is sent, new ones at once
    BLACK_HOLE = auto()  # all stay open and nothing flows; what was sent flows afterwards
    DELAY = auto()  # each piece of an answer comes `delay` seconds late
    CUT = auto()  # half of the next piece of an answer comes, then a reset
    HALF_OPEN = auto()  # open ones and new ones are mute for good, and neither end is told


class FaultyProxy:
    """Stands between a client and ``host:port``. Made by ``faulty_proxy``.

    Attributes:
        port: Where clients connect, on loopback; the same one through all faults.
        delay: Seconds, of ``Fault.DELAY``.
        accepted: How many connections came, all in all.
    """

    def __init__(self, host: str, port: int, *, delay: float) -> None:
        self._target: Final = (host, port)
        self._fault = Fault.NONE
        self._healed = asyncio.Event()
        self._links: set[_Link] = set()
        self._forgotten: list[asyncio.StreamWriter] = []  # servers' ends of mute connections
        self._server: asyncio.Server | None = None
        self.port = 0
        self.delay: Final = delay
        self.accepted = 0

    @property
    def open(self) -> int:
        """How many connections clients hold open."""
        return len(self._links)

    async def become(self, fault: Fault) -> None:
        """Misbehave like this from now on; ``Fault.NONE`` heals."""
        self._fault = fault
        if fault is Fault.HALF_OPEN:
            for link in self._links:
                link.mute = True
        if fault is Fault.REFUSE:
            await self.stop()
        elif self._server is None:
            await self.start()
        if fault is Fault.NONE:
            self._healed.set()
            self._healed = asyncio.Event()

    def cut_all(self) -> None:
        """Reset every open connection now, whatever the fault."""
        for link in self._links:
            link.reset()
            link.task.cancel()

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = [link.task for link in self._links]
        self.cut_all()
        _reset(self._forgotten)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(asyncio.current_task(), writer)
        link.mute = self._fault is Fault.HALF_OPEN
        self._links.add(link)
        try:
            if self._fault is not Fault.RESET:
                await self._forward(link, reader)
        except (OSError, asyncio.CancelledError):
            pass  # one side was reset: then the other is, too
        finally:
            if link.mute:
                self._forgotten += link.servers
                link.servers.clear()
            link.reset()
            self._links.discard(link)

    async def _forward(self, link: "_Link", reader: asyncio.StreamReader) -> None:
        server_reader, server = await asyncio.open_connection(*self._target)
        link.servers.append(server)
        asking = asyncio.create_task(self._pump(link, reader, server))
        answering = asyncio.create_task(self._pump(link, server_reader, link.client))
        try:
            await asyncio.wait([asking, answering], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in (asking, answering):
                pump.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _pump(
        self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK):
            answer = writer is link.client
            if self._fault is Fault.BLACK_HOLE:
                await self._healed.wait()
            elif self._fault is Fault.RESET:
                return
            elif self._fault is Fault.DELAY and answer:
                await asyncio.sleep(self.delay)
            elif self._fault is Fault.CUT and answer:
                link.client.write(data[: len(data) // 2])
                await asyncio.sleep(0.01)  # a reset that overtakes the half would hide it
                return
            if not link.mute:
                writer.write(data)
                with suppress(ConnectionError):
                    await writer.drain()


class _Link:
    """A client's connection and, once it is made, the one to the server."""

    def __init__(self, task: "asyncio.Task[None] | None", client: asyncio.StreamWriter) -> None:
        assert task is not None  # asyncio calls back in one for each connection
        self.task: Final = task
        self.client: Final = client
        self.servers: Final[list[asyncio.StreamWriter]] = []  # one, once it is connected
        self.mute = False

    def reset(self) -> None:
        _reset([self.client, *self.servers])


def _reset(writers: Sequence[asyncio.StreamWriter]) -> None:
    for writer in writers:
        raw: socket.socket | None = writer.get_extra_info("socket")
        if raw is not None and not writer.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        writer.transport.abort()


@asynccontextmanager
async def faulty_proxy(
    port: int, *, host: str = LOOPBACK, delay: float = 3.0
) -> AsyncIterator[FaultyProxy]:
    """A proxy in front of ``host:port``, until the block ends; it begins without a fault."""
    proxy = FaultyProxy(host, port, delay=delay)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def cut_1000_times(proxy: FaultyProxy, call: Callable[[], Awaitable[object]]) -> None:
    """Cut all connections again and again, each time while three calls are somewhere on the way.

    Five of that at once, so that most cuts come in the midst of others. The calls don't raise.
    """

    async def cut(numbers: range) -> None:
        for number in numbers:
            calls = asyncio.gather(*(call() for _ in range(3)))
            await asyncio.sleep(0.0005 * (number % 5))
            proxy.cut_all()
            await calls

    accepted = proxy.accepted
    await asyncio.gather(*(cut(range(start, 1_000, 5)) for start in range(5)))
    assert proxy.accepted >= accepted + 1_000
