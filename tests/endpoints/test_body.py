"""Bodies: as much as is allowed, and forms with one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from bearer_guard.endpoints._body import read_body, read_form
from bearer_guard.endpoints._json import MAX_BODY, BodyTooLarge
from bearer_guard.errors import InvalidRequest

if TYPE_CHECKING:
    from starlette.types import Message

FORM = "application/x-www-form-urlencoded"


class Sender:
    """A client that sends a body in pieces."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self.messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
        ]
        self.messages.append({"type": "http.request"} if ends else {"type": "http.disconnect"})

    async def __call__(self) -> Message:
        return self.messages.pop(0)

    def request(self, media: str | None = FORM) -> Request:
        headers = [] if media is None else [(b"content-type", media.encode())]
        return Request({"type": "http", "headers": headers}, self)


async def form_of(body: bytes, media: str | None = FORM) -> dict[str, str]:
    return await read_form(Sender(body).request(media), needed="token")


async def test_a_body_may_come_in_pieces() -> None:
    assert await read_body(Sender(b"ab", b"", b"c").request()) == b"abc"


async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    assert len(await read_body(Sender(bytes(MAX_BODY)).request())) == MAX_BODY
    sender = Sender(bytes(MAX_BODY), b"x", b"never read")
    with pytest.raises(BodyTooLarge):
        await read_body(sender.request())
    assert len(sender.messages) == 2


async def test_a_client_that_goes_away_is_noticed() -> None:
    with pytest.raises(ClientDisconnect):
        await read_body(Sender(b"to", ends=False).request())


@pytest.mark.parametrize("media", [FORM, f"{FORM}; charset=UTF-8", FORM.upper()])
async def test_a_form_is_read(media: str) -> None:
    assert await form_of(b"token=a%2Bb+c&hint=&x=%C3%A4", media) == {"token": "a+b c", "x": "ä"}


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=19))
async def test_what_the_standard_library_writes_is_read_as_it_was(fields: dict[str, str]) -> None:
    fields["token"] = "t"
    assert await form_of(urlencode(fields).encode()) == fields


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "has no token"),
        (b"token=", "has no token"),
        (b"Token=a", "has no token"),
        (b"token=a&token=a", "twice"),
        (b"token=a&x=1&x=2", "twice"),
        (b"token=%ff", "no form in UTF-8"),
        (b"token=\xc3\xa4", "no form in UTF-8"),
        (b"&".join(b"x%d=1" % n for n in range(30)), "no form in UTF-8"),
    ],
)
async def test_a_form_with_another_meaning_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        await form_of(body)


@pytest.mark.parametrize("media", [None, "", "application/json", "multipart/form-data", "text/x"])
async def test_another_content_type_is_refused(media: str | None) -> None:
    with pytest.raises(InvalidRequest, match="send a form"):
        await form_of(b"token=a", media)


async def test_what_is_refused_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as refused:
        await form_of(b"token=secret%ff")
    assert "secret" not in repr(refused.value)
    assert refused.value.__cause__ is None
