"""A plain service, as stands behind proxies: it knows no tokens, and notes what reaches it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from tests.support import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    length: int

    def values(self, folded: str) -> list[str]:
        """Of all headers that a service behind CGI could take for this one, blank ones left out."""
        return [v for name, v in self.headers if fold(name) == folded and v.strip()]


@dataclass
class Backend:
    port: int
    seen: list[Seen] = field(default_factory=list)


def fold(name: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in name.lower())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer goes out in two pieces, and nobody waits for them
    backend: Backend

    def _answer(self) -> None:
        length = self._read_body()
        seen = Seen(
            method=self.command, path=self.path, headers=self.headers.items(), length=length
        )
        self.backend.seen.append(seen)
        if self.headers.get("upgrade", "").lower() == "websocket":
            self._echo()
            return
        body = json.dumps({"length": length}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

    def _read_body(self) -> int:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            return self._read_chunks()
        left = length = int(self.headers.get("content-length", 0))
        while left:
            left -= len(self.rfile.read(min(left, _CHUNK)))
        return length

    def _read_chunks(self) -> int:
        length = 0
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            length += len(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return length

    def _echo(self) -> None:
        """As much of a WebSocket as proxies know of it: bytes go through."""
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(self.rfile.read(4))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A proxy may hang up at any time."""


@contextmanager
def plain_service() -> Iterator[Backend]:
    """Serve until the block ends."""
    handler = type("Handler", (_Handler,), {})
    with _Server((LOOPBACK, 0), handler) as server:
        backend = handler.backend = Backend(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield backend
        finally:
            server.shutdown()
            thread.join()
