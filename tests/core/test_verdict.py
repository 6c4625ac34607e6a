"""What the caller is told: one table, and nothing that only the token's holder may know."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple
from uuid import UUID

import pytest

from bearer_guard.record import TokenInfo
from bearer_guard.verdict import ANSWERS, Accepted, Reason, Refusal, Rendered, quote, render

INFO: Final = TokenInfo(
    id=UUID(int=1),
    owner="alice",
    description="nightly sync",
    created_ms=0,
    expires_ms=None,
    scopes=(),
)


class Row(NamedTuple):
    """What goes out, as RFC 6750 section 3.1 and the interface have it."""

    status: int
    challenge: str | None
    error: str
    description: str


def bearer(**words: str) -> str:
    return "Bearer " + ", ".join(f'{name}="{word}"' for name, word in words.items())


def refused(status: int, error: str, description: str, **more: str) -> Row:
    challenge = bearer(realm="api", error=error, error_description=description, **more)
    return Row(status, challenge, error, description)


NOT_VALID: Final = refused(401, "invalid_token", "The access token is not valid")
TABLE: Final = {
    Reason.MISSING: Row(401, bearer(realm="api"), "unauthorized", "An access token is needed"),
    Reason.TWO_HEADERS: refused(400, "invalid_request", "More than one Authorization header"),
    Reason.MALFORMED: NOT_VALID,
    Reason.FORGED: NOT_VALID,
    Reason.UNKNOWN: NOT_VALID,
    Reason.TAMPERED: NOT_VALID,
    Reason.EXPIRED: refused(401, "invalid_token", "The access token expired"),
    Reason.ENDED: refused(401, "invalid_token", "The access token was deleted"),
    Reason.FEATURE_OFF: refused(401, "invalid_token", "Access tokens are switched off"),
    Reason.OWNER_DISABLED: refused(401, "invalid_token", "The owner's account is disabled"),
    Reason.SCOPE: refused(
        403,
        "insufficient_scope",
        "The access token lacks a needed scope",
        scope="reports:read reports:write",
    ),
    Reason.NETWORK: refused(
        403, "insufficient_scope", "The access token can't be used from this network"
    ),
    Reason.PROXY_IDENTITY: refused(
        403,
        "invalid_request",
        "Access tokens don't work together with reverse-proxy single sign-on",
    ),
    Reason.UNAVAILABLE: Row(
        503, None, "temporarily_unavailable", "Access tokens can't be checked now"
    ),
}


def rendered(reason: Reason, realm: str = "api") -> Rendered:
    return render(reason, realm=realm, scopes=["reports:write", "reports:read"])


def headers(answer: Rendered) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in answer.headers}


def test_the_table_has_a_row_for_every_reason() -> None:
    assert set(TABLE) == set(ANSWERS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_an_answer_is_as_the_interface_says(reason: Reason) -> None:
    answer = rendered(reason)
    body = json.loads(answer.body)
    challenge = headers(answer).get("www-authenticate")
    row = Row(answer.status, challenge, body["error"], body["error_description"])
    assert row == TABLE[reason]


@pytest.mark.parametrize("reason", Reason)
def test_an_answer_is_json_that_nobody_keeps(reason: Reason) -> None:
    answer = rendered(reason)
    assert headers(answer) | {"www-authenticate": "", "retry-after": ""} == {
        "content-type": "application/json",
        "content-length": str(len(answer.body)),
        "cache-control": "no-store",
        "www-authenticate": "",
        "retry-after": "",
    }


@pytest.mark.parametrize("reason", Reason)
def test_an_answer_has_no_header_twice_and_all_in_small_letters(reason: Reason) -> None:
    names = [name for name, _ in rendered(reason).headers]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)


@pytest.mark.parametrize("reason", [Reason.FORGED, Reason.UNKNOWN, Reason.TAMPERED])
def test_reasons_that_are_nobodys_business_look_alike_byte_by_byte(reason: Reason) -> None:
    assert rendered(reason) == rendered(Reason.MALFORMED)


def test_reasons_that_the_holder_is_told_differ_from_each_other() -> None:
    told = [Reason.EXPIRED, Reason.ENDED, Reason.FEATURE_OFF, Reason.OWNER_DISABLED]
    assert len({rendered(reason) for reason in [Reason.UNKNOWN, *told]}) == 5


def test_a_store_without_an_answer_means_try_again_and_no_challenge() -> None:
    answer = rendered(Reason.UNAVAILABLE)
    assert (answer.status, headers(answer)["retry-after"]) == (503, "1")
    assert "www-authenticate" not in headers(answer)


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.UNAVAILABLE])
def test_every_other_answer_has_a_challenge_and_no_time_to_try_again(reason: Reason) -> None:
    assert "www-authenticate" in headers(rendered(reason))
    assert "retry-after" not in headers(rendered(reason))


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.SCOPE])
def test_scopes_are_told_only_where_one_is_missing(reason: Reason) -> None:
    assert "scope=" not in headers(rendered(reason)).get("www-authenticate", "")


def test_a_description_has_the_characters_that_rfc_6750_allows() -> None:
    allowed = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*")
    assert all(allowed.fullmatch(answer.description) for answer in ANSWERS.values())


def test_a_realm_is_quoted() -> None:
    challenge = headers(rendered(Reason.MISSING, 'the "inner" C:\\ one'))["www-authenticate"]
    assert challenge == r'Bearer realm="the \"inner\" C:\\ one"'


def test_a_realm_may_have_the_letters_of_latin_1() -> None:
    assert headers(rendered(Reason.MISSING, "Zoë"))["www-authenticate"] == 'Bearer realm="Zoë"'


@pytest.mark.parametrize("realm", ["a\r\nb", "a\0b", "\t", "\x7f", "\u2028", "Ω", "\ud800"])
def test_a_realm_that_can_not_stand_in_a_header_is_refused(realm: str) -> None:
    with pytest.raises(ValueError, match="can't stand in a header"):
        quote(realm)


def test_a_verdict_says_whether_it_is_good() -> None:
    assert Accepted(INFO).accepted
    assert not Refusal(Reason.EXPIRED).accepted
