"""The text form of a token: one spelling, told from a typo by anyone."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4
from zlib import crc32

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.keyring import Keyring
from bearer_guard.token import (
    TAG_ALPHABET,
    TAG_CHARS,
    TokenForm,
    TokenParts,
    decode_base62,
    encode_base62,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "token.json").read_text("utf-8")
)
GENUINE: Final[list[dict[str, str]]] = VECTORS["tokens"]
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM: Final = TokenForm()


def spelled(number: int, width: int) -> str:
    """Base62 once more, written from the description of the form alone."""
    return "".join(DIGITS[number // 62**place % 62] for place in range(width - 1, -1, -1))


def any_tag(_tagged: bytes) -> bytes:
    return b"0123456789"


def parts(text: str) -> TokenParts | None:
    return FORM.parse(text.encode())


@pytest.mark.parametrize("vector", GENUINE, ids=lambda vector: vector["token"][:16])
def test_a_token_is_spelled_as_the_vectors_say(
    vector: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda size: bytes.fromhex(vector["secret"])[:size])
    keyring = Keyring([bytes.fromhex(vector["key"])])
    assert TokenForm(vector["prefix"]).mint(UUID(vector["id"]), keyring.tag) == vector["token"]


@pytest.mark.parametrize("vector", GENUINE, ids=lambda vector: vector["token"][:16])
def test_the_vectors_follow_the_description_of_the_form(vector: dict[str, str]) -> None:
    """Against an implementation of its own, so that form and vectors can't drift together."""
    head = f"{vector['prefix']}_"
    tagged = head + spelled(UUID(vector["id"]).int, 22) + spelled(int(vector["secret"], 16), 33)
    tag = vector["token"][len(tagged) :][:10]
    checksum = spelled(crc32((tagged + tag).encode()), 6)
    assert vector["token"] == tagged + tag + checksum


@pytest.mark.parametrize("vector", GENUINE, ids=lambda vector: vector["token"][:16])
def test_a_token_is_taken_apart(vector: dict[str, str]) -> None:
    text = vector["token"].encode()
    found = TokenForm(vector["prefix"]).parse(text)
    assert found == TokenParts(UUID(vector["id"]), text[:-16], text[-16:-6])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["why"])
def test_what_is_no_token_has_no_parts(vector: dict[str, str]) -> None:
    assert parts(vector["text"]) is None


def test_a_token_of_the_usual_prefix_has_74_characters() -> None:
    assert len(FORM.mint(uuid4(), any_tag)) == FORM.length == 74


def test_no_two_tokens_are_the_same() -> None:
    assert FORM.mint(UUID(int=1), any_tag) != FORM.mint(UUID(int=1), any_tag)


def test_the_tag_is_made_over_all_before_it() -> None:
    seen: list[bytes] = []

    def tag(tagged: bytes) -> bytes:
        seen.append(tagged)
        return any_tag(tagged)

    text = FORM.mint(uuid4(), tag).encode()
    assert seen == [text[:58]]


def test_a_token_fits_its_own_prefix_only() -> None:
    text = TokenForm("acme").mint(uuid4(), any_tag).encode()
    assert [TokenForm(prefix).parse(text) is None for prefix in ("acme", "bg", "acm", "acmf")] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "prefix",
    ["", "1a", "A", "bg_", "b-g", "a" * 17, "bé", "bg\n", "\nbg", "b g", "٣a", "a٣"],
)
def test_a_prefix_of_another_form_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="token prefix"):
        TokenForm(prefix)


@pytest.mark.parametrize("prefix", ["a", "bg", "a1", "acme0123456789ab"])
def test_a_prefix_is_one_to_sixteen_small_letters_and_digits(prefix: str) -> None:
    form = TokenForm(prefix)
    assert form.parse(form.mint(uuid4(), any_tag).encode()) is not None


def test_a_typo_passes_the_outline_and_fails_the_checksum() -> None:
    text = FORM.mint(uuid4(), any_tag).encode()
    typo = text[:30] + (b"1" if text[30:31] == b"0" else b"0") + text[31:]
    assert (FORM.split(typo) is not None, FORM.checked(typo)) == (True, False)


def test_what_a_forgery_gets_to_see_is_what_the_tag_is_over_and_the_tag() -> None:
    text = FORM.mint(uuid4(), any_tag).encode()
    assert FORM.split(text) == (text[:58], b"0123456789")


@pytest.mark.parametrize(
    "say", [repr, str, lambda found: f"{found}"], ids=["repr", "str", "format"]
)
def test_invariant_12_parts_of_a_token_show_no_secret(say: Callable[[object], str]) -> None:
    text = FORM.mint(uuid4(), any_tag)
    found = FORM.parse(text.encode())
    assert found is not None
    shown = say(found)
    assert str(found.id) in shown
    assert text[25:58] not in shown
    assert text[58:68] not in shown


@pytest.mark.parametrize(
    "around", ["{}", "curl -H 'Bearer {}'", '"{}"', "a={};", "\n{}\n", "x/{}."]
)
def test_scanners_find_a_token_in_text(around: str) -> None:
    text = FORM.mint(uuid4(), any_tag)
    assert re.findall(FORM.pattern(), around.format(text)) == [text]


@pytest.mark.parametrize("around", ["{}0", "a{}", "_{}", "{}_"])
def test_scanners_pass_over_what_is_longer_than_a_token(around: str) -> None:
    assert re.findall(FORM.pattern(), around.format(FORM.mint(uuid4(), any_tag))) == []


def test_base62_is_the_largest_number_that_fits() -> None:
    assert encode_base62(62**6 - 1, 6) == b"zzzzzz"


@pytest.mark.parametrize(("number", "width"), [(62, 1), (62**6, 6), (1, 0), (2**200, 33)])
def test_base62_of_a_number_too_large_is_an_error(number: int, width: int) -> None:
    with pytest.raises(OverflowError):
        encode_base62(number, width)


def test_base62_without_characters_is_zero() -> None:
    assert (encode_base62(0, 0), decode_base62(b"")) == (b"", 0)


@pytest.mark.parametrize("text", [b"_", b"-", b" ", b"\xc3\xa9", b"0\n"])
def test_what_is_no_base62_is_an_error(text: bytes) -> None:
    with pytest.raises(KeyError):
        decode_base62(text)


def test_the_tags_alphabet_is_that_of_base62_and_hardly_uneven() -> None:
    """Ten bytes of a MAC keep at least 56.7 bits as ten characters."""
    counts = [TAG_ALPHABET.count(digit) for digit in DIGITS.encode()]
    assert (set(TAG_ALPHABET), set(counts), TAG_CHARS) == (set(DIGITS.encode()), {4, 5}, 10)
