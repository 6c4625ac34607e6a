"""`_format`: records, settings and accounts as the HTTP API spells them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.endpoints._format import account_json, iso, settings_json, token_json
from bearer_guard.policy import Policy
from bearer_guard.store import Account
from bearer_guard.testing import a_record


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_795_532_399_999, "2026-11-24T14:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (None, None),
        (-1, None),
        (253_402_300_800_000, None),
        (2**70, None),
    ],
)
def test_a_time_is_iso_8601_with_milliseconds(at_ms: int | None, text: str | None) -> None:
    assert iso(at_ms) == text


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_loses_no_millisecond(at_ms: int) -> None:
    text = iso(at_ms)
    assert text is not None
    assert len(text) == 24
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert since // timedelta(milliseconds=1) == at_ms


def test_a_token_is_told_in_the_known_order_and_nothing_secret_is() -> None:
    record = a_record(
        scopes=["read"], networks=["10.0.0.0/8"], expires_ms=None, last_used_ms=1_795_528_800_001
    )
    assert list(token_json(record).items()) == [
        ("tokenId", str(record.id)),
        ("description", "nightly sync"),
        ("expiredAt", None),
        ("lastUsed", "2026-11-24T14:00:00.001Z"),
        ("createdAt", "2026-11-24T14:00:00.000Z"),
        ("scopes", ["read"]),
        ("networks", ["10.0.0.0/8"]),
    ]
    assert record.digest.hex() not in json.dumps(token_json(record))


@pytest.mark.parametrize(
    ("limit", "days"),
    [
        (None, -1),
        (timedelta(days=90), 90),
        (timedelta(hours=12), 0.5),
        (timedelta(days=999_999_999), 999_999_999),
    ],
)
def test_the_longest_lifetime_is_told_in_days(limit: timedelta | None, days: float) -> None:
    told = settings_json(Policy(max_lifetime=limit))
    assert list(told) == ["enabled", "usersMayGenerate", "maxLifetimeDays", "allowNonExpiring"]
    assert told["maxLifetimeDays"] == days
    assert type(told["maxLifetimeDays"]) is type(days)


def test_an_account_is_told_without_its_hash() -> None:
    account = Account(name="alice", password_hash="$argon2id$", created_ms=1, password_ms=1)
    assert account_json(account) == {
        "name": "alice",
        "admin": False,
        "mayGenerate": False,
        "disabled": False,
    }
