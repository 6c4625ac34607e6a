"""`_answers`: which status an error is, and what is said with it."""

from __future__ import annotations

import json

import pytest

from bearer_guard import errors
from bearer_guard.endpoints._answers import (
    empty,
    error,
    json_answer,
    refused,
    too_many,
    unauthorized,
    why_not,
)
from bearer_guard.endpoints._json import BodyTooLarge, NotJson
from bearer_guard.errors import IssueRefused
from bearer_guard.issuing.accounts import NameTaken
from bearer_guard.verdict import ANSWERS, Reason, render


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (errors.NotFound, 404, "not_found"),
        (errors.FeatureOff, 404, "not_found"),
        (errors.NotAllowed, 403, "access_denied"),
        (NameTaken, 409, "conflict"),
        (BodyTooLarge, 413, "content_too_large"),
        (NotJson, 415, "unsupported_media_type"),
        (errors.LifetimeTooLong, 400, "invalid_request"),
        (errors.InvalidRequest, 400, "invalid_request"),
    ],
)
def test_each_refusal_has_its_status(kind: type[IssueRefused], status: int, code: str) -> None:
    answer = why_not(kind("because"))
    assert answer.status_code == status
    assert json.loads(answer.body) == {"error": code, "error_description": "because"}


def test_no_refusal_is_without_a_status() -> None:
    kinds = [IssueRefused]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind is not IssueRefused:
            assert why_not(kind("because")).status_code >= 400


@pytest.mark.parametrize("reason", Reason)
def test_what_the_guard_refuses_too_is_said_as_the_guard_says_it(reason: Reason) -> None:
    answer = refused(reason, realm="api")
    status, headers, body = render(reason, realm="api")
    assert (answer.status_code, answer.body) == (status, body)
    assert answer.raw_headers[: len(headers)] == list(headers)
    extra = answer.raw_headers[len(headers) :]
    basic = (b"www-authenticate", b'Basic realm="api", charset="UTF-8"')
    assert extra == ([basic] if ANSWERS[reason].status == 401 else [])


def test_a_wrong_password_gets_both_challenges_and_no_word_of_why() -> None:
    answer = unauthorized(realm='a "b"')
    assert [value for name, value in answer.raw_headers if name == b"www-authenticate"] == [
        b'Bearer realm="a \\"b\\""',
        b'Basic realm="a \\"b\\"", charset="UTF-8"',
    ]
    assert json.loads(answer.body)["error"] == "unauthorized"


def test_too_many_failures_say_when_to_come_back() -> None:
    answer = too_many(17)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")
    assert "www-authenticate" not in answer.headers


def test_no_answer_may_be_kept() -> None:
    answers = [json_answer({}), empty(), error(400, "a", "b"), too_many(1), unauthorized(realm="r")]
    answers += [refused(reason, realm="r") for reason in Reason]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


def test_a_body_is_ascii_whatever_is_in_it() -> None:
    assert json_answer({"é": "\ud800"}).body == b'{"\\u00e9": "\\ud800"}'
    assert json_answer(b"[1]").body == b"[1]"
