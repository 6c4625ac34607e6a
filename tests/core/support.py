"""A guard to play with: an application that tells what it got, in memory, at a clock by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bearer_guard import BearerGuard, Keyring
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock, a_record, a_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from uuid import UUID

    from starlette.types import Message, Receive, Scope, Send

    from bearer_guard.events import Event
    from bearer_guard.record import TokenRecord, Use
    from bearer_guard.store import Changes, Cursor

Headers = list[tuple[bytes, bytes]]


class CountingStore(MemoryStore):
    """A memory store that counts its calls, and can be held up or made to fail.

    It has no ``fetch_now``: what is read takes a turn of the event loop, as with a server.
    """

    fetch_now = None  # type: ignore[assignment] # takes away the short cut

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.fetches: list[list[UUID]] = []
        self.polls = 0
        self.policies = 0
        self.touched: list[Mapping[UUID, Use]] = []
        self.gate: asyncio.Event | None = None
        self.broken: Exception | None = None

    async def _pass(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.broken is not None:
            raise self.broken

    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        self.fetches.append(list(ids))
        found = MemoryStore.fetch_now(self, ids)
        await asyncio.sleep(0)
        await self._pass()
        return found

    async def changes(self, cursor: Cursor | None) -> Changes:
        self.polls += 1
        changes = await super().changes(cursor)
        await self._pass()
        return changes

    async def policy(self) -> Any:
        self.policies += 1
        policy = await super().policy()
        await self._pass()
        return policy

    async def touch(self, uses: Mapping[UUID, Use]) -> None:
        await self._pass()
        self.touched.append(uses)
        await super().touch(uses)


@dataclass
class Got:
    """What came back of one connection, and what the application saw of it."""

    messages: list[Message] = field(default_factory=list)
    scope: Scope | None = None

    @property
    def reached(self) -> bool:
        """Whether the application was called."""
        return self.scope is not None

    @property
    def status(self) -> int:
        """Of HTTP."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        """Of the answer."""
        return b"".join(m.get("body", b"") for m in self.messages if m["type"].endswith(".body"))


class World:
    """One guard with its store, keys, clock and audit."""

    def __init__(self, store: MemoryStore | None = None, **options: Any) -> None:
        self.clock = ManualClock()
        self.store = CountingStore(self.clock) if store is None else store
        self.keyring = Keyring.generate()
        self.events: list[Event] = []
        self.got = Got()
        options = {"clock": self.clock, "listeners": [self.events.append], **options}
        self.guard = BearerGuard(self._app, store=self.store, keyring=self.keyring, **options)
        self.verifier = self.guard.verifier

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        self.got.scope = scope
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    async def token(self, **fields: Any) -> str:
        """A stored token, and its text."""
        text, record = a_token(self.keyring, a_record(**fields))
        await self.store.add(record)
        return text

    async def ask(
        self,
        *values: str | bytes,
        headers: Headers | None = None,
        type: str = "http",  # noqa: A002 - the ASGI scope's own word
        path: str = "/",
        client: tuple[str, int] | None = ("192.0.2.1", 50000),
        **more: Any,
    ) -> Got:
        """One connection. ``values``: of Authorization fields; more headers may follow them."""
        sent = [(b"authorization", v.encode() if isinstance(v, str) else v) for v in values]
        scope: Scope = {
            "type": type,
            "path": path,
            "headers": [(b"host", b"localhost"), *sent, *(headers or [])],
            "client": client,
            "extensions": {},
            **more,
        }
        got = self.got = Got()

        async def receive() -> Message:
            return {"type": f"{type}.connect" if type == "websocket" else "http.request"}

        async def send(message: Message) -> None:
            got.messages.append(message)

        await self.guard(scope, receive, send)
        return got


def bearer(token: str) -> str:
    """The credentials with this token."""
    return f"Bearer {token}"


async def until(condition: Callable[[], object]) -> None:
    """Let others run until it holds; the test's own time limit is the end of waiting."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


async def settle(turns: int = 20) -> None:
    """Let what can run run."""
    for _ in range(turns):
        await asyncio.sleep(0)
