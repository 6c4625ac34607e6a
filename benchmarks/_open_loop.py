"""Requests at times that were settled before, whether or not the answers have come.

A client that waits for an answer before it asks again never sees what a pause does to those who
would have asked meanwhile. Here a latency counts from when a request was due, not from when a
connection was free for it. The loop spins on a core of its own: timers are far too coarse.
"""

from __future__ import annotations

import gc
import os
import random
import selectors
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from ._serving import CLIENT_CORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["fire"]

CONNECTIONS: Final = 32
_END: Final = b"\r\n\r\nok"
_PATIENCE: Final = 5.0  # seconds, after the last one was due


class _Client:
    """Connections, and what waits for them."""

    def __init__(self, port: int, request: bytes) -> None:
        self._request: Final = request
        self._selector: Final = selectors.DefaultSelector()
        self._idle: Final[deque[socket.socket]] = deque()
        self._due: Final[dict[socket.socket, float]] = {}
        self._parts: Final[dict[socket.socket, bytes]] = {}
        self.waiting: Final[deque[float]] = deque()
        self.latencies: Final[list[float]] = []
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(0)
            self._selector.register(connection, selectors.EVENT_READ)
            self._idle.append(connection)

    def send(self) -> None:
        """Ask for what is due, as far as connections are free."""
        while self.waiting and self._idle:
            connection = self._idle.pop()
            self._due[connection], self._parts[connection] = self.waiting.popleft(), b""
            connection.send(self._request)

    def receive(self) -> None:
        """Take the answers that have come."""
        for key, _ in self._selector.select(0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answer = self._parts[connection] + connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            self._parts[connection] = answer
            if answer.endswith(_END):
                self.latencies.append(time.perf_counter() - self._due.pop(connection))
                self._idle.append(connection)

    def close(self) -> None:
        for key in tuple(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


def fire(
    port: int, headers: Sequence[tuple[bytes, bytes]], rate: float, seconds: float
) -> list[float]:
    """Latencies in seconds of requests that came at random, ``rate`` a second on average."""
    fields = b"".join(b"%s: %s\r\n" % field for field in headers)
    client = _Client(port, b"GET /v4/jobGroups HTTP/1.1\r\n" + fields + b"\r\n")
    cores = _move_to(CLIENT_CORE)
    gc.collect()
    gc.disable()
    try:
        _spin(client, rate, seconds)
    finally:
        gc.enable()
        client.close()
        os.sched_setaffinity(0, cores)
    return client.latencies


def _move_to(core: int) -> set[int]:
    """Run on this core, if it may; returns the cores there were."""
    cores = os.sched_getaffinity(0)
    if core in cores and len(cores) > 1:
        os.sched_setaffinity(0, {core})
    return cores


def _spin(client: _Client, rate: float, seconds: float) -> None:
    times = list(_arrivals(rate, seconds))
    begun, i = time.perf_counter(), 0
    while len(client.latencies) < len(times):
        now = time.perf_counter() - begun
        while i < len(times) and times[i] <= now:
            client.waiting.append(begun + times[i])
            i += 1
        client.send()
        client.receive()
        assert now < seconds + _PATIENCE, "the server does not keep up"


def _arrivals(rate: float, seconds: float) -> Iterator[float]:
    """Seconds after the start, as independent callers would come."""
    chance, at = random.Random(1), 0.0  # noqa: S311 - the same times for all
    while (at := at + chance.expovariate(rate)) < seconds:
        yield at
