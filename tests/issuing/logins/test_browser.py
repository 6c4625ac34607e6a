"""`_browser`: log-ins that send the browser away end once, here, and on a page of this site."""

from __future__ import annotations

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.issuing.logins._browser import Journeys, local_path
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journeys(clock: ManualClock) -> Journeys:
    return Journeys(MemoryStore(), clock, "test")


async def test_a_journey_ends_once(journeys: Journeys) -> None:
    await journeys.begin("a", return_to="/x", nonce="n")
    assert await journeys.end("b") is None
    assert await journeys.end("a") == {"return_to": "/x", "nonce": "n"}
    assert await journeys.end("a") is None


async def test_a_journey_takes_ten_minutes_at_most(journeys: Journeys, clock: ManualClock) -> None:
    await journeys.begin("a", return_to="/x")
    await journeys.begin("b", return_to="/x")
    clock.advance(599.9)
    assert await journeys.end("a") is not None
    clock.advance(0.1)
    assert await journeys.end("b") is None


async def test_an_id_is_given_once(journeys: Journeys) -> None:
    await journeys.begin("a", return_to="/x")
    with pytest.raises(StoreUnavailable):
        await journeys.begin("a", return_to="/y")


async def test_kinds_of_journeys_do_not_meet(clock: ManualClock) -> None:
    store = MemoryStore()
    await Journeys(store, clock, "saml").begin("a", return_to="/x")
    assert await Journeys(store, clock, "oidc").end("a") is None


async def test_a_thing_is_seen_once_until_it_can_be_forgotten(
    journeys: Journeys, clock: ManualClock
) -> None:
    until_ms = clock.now_ms() + 1000
    assert await journeys.first_time("x", until_ms)
    assert not await journeys.first_time("x", until_ms)
    assert await journeys.first_time("y", until_ms)
    clock.advance(1)
    assert await journeys.first_time("x", until_ms + 1000)


@pytest.mark.parametrize(
    "path", ["/", "/access-tokens", "/a/b?c=d&e=/f#g", "/a//b", "/%2F%2Fevil.example", "/\u00e9"]
)
def test_a_path_of_this_site_is_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "access-tokens",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/a\\b",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        " /a",
        "/a b",
        "/a\r\nSet-Cookie: x",
    ],
)
def test_every_other_is_dropped(path: str) -> None:
    assert local_path(path) == "/"
