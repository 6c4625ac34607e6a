"""``/apiAccessTokenSettings`` of the HTTP API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bearer_guard.policy import Policy
from tests.endpoints.support import Api

PATH = "/apiAccessTokenSettings"
NEW = {
    "enabled": True,
    "usersMayGenerate": False,
    "maxLifetimeDays": -1,
    "allowNonExpiring": False,
}


@pytest.fixture
async def api() -> Api:
    return await Api().people()


async def test_everybody_may_read_them(api: Api) -> None:
    for who in ("root", "carol"):
        answer = await api.ask("GET", PATH, who=who)
        assert (answer.status_code, answer.json()) == (200, NEW)


async def test_administrators_change_some_and_get_all(api: Api) -> None:
    answer = await api.ask("PATCH", PATH, who="root", json={"maxLifetimeDays": 90})
    assert (answer.status_code, answer.json()) == (200, {**NEW, "maxLifetimeDays": 90})
    answer = await api.ask(
        "PATCH", PATH, who="root", json={"usersMayGenerate": True, "allowNonExpiring": True}
    )
    assert answer.json() == {
        "enabled": True,
        "usersMayGenerate": True,
        "maxLifetimeDays": 90,
        "allowNonExpiring": True,
    }
    assert await api.store.policy() == Policy(
        users_may_generate=True, max_lifetime=timedelta(days=90), allow_non_expiring=True
    )
    answer = await api.ask("PATCH", PATH, who="root", json=NEW)
    assert answer.json() == NEW
    assert await api.store.policy() == Policy()


async def test_nothing_changed_is_all_told(api: Api) -> None:
    answer = await api.ask("PATCH", PATH, who="root", json={})
    assert answer.json() == NEW


async def test_nobody_else_changes_them(api: Api) -> None:
    answer = await api.ask("PATCH", PATH, json={"usersMayGenerate": True})
    assert answer.status_code == 403
    assert await api.store.policy() == Policy()


async def test_an_administrators_token_changes_them_too(api: Api) -> None:
    value = (await api.create("root"))["tokenValue"]
    answer = await api.ask("PATCH", PATH, token=value, json={"usersMayGenerate": True})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": 1},
        {"enabled": None},
        {"usersMayGenerate": "true"},
        {"allowNonExpiring": []},
        {"maxLifetimeDays": 0},
        {"maxLifetimeDays": -2},
        {"maxLifetimeDays": 1.0},
        {"maxLifetimeDays": True},
        {"maxLifetimeDays": "90"},
        {"maxLifetimeDays": 10**9},
        {"maxLifetimeDays": 10**40},
        {"maxlifetimedays": 90},
        {"enabled": False, "unknown": 1},
    ],
)
async def test_a_setting_that_can_not_be_changes_nothing(api: Api, change: dict[str, Any]) -> None:
    answer = await api.ask("PATCH", PATH, who="root", json=change)
    assert answer.status_code == 400
    assert await api.store.policy() == Policy()
