"""Forms: read with one meaning, and from our own pages only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from bearer_guard.endpoints._json import BodyTooLarge
from bearer_guard.endpoints._page_forms import MAX_FORM, Forms, comes_from_elsewhere, read_form
from bearer_guard.errors import InvalidRequest
from bearer_guard.keyring import Keyring
from bearer_guard.testing import ManualClock

if TYPE_CHECKING:
    from starlette.types import Message

FORM = "application/x-www-form-urlencoded"


def request(body: bytes = b"", **headers: str) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    fields = {"content-type": FORM, **{k.replace("_", "-"): v for k, v in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def forms(clock: ManualClock) -> Forms:
    return Forms(Keyring.generate(), clock)


def test_a_form_of_this_session_is_ours(forms: Forms) -> None:
    assert forms.nonce({"csrf": forms.token("session")}, "session")


def test_a_form_of_another_session_is_not(forms: Forms) -> None:
    assert forms.nonce({"csrf": forms.token("session")}, "another") is None


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "\x00", "é"])
def test_a_made_up_token_is_not_ours(forms: Forms, text: str) -> None:
    assert forms.nonce({"csrf": text}, "session") is None
    assert forms.nonce({}, "session") is None


def test_no_two_forms_are_alike(forms: Forms) -> None:
    nonces = {forms.nonce({"csrf": forms.token("session")}, "session") for _ in range(50)}
    assert len(nonces) == 50


def test_a_form_is_too_old_after_twelve_hours(forms: Forms, clock: ManualClock) -> None:
    token = forms.token("session")
    clock.advance(12 * 3600)
    assert forms.nonce({"csrf": token}, "session")
    clock.advance(1)
    assert forms.nonce({"csrf": token}, "session") is None


async def test_the_fields_are_read_as_they_were_typed() -> None:
    body = b"a=1+2&b=%C3%A9%F0%9F%94%91&c="
    assert await read_form(request(body)) == {"a": "1 2", "b": "é🔑", "c": ""}
    assert await read_form(request(b"")) == {}


@pytest.mark.parametrize(
    "body",
    [b"a=1&a=2", b"a=%ff", b"a=\xc3\xa9", "&".join(f"a{n}=1" for n in range(31)).encode()],
    ids=["twice", "no UTF-8", "no ASCII", "too many"],
)
async def test_what_could_mean_two_things_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await read_form(request(body))


@pytest.mark.parametrize("media", ["application/json", "multipart/form-data", "text/plain", ""])
async def test_another_type_is_refused(media: str) -> None:
    with pytest.raises(InvalidRequest):
        await read_form(request(b"a=1", content_type=media))


async def test_a_form_has_a_limit() -> None:
    assert await read_form(request(b"a=" + b"x" * (MAX_FORM - 2)))
    with pytest.raises(BodyTooLarge):
        await read_form(request(b"a=" + b"x" * (MAX_FORM - 1)))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", "SAME-ORIGIN"])
def test_the_browser_says_that_it_is_another_sites(site: str) -> None:
    assert comes_from_elsewhere(request(sec_fetch_site=site))


def test_the_browser_says_that_it_is_ours_whatever_the_origin() -> None:
    assert not comes_from_elsewhere(request(sec_fetch_site="same-origin", origin="null"))


@pytest.mark.parametrize(
    ("origin", "elsewhere"),
    [
        ("https://app.example.com", False),
        ("https://APP.example.com", False),
        ("https://app.example.com:8443", True),
        ("https://app.example.com.evil.example", True),
        ("https://evil.example", True),
        ("null", True),
    ],
)
def test_an_older_browser_says_the_origin(origin: str, *, elsewhere: bool) -> None:
    asked = request(origin=origin, host="app.example.com")
    assert comes_from_elsewhere(asked) is elsewhere


def test_one_that_says_nothing_is_told_by_the_token() -> None:
    assert not comes_from_elsewhere(request())
