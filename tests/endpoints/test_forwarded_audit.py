"""`_forwarded_audit`: a refusal is told with what the client wanted of the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearer_guard import Keyring
from bearer_guard.endpoints._forwarded import Told
from bearer_guard.endpoints._forwarded_audit import ForwardedRefused, Telling, told_now
from bearer_guard.events import RequestRefused, SettingsChanged
from bearer_guard.testing import a_token
from bearer_guard.token import TokenForm

if TYPE_CHECKING:
    from bearer_guard.events import Event

REFUSED = RequestRefused(at_ms=1, reason="forged", client="192.0.2.1")


def told_of(event: Event, told: Told | None, prefix: str = "bg") -> Event:
    """What listeners are told, in a request of which a proxy tells this."""
    heard: list[Event] = []
    token = told_now.set(told)
    try:
        Telling([heard.append], prefix)(event)
    finally:
        told_now.reset(token)
    return heard[0]


def asked(uri: str, method: str = "PUT") -> Told:
    headers = [(b"x-original-uri", uri.encode()), (b"x-original-method", method.encode())]
    return Told({"type": "http", "method": "GET", "headers": headers}, "")


def test_a_refusal_gets_the_method_and_the_path() -> None:
    event = told_of(REFUSED, asked("/a/b?secret=1"))
    assert isinstance(event, ForwardedRefused)
    assert event.fields() == {**REFUSED.fields(), "method": "PUT", "path": "/a/b"}


def test_tokens_in_a_path_and_what_is_too_long_are_cut() -> None:
    text, _ = a_token(Keyring.generate())
    event = told_of(REFUSED, asked(f"/a/{text}/{'b' * 900}", "M" * 900))
    assert isinstance(event, ForwardedRefused)
    assert event.path.startswith("/a/(a token)/bbb")
    assert (len(event.path), len(event.method)) == (256, 256)
    other = TokenForm("corp").mint(a_token(Keyring.generate())[1].id, Keyring.generate().tag)
    event = told_of(REFUSED, asked(f"/{other}"), "corp")
    assert isinstance(event, ForwardedRefused)
    assert event.path == "/(a token)"


def test_other_events_and_other_callers_are_told_as_they_are() -> None:
    assert told_of(REFUSED, None) is REFUSED
    changed = SettingsChanged(at_ms=1, by="root")
    assert told_of(changed, asked("/a")) is changed
