"""One number, one spelling: no other text is taken for a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from zlib import crc32

from hypothesis import assume, example, given
from hypothesis import strategies as st

from bearer_guard.token import TokenForm, decode_base62, encode_base62

if TYPE_CHECKING:
    from uuid import UUID

FORM: Final = TokenForm()
DIGITS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
IDS: Final = st.uuids()
SECRETS: Final = st.integers(0, 2**192 - 1)
TAGS: Final = st.text(DIGITS.decode(), min_size=10, max_size=10).map(str.encode)
PREFIXES: Final = st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True)
# Neighbours of base62, what else is alphanumeric in Unicode, and all the rest.
BYTES: Final = st.one_of(st.sampled_from(DIGITS + b"_-+/=. \n\0"), st.integers(0, 255))


def checked(text: bytes) -> bytes:
    return text + encode_base62(crc32(text), 6)


def token(token_id: int, secret: int, tag: bytes, prefix: str = "bg") -> bytes:
    """A well-formed token, put together piece by piece."""
    numbers = encode_base62(token_id, 22) + encode_base62(secret, 33)
    return checked(prefix.encode() + b"_" + numbers + tag)


TOKENS: Final = st.builds(token, IDS.map(lambda token_id: token_id.int), SECRETS, TAGS)


@given(IDS, SECRETS, TAGS, PREFIXES)
def test_a_token_is_what_it_is_made_of(
    token_id: UUID, secret: int, tag: bytes, prefix: str
) -> None:
    text = token(token_id.int, secret, tag, prefix)
    parts = TokenForm(prefix).parse(text)
    assert parts is not None
    assert (parts.id, parts.tagged, parts.tag) == (token_id, text[:-16], tag)


@given(IDS, TAGS, PREFIXES)
def test_what_is_minted_is_well_formed(token_id: UUID, tag: bytes, prefix: str) -> None:
    form = TokenForm(prefix)
    text = form.mint(token_id, lambda _tagged: tag)
    parts = form.parse(text.encode())
    assert parts is not None
    assert (parts.id, parts.tag) == (token_id, tag)


@given(TOKENS, st.integers(0, 73), BYTES)
def test_any_change_of_one_character_is_refused(text: bytes, at: int, byte: int) -> None:
    """A checksum of 32 bits finds every change within 32 bits, not most of them."""
    assume(text[at] != byte)
    assert FORM.parse(text[:at] + bytes([byte]) + text[at + 1 :]) is None


@given(TOKENS, st.integers(0, 72))
def test_neighbours_that_changed_places_are_refused(text: bytes, at: int) -> None:
    swapped = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    assume(swapped != text)
    assert FORM.parse(swapped) is None


@given(TOKENS, st.integers(0, 74), st.binary(min_size=1, max_size=4))
def test_anything_added_is_refused(text: bytes, at: int, more: bytes) -> None:
    assert FORM.parse(text[:at] + more + text[at:]) is None


@given(TOKENS, st.integers(0, 73), st.integers(1, 74))
def test_anything_left_out_is_refused(text: bytes, at: int, count: int) -> None:
    assert FORM.parse(text[:at] + text[at + count :]) is None


@given(st.integers(2**128, 62**22 - 1), SECRETS, TAGS)
def test_an_id_that_overflows_is_refused(number: int, secret: int, tag: bytes) -> None:
    assert FORM.parse(token(number, secret, tag)) is None


@given(IDS, st.integers(2**192, 62**33 - 1), TAGS)
def test_a_secret_that_overflows_is_refused(token_id: UUID, number: int, tag: bytes) -> None:
    assert FORM.parse(token(token_id.int, number, tag)) is None


@given(TOKENS, st.integers(2**32, 62**6 - 1))
def test_no_other_number_is_a_checksum(text: bytes, number: int) -> None:
    assert FORM.parse(text[:-6] + encode_base62(number, 6)) is None


@given(st.lists(BYTES, max_size=90).map(bytes) | st.binary(max_size=90))
@example(b"bg_")
@example(b"bg_" + b"\xe9" * 71)
@example(b"bg_" + "é".encode() * 35 + b"0")
def test_arbitrary_bytes_are_refused_without_an_error(text: bytes) -> None:
    assert FORM.parse(text) is None


@given(st.lists(BYTES, min_size=71, max_size=71).map(bytes))
def test_bytes_of_the_right_length_are_refused_without_an_error(tail: bytes) -> None:
    text = b"bg_" + tail
    assume(text[-6:] != encode_base62(crc32(text[:-6]), 6))
    assert FORM.parse(text) is None


@given(st.lists(st.sampled_from(DIGITS), min_size=65, max_size=65).map(bytes))
def test_a_text_with_the_right_checksum_is_its_own_only_spelling(middle: bytes) -> None:
    """Whatever is taken for a token is spelled as its own numbers are."""
    text = checked(b"bg_" + middle)
    parts = FORM.parse(text)
    if parts is not None:
        assert text == token(parts.id.int, decode_base62(text[25:58]), parts.tag)


@given(st.integers(0, 62**33 - 1))
def test_base62_is_read_as_it_was_written(number: int) -> None:
    assert decode_base62(encode_base62(number, 33)) == number


@given(
    st.lists(st.sampled_from(DIGITS), min_size=22, max_size=22).map(bytes),
    st.lists(st.sampled_from(DIGITS), min_size=22, max_size=22).map(bytes),
)
def test_base62_sorts_as_its_numbers_do(one: bytes, other: bytes) -> None:
    assert (one < other) == (decode_base62(one) < decode_base62(other))


@given(st.text(), st.text(), TOKENS)
def test_a_token_between_other_characters_is_found(before: str, after: str, text: bytes) -> None:
    assume(not re.search(r"\w\Z", before))
    assume(not re.match(r"\w", after))
    assert text.decode() in re.findall(FORM.pattern(), before + text.decode() + after)


@given(st.text(DIGITS.decode() + "_ .\n", max_size=200))
def test_what_is_found_in_text_has_the_outline_of_a_token(text: str) -> None:
    found = re.findall(FORM.pattern(), text)
    assert all(FORM.split(candidate.encode()) for candidate in found)
