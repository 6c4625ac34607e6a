"""A client that sends exactly the bytes it is told to."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing, suppress
from dataclasses import dataclass, field

from tests.support import LOOPBACK

_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back. Status 0: the connection was closed without an answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    after: bytes = b""

    def values(self, name: str) -> list[str]:
        return [value for n, value in self.headers if n.lower() == name]


def ask(
    port: int,
    lines: list[bytes],
    *,
    method: str = "GET",
    path: str = "/",
    version: str = "1.1",
    body: bytes = b"",
    host: bool = True,
) -> Answered:
    """One request on a connection of its own."""
    head = [f"{method} {path} HTTP/{version}".encode()]
    if host:
        head.append(b"Host: service.example")
    upgrade = any(line.lower().startswith(b"upgrade:") for line in lines)
    if not any(line.lower().startswith(b"connection:") for line in lines):
        head.append(b"Connection: close")
    data = b"\r\n".join([*head, *lines, b"", b""]) + body
    with closing(socket.create_connection((LOOPBACK, port), _SECONDS)) as connection:
        with suppress(OSError):  # refused before all of it was read: the answer may be there
            connection.sendall(data)
        return _read(connection, method, upgrade=upgrade)


def _read(connection: socket.socket, method: str, *, upgrade: bool) -> Answered:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        if upgrade and response.status == 101:
            connection.sendall(b"ping")
            after = response.fp.read(4)
            return Answered(status=101, headers=response.getheaders(), after=after)
        body = response.read()
    except (OSError, http.client.HTTPException):
        return Answered(status=0)
    return Answered(status=response.status, headers=response.getheaders(), body=body)


class KeptAlive:
    """A client that keeps its connection for as long as the other side does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._line: socket.socket | None = None

    def ask(self, lines: list[bytes]) -> Answered:
        """One request."""
        if self._line is None:
            self._line = socket.create_connection((LOOPBACK, self._port), _SECONDS)
        head = [b"GET / HTTP/1.1", b"Host: service.example", *lines, b"", b""]
        self._line.sendall(b"\r\n".join(head))
        response = http.client.HTTPResponse(self._line, method="GET")
        response.begin()
        body = response.read()
        if response.will_close:
            self.close()
        return Answered(status=response.status, headers=response.getheaders(), body=body)

    def close(self) -> None:
        """Let go of the connection."""
        if self._line is not None:
            self._line.close()
        self._line = None
