"""What a request with a known token costs, in process: ``python -m benchmarks.hot_path``.

Every form answers the same requests in interleaved rounds of one run. What counts is a ratio: what
a form *adds* to the bare application, over what the hand-written *floor* adds: find the header,
check the scheme, SHA-256, a dictionary, the expiry, set the state. Absolute times say something of
the machine, and stand there for the curious.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
)
from starlette.middleware.authentication import AuthenticationMiddleware

from bearer_guard import BearerGuard, Keyring, open_store
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.token import TokenForm

from ._measure import interleave, ratios, tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bearer_guard import Store

    from ._measure import Form, Row

TOKENS: Final = 64
CALLS: Final = 2000  # in a round of one form: some milliseconds, so that rounds are alike


async def bare(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
    """An application that only answers."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def pass_through(app: ASGIApp) -> ASGIApp:
    """A layer that does nothing."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return layer


def floor(app: ASGIApp, known: Mapping[bytes, tuple[float, BaseUser, AuthCredentials]]) -> ASGIApp:
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
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    return layer


class DictBackend(AuthenticationBackend):
    """Starlette's own way, with a dictionary of plain tokens and no check at all."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        owner = self.known.get(token) if scheme == "Bearer" else None
        return None if owner is None else (AuthCredentials(["read"]), SimpleUser(owner))


def requests(tokens: list[str]) -> list[list[tuple[bytes, bytes]]]:
    """The headers of a request with each token: eight, ``authorization`` the sixth."""
    return [
        [
            (b"host", b"api.example.com"),
            (b"user-agent", b"python-httpx/0.28.1"),
            (b"accept", b"*/*"),
            (b"accept-encoding", b"gzip, deflate"),
            (b"connection", b"keep-alive"),
            (b"authorization", b"Bearer " + token.encode()),
            (b"content-type", b"application/json"),
            (b"x-request-id", b"0bc1d49f54754c62a0ba6ad269389ada"),
        ]
        for token in tokens
    ]


def fresh(headers: list[tuple[bytes, bytes]]) -> Scope:
    """A scope as a server makes it: every byte string a new object, no hash remembered."""
    copied = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/v4/jobGroups",
        "raw_path": b"/v4/jobGroups",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "headers": copied,
        "state": {},
    }


async def receive() -> Message:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """Where answers go."""


async def time_round(app: ASGIApp, headers: list[list[tuple[bytes, bytes]]]) -> float:
    """Nanoseconds a call, over one round."""
    scopes = [fresh(headers[i % len(headers)]) for i in range(CALLS)]
    begun = time.perf_counter_ns()
    for scope in scopes:
        await app(scope, receive, send)
    return (time.perf_counter_ns() - begun) / CALLS


def forge(count: int) -> list[str]:
    """Well-formed tokens with a right checksum that nobody issued."""

    form = TokenForm()
    return [form.mint(uuid4(), lambda _: b"0123456789") for _ in range(count)]


async def forms(store: Store, keyring: Keyring) -> tuple[dict[str, Form], BearerGuard]:
    """All forms, and the guard among them."""
    issuer = Issuer(store, keyring, listeners=())
    alice = Principal("alice", may_generate=True)
    issued = [
        await issuer.create(alice, lifetime=timedelta(days=1), scopes=["read"])
        for _ in range(TOKENS)
    ]
    tokens = [one.value for one in issued]
    good, forged = requests(tokens), requests(forge(CALLS))
    day = time.time() + 86400
    known = {
        sha256(token.encode()).digest(): (day, SimpleUser("alice"), AuthCredentials(["read"]))
        for token in tokens
    }
    guard = BearerGuard(bare, store=store, keyring=keyring, listeners=())
    backend = DictBackend(dict.fromkeys(tokens, "alice"))
    return {
        "bare": partial(time_round, bare, good),
        "pass-through": partial(time_round, pass_through(bare), good),
        "floor": partial(time_round, floor(bare, known), good),
        "guard": partial(time_round, guard, good),
        "guard, forged token": partial(time_round, guard, forged),
        "Starlette AuthenticationMiddleware": partial(
            time_round, AuthenticationMiddleware(bare, backend=backend), good
        ),
    }, guard


async def measure(rounds: int) -> list[Row]:
    """All forms, interleaved."""
    store = open_store("memory://")
    await store.open()
    timed, guard = await forms(store, Keyring.generate())
    await guard.verifier.open()
    times = await interleave(timed, rounds)
    await guard.verifier.close()
    return ratios(times, limit="floor", base="bare")


@click.command()
@click.option("--rounds", default=60, show_default=True, help="Of each form.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(rounds: int, *, as_json: bool) -> None:
    """Measure the hit path: what each form adds, over what the floor adds."""
    rows = asyncio.run(measure(rounds))
    tell("hit path: added / the floor's added", rows, rounds=rounds, as_json=as_json)


if __name__ == "__main__":
    main()
