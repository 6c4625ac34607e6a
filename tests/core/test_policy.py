"""The workspace's settings, and the limits that they set to new tokens."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest

from bearer_guard.errors import ConfigurationError, InvalidRequest, LifetimeTooLong
from bearer_guard.policy import Policy

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


def refusal(policy: Policy, lifetime: timedelta | None) -> str:
    with pytest.raises(LifetimeTooLong) as refused:
        policy.check_lifetime(lifetime)
    return str(refused.value)


def test_a_new_store_lets_administrators_make_tokens_of_any_length_that_expire() -> None:
    policy = Policy()
    assert (policy.enabled, policy.users_may_generate) == (True, False)
    assert (policy.max_lifetime, policy.allow_non_expiring) == (None, False)


def test_a_policy_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Policy().enabled = False  # type: ignore[misc]


@pytest.mark.parametrize("limit", [timedelta(0), -INSTANT, -DAY])
def test_a_limit_that_no_token_meets_is_refused(limit: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="max_lifetime"):
        Policy(max_lifetime=limit)


@pytest.mark.parametrize(
    "settings", [{"enabled": 1}, {"allow_non_expiring": None}, {"max_lifetime": 5}], ids=str
)
def test_what_is_no_setting_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Policy(**settings)


def test_the_smallest_limit_is_one() -> None:
    Policy(max_lifetime=INSTANT).check_lifetime(INSTANT)


def test_without_a_limit_any_lifetime_passes() -> None:
    Policy().check_lifetime(timedelta.max)


def test_a_lifetime_at_the_limit_passes() -> None:
    Policy(max_lifetime=DAY).check_lifetime(DAY)


def test_a_lifetime_just_beyond_the_limit_is_refused() -> None:
    refusal(Policy(max_lifetime=DAY), DAY + INSTANT)


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (90 * DAY, "90 days (7776000 seconds)"),
        (DAY / 2, "0.5 days (43200 seconds)"),
        (timedelta(milliseconds=1500), "(1.5 seconds)"),
        (36500 * DAY, "36500 days (3153600000 seconds)"),
    ],
)
def test_a_refusal_names_the_limit(limit: timedelta, told: str) -> None:
    assert told in refusal(Policy(max_lifetime=limit), limit + INSTANT)


def test_a_token_that_never_expires_is_refused_by_default() -> None:
    assert refusal(Policy(), None) == "tokens that never expire are not allowed here"


def test_a_token_that_never_expires_is_refused_with_the_limit_where_there_is_one() -> None:
    assert "1 days (86400 seconds)" in refusal(Policy(max_lifetime=DAY), None)


@pytest.mark.parametrize("limit", [None, DAY])
def test_a_token_that_never_expires_passes_where_it_is_allowed(limit: timedelta | None) -> None:
    Policy(max_lifetime=limit, allow_non_expiring=True).check_lifetime(None)


def test_allowing_tokens_that_never_expire_lifts_no_other_limit() -> None:
    refusal(Policy(max_lifetime=DAY, allow_non_expiring=True), 2 * DAY)


def test_a_lifetime_too_long_is_a_request_that_can_be_put_right() -> None:
    assert issubclass(LifetimeTooLong, InvalidRequest)
