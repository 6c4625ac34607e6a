"""ASGI applications and requests that the benchmarks share, and how a round of calls is timed."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.authentication import AuthCredentials, BaseUser
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "CALLS",
    "Headers",
    "Known",
    "bare",
    "bare_socket",
    "floor",
    "http_scope",
    "pass_through",
    "refuse",
    "request",
    "requests",
    "socket_scope",
    "status_of",
    "time_round",
]

Headers: TypeAlias = "list[tuple[bytes, bytes]]"
Known: TypeAlias = "Mapping[bytes, tuple[float, BaseUser, AuthCredentials]]"

CALLS: Final = 2000  # in a round of one form: some milliseconds, so that rounds are alike
_WARM: Final = (
    25  # calls before, twice, for the round of another form has filled the processor's caches
)
_LOT: Final = 25  # requests that are made together: a hundred kilobytes
# Seconds. Calls that never wait leave the event loop no time for polls, as no server would.
_YIELD: Final = 0.003
_CONNECT: Final = "websocket.connect"
_OK_HEADERS: Final = [(b"content-type", b"text/plain"), (b"content-length", b"2")]


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that only answers, and knows about lifespans."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": _OK_HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def bare_socket(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
    """An application that accepts a WebSocket and closes it."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close"})


async def refuse(send: Send) -> None:
    """What those answer whose library leaves the refusal to the user."""
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


def pass_through(app: ASGIApp) -> ASGIApp:
    """A layer that does nothing."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return layer


def floor(app: ASGIApp, known: Known) -> ASGIApp:
    """The least that a person would write by hand. It checks far less than the guard does."""
    clock = time.time

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"authorization" and value.startswith(b"Bearer "):
                    entry = known.get(sha256(value[7:]).digest())
                    if entry is not None and entry[0] > clock():
                        scope["user"] = entry[1]
                        scope["auth"] = entry[2]
                        await app(scope, receive, send)
                        return
                    break
        elif scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await refuse(send)

    return layer


def request(token: str, scheme: str = "Bearer", *more: tuple[bytes, bytes]) -> Headers:
    """The headers of a request: eight, ``authorization`` the sixth."""
    return [
        (b"host", b"api.example.com"),
        (b"user-agent", b"python-httpx/0.28.1"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
        (b"authorization", f"{scheme} {token}".encode()),
        (b"content-type", b"application/json"),
        (b"x-request-id", b"0bc1d49f54754c62a0ba6ad269389ada"),
        *more,
    ]


def requests(tokens: Sequence[str], scheme: str = "Bearer") -> list[Headers]:
    """The headers of a request with each token."""
    return [request(token, scheme) for token in tokens]


def http_scope(headers: Headers, path: str = "/v4/jobGroups") -> Scope:
    """A scope as a server makes it: every byte string a new object, no hash remembered."""
    copied = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "headers": copied,
        "state": {},
    }


def socket_scope(headers: Headers) -> Scope:
    """The same for a WebSocket."""
    return {**http_scope(headers), "type": "websocket", "scheme": "ws", "subprotocols": []}


async def _receive() -> Message:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def _connect() -> Message:
    return {"type": _CONNECT}


async def _send(message: Message) -> None:
    """Where answers go."""


async def time_round(
    app: ASGIApp,
    headers: Sequence[Headers],
    *,
    scope: Callable[[Headers], Scope] = http_scope,
    calls: int = CALLS,
) -> float:
    """Nanoseconds of processor time a call, over one round.

    That of all threads of this process: what others do meanwhile does not count. Requests are made
    some at a time, just before they are answered, as in a server: they are in the nearest caches.
    """
    receive = _receive if scope(headers[0])["type"] == "http" else _connect
    for pause in (_YIELD, 0):
        for i in range(min(_WARM, calls)):
            await app(scope(headers[i % len(headers)]), receive, _send)
        await asyncio.sleep(pause)
    taken = 0
    for start in range(0, calls, _LOT):
        lot = range(start, min(start + _LOT, calls))
        scopes = [scope(headers[i % len(headers)]) for i in lot]
        begun = time.process_time_ns()
        for one in scopes:
            await app(one, receive, _send)
        taken += time.process_time_ns() - begun
    return taken / calls


async def status_of(
    app: ASGIApp, headers: Headers, scope: Callable[[Headers], Scope] = http_scope
) -> int:
    """The status that a request is answered with; of a WebSocket that is accepted, 101."""
    statuses = []

    async def send(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            statuses.append(message["status"])
        elif message["type"] == "websocket.accept":
            statuses.append(101)

    one = scope(headers)
    await app(one, _receive if one["type"] == "http" else _connect, send)
    return int(statuses[0])
