"""The hit path by itself: what is remembered, and when it must be forgotten."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from bearer_guard import hot_path as module
from bearer_guard.hot_path import HotPath, hot_path
from bearer_guard.record import TokenInfo
from bearer_guard.testing import ManualClock
from bearer_guard.user import TokenCredentials, TokenUser

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

NAMES = frozenset({b"host", b"accept"})


class Track:
    """A hit path whose ends only say which way a request went."""

    def __init__(self, *, short: Callable[[str], bool] | None = None) -> None:
        self.clock = ManualClock()
        self.uses: dict[int, float] = {}
        self.way = ""
        self.hot: HotPath = hot_path(
            self._to("app"),
            self._to("aside"),
            self._to("refused"),
            forged=lambda value: value.startswith(b"forged"),
            names=NAMES,
            short=short,
            uses=self.uses,
            elapsed=self.clock.elapsed,
        )
        self.hot.vouch(self.clock.elapsed() + 5)

    def _to(self, way: str) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive, send
            self.way = way

        return app

    def remember(self, value: bytes = b"Bearer x", number: int = 1, seconds: float = 60) -> None:
        token = TokenInfo(
            id=UUID(int=number),
            owner="alice",
            description="",
            created_ms=0,
            expires_ms=None,
            scopes=(),
        )
        until = self.clock.elapsed() + seconds
        self.hot.remember(value, until, number, TokenUser("alice"), TokenCredentials(token))

    async def go(self, *headers: tuple[bytes, bytes], **more: Any) -> str:
        scope = {"type": "http", "path": "/", "headers": list(headers), **more}
        await self.hot.app(scope, None, None)  # type: ignore[arg-type] # nobody uses them
        return self.way


X = (b"authorization", b"Bearer x")


async def test_what_is_remembered_hits_and_is_noted_as_used() -> None:
    track = Track()
    track.remember(number=7)
    assert await track.go(X) == "app"
    assert track.uses == {7: track.clock.elapsed()}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer y")],
        [(b"authorization", b"bearer x")],
        [(b"authorization", b"Bearer x ")],
        [X, X],
        [X, (b"authorization", b"")],
        [X, (b"x-remote-user", b"m")],
        [(b"x-unknown", b""), X],
        [(b"Authorization", b"Bearer x")],
    ],
    ids=str,
)
async def test_whatever_is_not_plainly_good_goes_aside(headers: list[tuple[bytes, bytes]]) -> None:
    track = Track()
    track.remember()
    assert await track.go((b"host", b"h"), *headers) == "aside"
    assert track.uses == {}


async def test_other_kinds_of_connections_go_aside() -> None:
    track = Track()
    track.remember()
    assert await track.go(X, type="websocket") == "aside"
    assert await track.go(X, wsgi_environ={}) == "aside"


async def test_a_path_that_is_not_guarded_goes_aside() -> None:
    track = Track(short=lambda path: path != "/open")
    track.remember()
    assert await track.go(X) == "app"
    assert await track.go(X, path="/open") == "aside"


async def test_a_forged_value_is_refused_on_the_spot() -> None:
    assert await Track().go((b"authorization", b"forged")) == "refused"


async def test_invariant_03_an_entry_is_good_until_its_own_end_and_not_at_it() -> None:
    track = Track()
    track.remember(seconds=3)
    track.clock.advance(2.999)
    assert await track.go(X) == "app"
    track.clock.advance(0.001)
    assert await track.go(X) == "aside"


async def test_invariant_03_nothing_is_good_beyond_what_polls_vouch_for() -> None:
    track = Track()
    track.remember(seconds=60)
    track.clock.advance(5)
    assert await track.go(X) == "aside"
    track.hot.vouch(track.clock.elapsed() + 0.001)
    assert await track.go(X) == "app"


async def test_what_is_forgotten_goes_aside_and_the_rest_hits() -> None:
    track = Track()
    track.remember(b"Bearer x", 1)
    track.remember(b"Bearer y", 2)
    track.hot.forget([1, 99])
    assert await track.go(X) == "aside"
    assert await track.go((b"authorization", b"Bearer y")) == "app"
    track.hot.forget(None)
    assert await track.go((b"authorization", b"Bearer y")) == "aside"


async def test_a_name_once_learnt_is_passed_over() -> None:
    track = Track()
    track.remember()
    assert await track.go(X, (b"x-mine", b"1")) == "aside"
    track.hot.learn(b"x-mine")
    assert await track.go(X, (b"x-mine", b"1")) == "app"


def test_names_learnt_are_bounded_and_known_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMES", 50)
    track = Track()
    for number in range(500):
        track.hot.learn(b"x-%d" % number)
        assert len(track.hot.passed) <= len(NAMES) + 50
    assert track.hot.passed >= NAMES


async def test_what_is_remembered_is_bounded_and_the_newest_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 100)
    track = Track()
    for number in range(1000):
        track.remember(b"Bearer %d" % number, number)
    hits = [await track.go((b"authorization", b"Bearer %d" % n)) for n in range(1000)]
    assert 36 <= hits.count("app") <= 100
    assert hits[-1] == "app"


def test_no_token_rests_in_memory() -> None:
    track = Track()
    track.remember(b"Bearer secret")
    cells = {
        name: cell.cell_contents
        for name, cell in zip(
            track.hot.app.__code__.co_freevars,  # type: ignore[attr-defined]
            track.hot.app.__closure__,  # type: ignore[attr-defined]
            strict=True,
        )
    }
    assert set(cells["remembered"]) == {sha256(b"Bearer secret").digest()}
    assert b"secret" not in repr(cells["remembered"]).encode()
