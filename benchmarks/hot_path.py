"""What a request with a known token costs, in process: ``python -m benchmarks.hot_path``.

Every form answers the same requests in interleaved rounds of one run. What counts is a ratio: what
a form *adds* to the application, over what the hand-written *floor* adds: find the header, check
the scheme, SHA-256, a dictionary, the expiry, set the state. A peer that lives in a framework is
compared with the same application in that framework without it. Absolute times say something of
the machine, and stand there for the curious.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click
from starlette.authentication import AuthCredentials, SimpleUser

from bearer_guard import BearerGuard, Keyring, open_store
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.testing import a_record, a_token
from bearer_guard.token import TokenForm

from ._asgi import (
    CALLS,
    bare,
    bare_socket,
    floor,
    http_scope,
    pass_through,
    request,
    requests,
    socket_scope,
    status_of,
    time_round,
)
from ._measure import interleave, ratios
from ._report import Table, command, tell
from ._steps import steps
from .peers import gather

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp, Scope

    from bearer_guard import Store

    from ._asgi import Headers
    from ._measure import Form, Row
    from ._steps import Steps

TOKENS: Final = 64
SLOW_CALLS: Final = 300  # of what takes ten times as long
_PROXY_USER: Final = (b"x-forwarded-user", b"bob")
_Case = tuple["ASGIApp", "list[Headers]", int]


class Bench:
    """A store with tokens, and guards before it in all forms."""

    def __init__(self, store: Store, keyring: Keyring, stack: AsyncExitStack) -> None:
        self.store: Final = store
        self.keyring: Final = keyring
        self.forms: dict[str, Form] = {}
        self.bases: dict[str, str] = {}
        self.counted: dict[str, Callable[[], Awaitable[object]]] = {}
        self._stack: Final = stack

    async def fill(self) -> None:
        """Issue the tokens, and add all forms."""
        issuer = Issuer(self.store, self.keyring, listeners=())
        alice = Principal("alice", may_generate=True)
        issued = [
            await issuer.create(alice, lifetime=timedelta(days=1), scopes=["read"])
            for _ in range(TOKENS)
        ]
        tokens = [one.value for one in issued]
        await self._add_limits(tokens)
        await self._add_guards(tokens)
        await self._add_refusals(tokens)

    async def _add_limits(self, tokens: Sequence[str]) -> None:
        day = time.time() + 86400
        known = {
            sha256(token.encode()).digest(): (day, SimpleUser("alice"), AuthCredentials(["read"]))
            for token in tokens
        }
        good = requests(tokens)
        await self.add("bare", (bare, good, 200), base=None)
        await self.add("pass-through", (pass_through(bare), good, 200))
        await self.add("floor", (floor(bare, known), good, 200))

    async def _add_guards(self, tokens: Sequence[str]) -> None:
        good, none = requests(tokens), [request("", "Basic")[:5]]
        plain, optional = await self.guard(), await self.guard(optional=True)
        await self.add("guard", (plain, good, 200))
        await self.add("guard, scopes", (await self.guard(scopes=["read"]), good, 200))
        exempt = await self.guard(exempt=["/v4/jobGroups", "/static/*"])
        await self.add("guard, exempt path", (exempt, good, 200))
        path = partial(http_scope, path="/v4/people")
        await self.add("guard, beside exempt paths", (exempt, good, 200), scope=path)
        await self.add("guard, optional", (optional, good, 200))
        await self.add("guard, optional, anonymous", (optional, none, 200))
        await self.add("bare WebSocket", (bare_socket, good, 101), base=None, scope=socket_scope)
        socket = (await self.guard(bare_socket), good, 101)
        await self.add("guard, WebSocket", socket, "bare WebSocket", socket_scope, SLOW_CALLS)

    async def _add_refusals(self, tokens: Sequence[str]) -> None:
        plain = await self.guard()
        proxied = [request(token, "Bearer", _PROXY_USER) for token in tokens]
        await self.add("guard, no token", (plain, [request("", "Basic")[:5]], 401))
        await self.add("guard, forged", (plain, requests(forge(CALLS)), 401))
        expired = plain, requests(await self._expired()), 401
        await self.add("guard, expired", expired, calls=SLOW_CALLS)
        await self.add("guard, proxy identity", (plain, proxied, 403), calls=SLOW_CALLS)

    async def guard(
        self,
        app: ASGIApp = bare,
        *,
        exempt: Sequence[str] = (),
        optional: bool = False,
        scopes: Sequence[str] = (),
    ) -> BearerGuard:
        """A guard of the store, opened."""
        guard = BearerGuard(
            app,
            store=self.store,
            keyring=self.keyring,
            listeners=(),
            exempt=exempt,
            optional=optional,
            scopes=scopes,
        )
        await guard.verifier.open()
        self._stack.push_async_callback(_close, guard)
        return guard

    async def _expired(self) -> list[str]:
        now = SYSTEM_CLOCK.now_ms()
        old = a_record(created_ms=now - 2000, expires_ms=now - 1000)
        text, record = a_token(self.keyring, old)
        await self.store.add(record)
        return [text]

    async def add(
        self,
        name: str,
        case: _Case,
        base: str | None = "bare",
        scope: Callable[[Headers], Scope] = http_scope,
        calls: int = CALLS,
    ) -> None:
        """Add a form, if it answers as it should."""
        app, headers, expected = case
        status = await status_of(app, headers[0], scope)
        if status != expected:
            raise AssertionError(f"{name}: answered {status}, not {expected}")
        self.forms[name] = partial(time_round, app, headers, scope=scope, calls=calls)
        self.bases[name] = base or name
        if scope is not socket_scope:  # the guard answers those in a task of their own
            self.counted[name] = partial(status_of, app, headers[-1], scope)


async def _close(guard: BearerGuard) -> None:
    guard.verifier.last_used.uses.clear()  # the store that all share may be closed already
    await guard.verifier.close()


def forge(count: int) -> list[str]:
    """Well-formed tokens with a right checksum that nobody issued."""
    form = TokenForm()
    return [form.mint(uuid4(), lambda _: b"0123456789") for _ in range(count)]


async def measure(rounds: int, *, peers: bool = True) -> tuple[list[Row], list[str], list[Steps]]:
    """All forms, interleaved; remarks about the peers; and the steps of all but those."""
    remarks: list[str] = []
    async with AsyncExitStack() as stack:
        store = open_store("memory://")
        await store.open()
        bench = Bench(store, Keyring.generate(), stack)
        await bench.fill()
        if peers:
            found, remarks = await gather(stack)
            for peer in found:
                bench.forms |= {peer.base: peer.bare, peer.name: peer.guarded}
                bench.bases |= {peer.base: peer.base, peer.name: peer.base}
        times = await interleave(bench.forms, rounds)
        rows = ratios(times, limit="floor", bases=bench.bases)
        counts = [await steps(name, call) for name, call in bench.counted.items()]
    return rows, remarks, counts


@command(rounds=40)
@click.option("--peers/--no-peers", default=True, help="Measure other libraries too.")
def main(rounds: int, *, as_json: bool, out: Path | None, peers: bool) -> None:
    """Measure the hit path: what each form adds, over what the floor adds."""
    rows, remarks, counts = asyncio.run(measure(rounds, peers=peers))
    tables = [
        Table("what each form adds, over what the floor adds", rows, remarks),
        Table("steps of the interpreter, a request", counts),
    ]
    tell("hit path", tables, rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
