"""Which header lists carry credentials, and what of them could be a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from bearer_guard.credentials import bearer_token, field_value
from bearer_guard.keyring import Keyring
from bearer_guard.token import TokenForm
from bearer_guard.verdict import Reason

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "credentials.json").read_text("utf-8")
)
TOKEN: Final = VECTORS["token"].encode()
KEYRING: Final = Keyring([bytes.fromhex(VECTORS["key"])])


def latin(text: str) -> bytes:
    return text.encode("latin-1")


def outcome_of(value: bytes | Reason) -> str:
    """What becomes of a field: the token, or why there is none."""
    text = value if isinstance(value, Reason) else bearer_token(value)
    if isinstance(text, Reason):
        return text.value
    parts = TokenForm().parse(text)
    if parts is None:
        return Reason.MALFORMED.value
    assert KEYRING.vouches(parts.tagged, parts.tag)
    assert text == TOKEN
    return "token"


@pytest.mark.parametrize("vector", VECTORS["values"], ids=lambda vector: vector["why"])
def test_invariant_01_a_field_value_is_what_the_vectors_say(vector: dict[str, str]) -> None:
    assert outcome_of(latin(vector["value"])) == vector["outcome"]


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda vector: vector["why"])
def test_invariant_01_a_request_carries_what_the_vectors_say(vector: dict[str, Any]) -> None:
    headers = [(latin(name), latin(value)) for name, value in vector["headers"]]
    assert outcome_of(field_value(headers)) == vector["outcome"]


def test_a_value_is_found_as_it_came() -> None:
    assert field_value([(b"Authorization", b" x ")]) == b" x "


def test_headers_may_come_one_by_one() -> None:
    assert field_value(iter([(b"a", b"b"), (b"authorization", b"x")])) == b"x"


def test_two_fields_are_one_too_many_even_if_both_are_empty() -> None:
    assert field_value([(b"authorization", b""), (b"AUTHORIZATION", b"")]) is Reason.TWO_HEADERS
