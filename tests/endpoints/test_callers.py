"""Endpoints that take tokens give the guard's own verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import Response

from bearer_guard import ProxySso, Verifier
from bearer_guard.endpoints._callers import Callers
from bearer_guard.events import RequestRefused
from tests.integrations.support import CASES, OWNER, Answer, Setting, check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bearer_guard.record import TokenInfo


class Door:
    """Callers over the tokens of every fate."""

    def __init__(self) -> None:
        self.setting = Setting()
        self.verifier = Verifier(**self.setting.options)
        self.callers = Callers(self.verifier, proxy_sso=ProxySso.default(), realm="api")

    async def ask(self, headers: list[tuple[str, str]], client: str | None = "192.0.2.1") -> Answer:
        fields = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        scope = {"type": "http", "headers": fields, "client": client and (client, 1)}
        who: TokenInfo | Response = await self.callers.who(Request(scope))
        if isinstance(who, Response):
            return Answer(who.status_code, dict(who.headers), bytes(who.body))
        return Answer(200, {}, who.owner.encode())


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    yield door
    await door.verifier.close()


@pytest.mark.parametrize("name", [name for name in CASES if name != "missing scope"])
async def test_the_verdict_is_that_of_the_table(door: Door, name: str) -> None:
    check(await door.ask(door.setting.headers(CASES[name])), CASES[name])


async def test_bytes_that_are_no_text_are_malformed(door: Door) -> None:
    check(await door.ask([("authorization", "Bearer \xe4\xff")]), CASES["malformed"])


async def test_a_token_of_a_network_is_good_from_there_only(door: Door) -> None:
    setting = door.setting
    text = setting.token(networks=["192.0.2.0/24"])
    headers = [("authorization", f"Bearer {text}")]
    assert (await door.ask(headers)).status == 200
    assert (await door.ask(headers, "198.51.100.1")).status == 403
    assert (await door.ask(headers, None)).status == 403


async def test_a_proxy_identity_beside_a_token_is_told_to_the_audit(door: Door) -> None:
    await door.ask(door.setting.headers(CASES["proxy identity and a token"]))
    (event,) = door.setting.events
    assert isinstance(event, RequestRefused)
    assert (event.reason, event.header, event.owner) == (
        "proxy-identity",
        "x-forwarded-user",
        OWNER,
    )


async def test_refusals_are_counted_with_those_of_the_guard(door: Door) -> None:
    for name in ("nothing", "two headers", "expired"):
        await door.ask(door.setting.headers(CASES[name]))
    counts = door.verifier.refusals.counts
    assert {reason.value: count for reason, count in counts.items() if count} == {
        "missing": 1,
        "two-headers": 1,
        "expired": 1,
    }
