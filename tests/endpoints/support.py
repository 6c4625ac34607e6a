"""What tests of the HTTP API need: the API over a store in memory, with people in it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import httpx2

from bearer_guard.endpoints.api import api_app
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.keyring import Keyring
from bearer_guard.testing import ManualClock
from tests.issuing.support import PASSWORD, FaultyStore, Told, cheap_passwords

if TYPE_CHECKING:
    from starlette.types import Message


ROOT: Final = Principal("root", admin=True)
NOBODY: Final = ("192.0.2.1", 50_000)


class Api:
    """The API, and a client of it.

    People: ``root`` is an administrator, ``alice`` and ``bob`` may generate, ``carol`` may not,
    ``dave`` is disabled. All have the same password.
    """

    def __init__(self, **options: Any) -> None:
        self.store = FaultyStore()
        self.keyring = Keyring.generate()
        self.clock = ManualClock()
        self.told = Told()
        self.passwords = cheap_passwords()
        self.app = api_app(
            self.store,
            self.keyring,
            **{
                "passwords": self.passwords,
                "clock": self.clock,
                "listeners": [self.told],
                **options,
            },
        )
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, client=NOBODY), base_url="http://testserver"
        )

    async def people(self) -> Api:
        accounts = Accounts(self.store, passwords=self.passwords, clock=self.clock, listeners=())
        await accounts.add(ROOT, "root", password=PASSWORD, admin=True)
        await accounts.add(ROOT, "alice", password=PASSWORD, may_generate=True)
        await accounts.add(ROOT, "bob", password=PASSWORD, may_generate=True)
        await accounts.add(ROOT, "carol", password=PASSWORD)
        await accounts.add(ROOT, "dave", password=PASSWORD, may_generate=True, disabled=True)
        return self

    async def ask(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "alice",
        token: str | None = None,
        prefix: str = "/v4",
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> httpx2.Response:
        """One request, with the credentials of ``who``, or with ``token``."""
        if token is not None:
            headers = {"authorization": f"Bearer {token}", **(headers or {})}
        elif who is not None:
            headers = {"authorization": basic(who), **(headers or {})}
        return await self.client.request(method, prefix + path, headers=headers, **request)

    async def create(self, who: str = "alice", **fields: Any) -> dict[str, Any]:
        """A new token, as the API tells it."""
        body = {"lifetimeSeconds": 3600, **fields}
        answer = await self.ask("POST", "/apiAccessTokens", who=who, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def settle(self, **settings: Any) -> None:
        answer = await self.ask("PATCH", "/apiAccessTokenSettings", who="root", json=settings)
        assert answer.status_code == 200, answer.text

    async def raw(
        self,
        method: str,
        path: str,
        *,
        headers: list[tuple[bytes, bytes]],
        messages: list[Message] | None = None,
        **scope: Any,
    ) -> Raw:
        """One request as a server would put it; ``messages`` are what it has to say."""
        raw = Raw(messages or [{"type": "http.request"}])
        await self.app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": method,
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "root_path": "",
                "headers": headers,
                "client": NOBODY,
                "server": ("testserver", 80),
                "scheme": "http",
                **scope,
            },
            raw.receive,
            raw.send,
        )
        return raw


class Raw:
    """A connection: what the server says and hears."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.received = 0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        self.received += 1
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def basic(name: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def challenges(answer: httpx2.Response) -> list[str]:
    return answer.headers.get_list("www-authenticate")
