"""`_json`: JSON that has one meaning, read no further than allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from bearer_guard.endpoints._json import (
    MAX_BODY,
    BodyTooLarge,
    Fields,
    NotJson,
    parse,
    read_fields,
)
from bearer_guard.errors import InvalidRequest

if TYPE_CHECKING:
    from starlette.types import Message

JSON = [("content-type", "application/json")]


class Sent:
    """A request whose body comes in chunks; knows how many were taken."""

    def __init__(
        self, chunks: list[bytes], headers: list[tuple[str, str]], *, cut: bool = False
    ) -> None:
        self.taken = 0
        self._chunks = chunks
        self._cut = cut
        fields = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": fields}
        self.request = Request(scope, self._receive)

    async def _receive(self) -> Message:
        if self.taken == len(self._chunks):
            return {"type": "http.disconnect"}
        self.taken += 1
        more = self._cut or self.taken < len(self._chunks)
        return {"type": "http.request", "body": self._chunks[self.taken - 1], "more_body": more}


async def read(*chunks: bytes, headers: list[tuple[str, str]] = JSON, **options: Any) -> Fields:
    return await read_fields(Sent(list(chunks), headers).request, ("a", "b"), **options)


def test_an_object_is_read_as_it_stands() -> None:
    assert parse(b' {"a": [1, -2, "\\u00e9\xc3\xa9", true, null, {}]} ') == {
        "a": [1, -2, "éé", True, None, {}]
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b'"a"',
        b"{",
        b"{}{}",
        b"{},",
        b"{'a': 1}",
        b"{a: 1}",
        b'{"a": 1,}',
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "a": 2}}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1.0}',
        b'{"a": 1e0}',
        b'{"a": 01}',
        b'{"a": +1}',
        b'{"a": "\n"}',
        b'{"a": "\\x41"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-32-le"),
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xc0\xaf"}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b"\0",
        b"{}\0",
        b"// {}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_is_no_object_of_one_meaning_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_are_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except InvalidRequest:
        return
    assert value == json.loads(body)


@given(
    st.dictionaries(
        st.text(), st.recursive(st.integers() | st.booleans() | st.none() | st.text(), st.lists)
    )
)
def test_what_has_one_meaning_is_read_with_it(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value).encode()) == value


def test_a_refusal_repeats_nothing_of_the_body() -> None:
    for body in (b'{"s3cret": }', b'{"s3cret": 1, "s3cret": 1}', b"s3cret", b'{"a": 1.53}'):
        with pytest.raises(InvalidRequest) as caught:
            parse(body)
        assert "s3cret" not in str(caught.value)
        assert "1.53" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_field_nobody_knows_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidRequest, match="the fields are a, b") as caught:
        Fields({"a": 1, "s3cret": 2}, ("a", "b"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (int, [0, -1, 10**30], [True, "1", None, [1], {}]),
        (str, ["", "x"], [1, True, None, ["x"], {}]),
        (bool, [True, False], [0, 1, "true", None, []]),
    ],
)
def test_a_field_has_exactly_its_type(kind: type, good: list[object], bad: list[object]) -> None:
    for value in good:
        assert Fields({"a": value}, ("a",)).take("a", kind) is value
    for value in bad:
        with pytest.raises(InvalidRequest, match="a must be"):
            Fields({"a": value}, ("a",)).take("a", kind)
        with pytest.raises(InvalidRequest, match="a must be"):
            Fields({"a": value}, ("a",)).get("a", kind, good[0])


def test_a_field_that_must_be_there_is_missed() -> None:
    fields = Fields({}, ("a",))
    assert "a" not in fields
    assert fields.get("a", str, "x") == "x"
    assert fields.texts("a") == []
    with pytest.raises(InvalidRequest, match="a is missing"):
        fields.take("a", int)


@pytest.mark.parametrize("value", ["x", None, 1, {}, [1], ["x", None], [["x"]]])
def test_a_list_of_texts_is_one(value: object) -> None:
    assert Fields({"a": ["x", ""]}, ("a",)).texts("a") == ["x", ""]
    with pytest.raises(InvalidRequest):
        Fields({"a": value}, ("a",)).texts("a")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json ; profile=x",
    ],
)
async def test_json_in_utf_8_is_read(content_type: str) -> None:
    fields = await read(b'{"a": 1}', headers=[("content-type", content_type)])
    assert fields.take("a", int) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "")],
        [("content-type", "text/plain")],
        [("content-type", "text/json")],
        [("content-type", "application/jsonx")],
        [("content-type", "application/problem+json")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "application/json; charset=utf-16")],
        [("content-type", "application/json; charset=latin-1; charset=utf-8")],
        [*JSON, *JSON],
        [*JSON, ("content-encoding", "gzip")],
    ],
)
async def test_another_content_type_is_refused_unread(headers: list[tuple[str, str]]) -> None:
    sent = Sent([b"{}"], headers)
    with pytest.raises(NotJson):
        await read_fields(sent.request, ("a",))
    assert sent.taken == 0


async def test_a_body_that_may_be_empty_needs_no_type() -> None:
    for headers in ([], JSON):
        assert "a" not in await read(b"", headers=headers, may_be_empty=True)
    for body, headers in ((b"{}", []), (b"", [("content-type", "text/plain")])):
        with pytest.raises(NotJson):
            await read(body, headers=headers, may_be_empty=True)
    with pytest.raises(InvalidRequest):
        await read(b"")


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = b'{"a": "' + b"x" * (MAX_BODY - 9) + b'"}'
    assert len(body) == MAX_BODY
    assert len((await read(body[:1000], body[1000:])).take("a", str)) == MAX_BODY - 9


async def test_a_body_over_the_limit_is_given_up_where_it_gets_there() -> None:
    sent = Sent([b" " * 1024] * 10_000, JSON)
    with pytest.raises(BodyTooLarge):
        await read_fields(sent.request, ("a",))
    assert sent.taken == 65


@pytest.mark.parametrize("length", ["65537", "9" * 19, "99999999"])
async def test_a_body_that_says_it_is_too_long_is_not_read(length: str) -> None:
    sent = Sent([b"{}"], [*JSON, ("content-length", length)])
    with pytest.raises(BodyTooLarge):
        await read_fields(sent.request, ("a",))
    assert sent.taken == 0


@pytest.mark.parametrize("length", ["", "x", "-1", "2", "9" * 5000, "\u00b2"])
async def test_a_length_that_says_nothing_is_no_error(length: str) -> None:
    assert "a" not in await read(b"{}", headers=[*JSON, ("content-length", length)])


async def test_a_client_that_goes_away_is_told_from_one_that_is_done() -> None:
    with pytest.raises(ClientDisconnect):
        await read_fields(Sent([b"{}"], JSON, cut=True).request, ("a",))
