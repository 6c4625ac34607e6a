"""Challenges, as parsers that are not ours read them: RFC 9110 section 11.6.1."""

from __future__ import annotations

import re
from urllib.request import parse_http_list, parse_keqv_list

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import WWWAuthenticate

from bearer_guard.verdict import ANSWERS, Reason, render

# scope-token of RFC 6749 section 3.3; whatever a quoted-string can hold makes a realm.
SCOPES = st.lists(st.from_regex(r"[\x21\x23-\x5b\x5d-\x7e]{1,20}", fullmatch=True), unique=True)
REALMS = st.text(st.characters(max_codepoint=255).filter(str.isprintable))
CHALLENGING = [reason for reason in Reason if ANSWERS[reason].challenge]
# Characters that section 3 allows in each value.
ALLOWED = {
    "error": r"[\x20-\x21\x23-\x5b\x5d-\x7e]+",
    "error_description": r"[\x20-\x21\x23-\x5b\x5d-\x7e]+",
    "scope": r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*",
}


def challenges(reason: Reason, realm: str, scopes: list[str]) -> list[str]:
    answer = render(reason, realm=realm, scopes=scopes)
    return [value.decode("latin-1") for name, value in answer.headers if name[:4] == b"www-"]


def expected(reason: Reason, realm: str, scopes: list[str]) -> dict[str, str]:
    answer = ANSWERS[reason]
    words = {"realm": realm, "error": answer.error, "error_description": answer.description}
    if reason is Reason.SCOPE:
        words["scope"] = " ".join(sorted(scopes))
    return {name: word for name, word in words.items() if word or name == "realm"}


@given(st.sampled_from(CHALLENGING), REALMS, SCOPES.filter(bool))
@example(Reason.SCOPE, "\\", ["read"])
@example(Reason.SCOPE, 'a\\"b, c="d', ["read", "write"])
def test_werkzeug_reads_what_was_meant(reason: Reason, realm: str, scopes: list[str]) -> None:
    (text,) = challenges(reason, realm, scopes)
    parsed = WWWAuthenticate.from_header(text)
    assert parsed is not None
    assert (parsed.type, parsed.token) == ("bearer", None)
    assert dict(parsed.parameters) == expected(reason, realm, scopes)


@given(st.sampled_from(CHALLENGING), REALMS.filter(lambda realm: "\\" not in realm), SCOPES)
def test_the_standard_library_reads_what_was_meant(
    reason: Reason, realm: str, scopes: list[str]
) -> None:
    """Its parser takes away the quotes, but not the backslashes between them."""
    realm = realm.replace('"', "")
    scopes = [*scopes, "read"]
    (text,) = challenges(reason, realm, scopes)
    scheme, _, words = text.partition(" ")
    assert scheme == "Bearer"
    assert parse_keqv_list(parse_http_list(words)) == expected(reason, realm, scopes)


@pytest.mark.parametrize("reason", CHALLENGING)
def test_every_value_has_only_what_the_standard_allows(reason: Reason) -> None:
    for name, word in expected(reason, "api", ["read", "write"]).items():
        assert name == "realm" or re.fullmatch(ALLOWED[name], word), name


@pytest.mark.parametrize("reason", set(Reason) - set(CHALLENGING))
def test_where_other_credentials_would_not_help_there_is_no_challenge(reason: Reason) -> None:
    assert challenges(reason, "api", []) == []
