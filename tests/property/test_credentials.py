"""Exactly one well-formed ``Authorization: Bearer TOKEN`` is a credential; nothing else is."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from bearer_guard.credentials import bearer_token, field_value
from bearer_guard.token import TokenForm
from bearer_guard.verdict import Reason

FORM: Final = TokenForm()
TOKEN: Final = FORM.mint(UUID(int=7), lambda _tagged: b"0123456789").encode()
# The whole grammar, once more, as one expression: RFC 9110 sections 5.5 and 11.4, and a token.
GRAMMAR: Final = re.compile(rb"[ \t]*(?i:bearer) +(" + TOKEN + rb")[ \t]*", re.DOTALL)
SCHEMES: Final = st.sampled_from(
    [
        "Bearer",
        "bearer",
        "BEARER",
        "bEARER",
        "Bearers",
        "Beare",
        "Basic",
        "Token",
        "\u0412earer",
        "",
    ]
).map(lambda text: text.encode("utf-8"))
JOINTS: Final = st.one_of(
    st.text(" ", max_size=3),
    st.text(" \t,=:\"'\n\r\x0b\0", max_size=3),
).map(str.encode)
TOKENS: Final = st.one_of(
    st.just(TOKEN), st.just(TOKEN[:-1]), st.just(b""), st.just(b'"' + TOKEN + b'"'), st.binary()
)
VALUES: Final = st.one_of(
    st.tuples(JOINTS, SCHEMES, JOINTS, TOKENS, JOINTS).map(b"".join),
    st.lists(st.sampled_from([b"Bearer", b" ", b"\t", b",", TOKEN, b'"', b"Basic"])).map(b"".join),
    st.binary(),
)
NAMES: Final = st.one_of(
    st.sampled_from([b"authorization", b"Authorization", b"AUTHORIZATION"]),
    st.sampled_from([b"authorizatio", b"authorization ", b"x-authorization", b"cookie", b""]),
    st.binary(max_size=15),
)
HEADERS: Final = st.lists(st.tuples(NAMES, VALUES), max_size=5)


def token_in(value: bytes) -> bytes | None:
    """The token that the core finds in a field's value."""
    text = bearer_token(value)
    return None if isinstance(text, Reason) or FORM.parse(text) is None else text


@given(VALUES)
@example(b"Bearer " + TOKEN)
@example(b"Bearer\t" + TOKEN)
@example(b"Bearer " + TOKEN + b"\n")
def test_invariant_01_only_the_exact_grammar_is_accepted(value: bytes) -> None:
    match = GRAMMAR.fullmatch(value)
    assert token_in(value) == (match and match[1])


@given(
    st.text(" \t", max_size=4),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.integers(1, 5),
    st.text(" \t", max_size=4),
)
def test_every_spelling_of_the_grammar_is_accepted(
    before: str, capitals: list[bool], spaces: int, after: str
) -> None:
    letters = zip("bearer", capitals, strict=True)
    scheme = "".join(letter.upper() if capital else letter for letter, capital in letters)
    value = f"{before}{scheme}{' ' * spaces}".encode() + TOKEN + after.encode()
    assert token_in(value) == TOKEN


@given(st.sampled_from(b'\t,"=:;\n\r\0()<>@'), st.integers(0, 73 + len(b"Bearer ") + 1))
def test_a_foreign_character_anywhere_makes_it_no_token(char: int, at: int) -> None:
    value = b"Bearer " + TOKEN
    changed = value[:at] + bytes([char]) + value[at:]
    assert token_in(changed) is None or changed.strip(b" \t") == value


@given(VALUES)
def test_no_value_is_an_error_and_what_is_told_of_it_is_one_of_two(value: bytes) -> None:
    text = bearer_token(value)
    assert isinstance(text, bytes) or text in {Reason.MISSING, Reason.MALFORMED}


@given(VALUES, st.text(" \t").map(str.encode), st.text(" \t").map(str.encode))
def test_white_space_around_a_value_is_no_part_of_it(
    value: bytes, before: bytes, after: bytes
) -> None:
    assert bearer_token(before + value + after) == bearer_token(value)


@given(VALUES)
def test_another_scheme_is_no_credentials_of_ours(value: bytes) -> None:
    """Missing, and not malformed: a Basic log-in must not be told that its token is wrong."""
    scheme = re.match(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]*", value.strip(b" \t"))
    assert scheme is not None
    assert (bearer_token(value) is Reason.MISSING) == (scheme[0].lower() != b"bearer")


@given(HEADERS)
def test_invariant_01_exactly_one_field_counts(headers: list[tuple[bytes, bytes]]) -> None:
    values = [value for name, value in headers if re.fullmatch(rb"(?i)authorization", name)]
    expected = {0: Reason.MISSING, 1: values[0] if values else None}
    assert field_value(headers) == expected.get(len(values), Reason.TWO_HEADERS)


@given(HEADERS)
def test_the_order_of_headers_makes_no_difference(headers: list[tuple[bytes, bytes]]) -> None:
    assert field_value(headers) == field_value(headers[::-1])
