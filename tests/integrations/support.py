"""What tests of the integrations share: tokens of every fate, and what each is answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx2

from bearer_guard import Keyring, StoreUnavailable
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import ManualClock, a_record, a_token
from bearer_guard.testing.records import DAY_MS
from bearer_guard.token import TokenForm
from tests.core.support import CountingStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from bearer_guard.events import Event

SCOPE: Final = "reports:read"
OWNER: Final = "alice"


class Setting:
    """A store with tokens of every fate, and the options of a guard over it."""

    def __init__(self) -> None:
        # Libraries look at the machine's. In whole seconds: protocols tell no less.
        self.clock = ManualClock(SYSTEM_CLOCK.now_ms() // 1000 * 1000)
        self.store = CountingStore(self.clock)
        self.keyring = Keyring.generate()
        self.events: list[Event] = []
        now_ms = self.clock.now_ms()
        self.tokens: Final = {
            "good": self.token(scopes=[SCOPE]),
            "narrow": self.token(scopes=["reports"]),
            "expired": self.token(scopes=[SCOPE], expires_ms=now_ms),
            "deleted": self.token(scopes=[SCOPE], ended_ms=now_ms, end_reason="deleted"),
            "unknown": a_token(self.keyring)[0],
            "forged": TokenForm().mint(a_record().id, lambda _: b"0123456789"),
        }

    @property
    def options(self) -> dict[str, Any]:
        """Of a guard."""
        return {
            "store": self.store,
            "keyring": self.keyring,
            "clock": self.clock,
            "listeners": [self.events.append],
        }

    def token(self, *, owner: str = OWNER, **fields: Any) -> str:
        """A token that the store knows."""
        now_ms = self.clock.now_ms()
        times = {"created_ms": now_ms, "expires_ms": now_ms + DAY_MS}
        text, record = a_token(self.keyring, a_record(owner=owner, **times | fields))
        self.store._records[record.id] = record
        return text

    def bearer(self, name: str) -> tuple[str, str]:
        """The field with the token of this name."""
        return ("authorization", f"Bearer {self.tokens[name]}")

    def headers(self, case: Case) -> list[tuple[str, str]]:
        """What the client of this case sends; the store breaks where it has to."""
        if case.store_down:
            self.store.broken = StoreUnavailable("the store is down")
        return [*map(self.bearer, case.tokens), *case.more]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request, and the answer to it: the table of the interface."""

    tokens: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    store_down: bool = False
    status: int = 401
    challenge: Mapping[str, str] | None = field(default_factory=dict)

    @property
    def words(self) -> str | None:
        """The whole challenge."""
        if self.challenge is None:
            return None
        words = {"realm": "api", **self.challenge}
        return "Bearer " + ", ".join(f'{name}="{word}"' for name, word in words.items())

    @property
    def description(self) -> str:
        """What the body says to people, where there is a code."""
        return (self.challenge or {}).get("error_description", "")


def invalid(description: str) -> dict[str, str]:
    return {"error": "invalid_token", "error_description": description}


NOT_VALID: Final = invalid("The access token is not valid")
PROXY: Final = (("x-forwarded-user", "mallory"),)
CASES: Final = {
    "good": Case(tokens=("good",), status=200, challenge=None),
    "nothing": Case(),
    "another scheme": Case(more=(("authorization", "Basic YTpi"),)),
    "two headers": Case(
        tokens=("good", "good"),
        status=400,
        challenge={
            "error": "invalid_request",
            "error_description": "More than one Authorization header",
        },
    ),
    "malformed": Case(more=(("authorization", "Bearer bg_nonsense"),), challenge=NOT_VALID),
    "forged": Case(tokens=("forged",), challenge=NOT_VALID),
    "unknown": Case(tokens=("unknown",), challenge=NOT_VALID),
    "expired": Case(tokens=("expired",), challenge=invalid("The access token expired")),
    "deleted": Case(tokens=("deleted",), challenge=invalid("The access token was deleted")),
    "missing scope": Case(
        tokens=("narrow",),
        status=403,
        challenge={
            "error": "insufficient_scope",
            "error_description": "The access token lacks a needed scope",
            "scope": SCOPE,
        },
    ),
    "proxy identity and a token": Case(
        tokens=("good",),
        more=PROXY,
        status=403,
        challenge={
            "error": "invalid_request",
            "error_description": (
                "Access tokens don't work together with reverse-proxy single sign-on"
            ),
        },
    ),
    "proxy identity alone": Case(more=PROXY),
    "store down": Case(tokens=("good",), store_down=True, status=503, challenge=None),
}


@dataclass(frozen=True)
class Answer:
    """What came back, from whatever framework."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def challenge(self) -> str | None:
        return self.headers.get("www-authenticate")

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp, headers: list[tuple[str, str]], path: str = "/reports", method: str = "GET"
) -> Answer:
    """One request of an ASGI application."""
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.request(method, path, headers=headers)
    return Answer(answer.status_code, dict(answer.headers), answer.content)


def check(answer: Answer, case: Case) -> None:
    """The answer is the one of the table."""
    assert answer.status == case.status
    assert answer.challenge == case.words
    if case.status == 503:
        assert answer.headers["retry-after"] == "1"
    if case.status == 200:
        assert answer.body == OWNER.encode()
    else:
        assert answer.headers["cache-control"] == "no-store"
        assert case.description in answer.body.decode()
