"""The guard, asked about requests that are no ASGI server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bearer_guard.integrations._asking import ask, guard_to_ask
from bearer_guard.user import TokenCredentials
from tests.integrations.support import CASES, OWNER, SCOPE, Answer, Setting, check

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def scope_of(headers: list[tuple[str, str]]) -> Scope:
    fields = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "path": "/", "headers": fields, "client": None}


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_the_table(name: str) -> None:
    setting = Setting()
    scope = scope_of(setting.headers(CASES[name]))
    answer = await ask(guard_to_ask(scopes=[SCOPE], **setting.options), scope)
    if answer is None:
        check(Answer(200, {}, scope["auth"].token.owner.encode()), CASES[name])
    else:
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        check(Answer(answer.status, headers, answer.body), CASES[name])


async def test_whatever_is_passed_and_remembered_is_passed_again() -> None:
    setting = Setting()
    guard = guard_to_ask(**setting.options)
    for _ in range(3):
        scope = scope_of([setting.bearer("good")])
        assert await ask(guard, scope) is None
        assert isinstance(scope["auth"], TokenCredentials)
        assert scope["user"].identity == OWNER
    assert len(setting.store.fetches) == 1


async def test_silence_lets_nothing_pass() -> None:
    async def mute(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send

    with pytest.raises(ValueError, match="not enough values"):
        await ask(mute, scope_of([]))
