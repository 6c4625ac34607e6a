"""Connections to a server, kept open, and the requests that wait for one."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ._serving import CLIENT_CORE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from ._asgi import Headers

__all__ = ["Client", "on_core"]

_END: Final = b"\r\n\r\nok"


class Client:
    """A client that asks the same thing over and over, and takes nothing but success.

    Args:
        port: On loopback.
        headers: Of each request.
        connections: At most so many requests are under way.
    """

    def __init__(self, port: int, headers: Headers, *, connections: int) -> None:
        fields = b"".join(b"%s: %s\r\n" % field for field in headers)
        self._request: Final = b"GET /v4/jobGroups HTTP/1.1\r\n" + fields + b"\r\n"
        self._selector: Final = selectors.DefaultSelector()
        self._idle: Final[deque[socket.socket]] = deque()
        self._due: Final[dict[socket.socket, float]] = {}
        self._parts: Final[dict[socket.socket, bytes]] = {}
        self.waiting: Final[deque[float]] = deque()  # when each request was due
        self.latencies: Final[list[float]] = []  # seconds since then
        self._port: Final = port
        for _ in range(connections):
            self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for key in tuple(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _connect(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0)
        self._selector.register(connection, selectors.EVENT_READ)
        self._idle.append(connection)

    def _replace(self, connection: socket.socket) -> None:
        """A server closes what was idle for some seconds, while others had their turn."""
        self._selector.unregister(connection)
        connection.close()
        if connection in self._due:
            self.waiting.appendleft(self._due.pop(connection))
        else:
            self._idle.remove(connection)
        self._connect()

    def send(self) -> None:
        """Ask for what is due, as far as connections are free."""
        while self.waiting and self._idle:
            connection = self._idle.popleft()
            self._due[connection], self._parts[connection] = self.waiting.popleft(), b""
            try:
                connection.send(self._request)
            except ConnectionError:
                self._replace(connection)

    def receive(self, patience: float = 0) -> None:
        """Take the answers that have come, or that come within so many seconds."""
        for key, _ in self._selector.select(patience):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            try:
                part = connection.recv(65536)
            except ConnectionError:
                part = b""
            if not part:
                self._replace(connection)
                continue
            answer = self._parts[connection] + part
            assert answer.startswith(b"HTTP/1.1 200"), answer
            self._parts[connection] = answer
            if answer.endswith(_END):
                self.latencies.append(time.perf_counter() - self._due.pop(connection))
                self._idle.append(connection)

    def ask(self, count: int) -> None:
        """So many requests, each as soon as a connection is free; returns after the last answer."""
        self.latencies.clear()
        self.waiting.extend([time.perf_counter()] * count)
        while len(self.latencies) < count:
            self.send()
            self.receive(1)


@contextmanager
def on_core(core: int = CLIENT_CORE) -> Iterator[None]:
    """Run on this core alone meanwhile, if there is another for the servers."""
    cores = os.sched_getaffinity(0)
    if core in cores and len(cores) > 1:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
