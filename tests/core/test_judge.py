"""`judge`: one record, one token, one moment, one verdict."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.judge import allowed_from, judge
from bearer_guard.keyring import Keyring
from bearer_guard.policy import Policy
from bearer_guard.record import TokenRecord
from bearer_guard.token import TokenForm
from bearer_guard.verdict import Accepted, Reason, Refusal, Verdict

NOW = 1_800_000_000_000
KEYRING = Keyring.generate()
ID = UUID(int=7)
TOKEN = TokenForm().mint(ID, KEYRING.tag).encode()
BARE = TokenRecord(
    id=ID,
    owner="alice",
    description="nightly sync",
    scopes=("read",),
    networks=(),
    family=ID,
    parent=None,
    binding=None,
    created_ms=NOW - 1000,
    expires_ms=NOW + 1000,
    digest=bytes(32),
    seal=bytes(32),
    key_id="",
)
RECORD = KEYRING.seal(BARE, TOKEN)


def verdict_on(
    record: TokenRecord | None,
    *,
    policy: Policy | None = None,
    now_ms: int = NOW,
    token: bytes = TOKEN,
    keyring: Keyring = KEYRING,
) -> Verdict:
    policy = policy or Policy()
    return judge(record, keyring=keyring, token=token, policy=policy, now_ms=now_ms)


def reason_for(record: TokenRecord | None, **circumstances: object) -> Reason | None:
    verdict = verdict_on(record, **circumstances)  # type: ignore[arg-type]
    return verdict.reason if isinstance(verdict, Refusal) else None


def test_a_good_token_is_accepted_with_its_info() -> None:
    assert verdict_on(RECORD) == Accepted(RECORD.info())


def test_a_token_without_a_record_is_unknown() -> None:
    assert verdict_on(None) == Refusal(Reason.UNKNOWN)


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "mallory"},
        {"scopes": ("read", "write")},
        {"networks": ("0.0.0.0/0",)},
        {"expires_ms": None},
        {"expires_ms": NOW + 2000},
        {"created_ms": NOW},
        {"description": ""},
        {"family": UUID(int=8)},
        {"parent": UUID(int=8)},
        {"digest": bytes(32)},
        {"seal": bytes(32)},
        {"key_id": "0000000000000000"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_record_is_tampered_and_shows_nothing(change: dict[str, object]) -> None:
    assert verdict_on(replace(RECORD, **change)) == Refusal(Reason.TAMPERED)  # type: ignore[arg-type]


def test_the_genuine_record_of_another_token_is_tampered() -> None:
    other = TokenForm().mint(ID, KEYRING.tag).encode()
    assert verdict_on(RECORD, token=other) == Refusal(Reason.TAMPERED)


def test_a_record_of_another_keyring_is_tampered() -> None:
    assert verdict_on(RECORD, keyring=Keyring.generate()) == Refusal(Reason.TAMPERED)


@pytest.mark.parametrize(
    ("now_ms", "reason"),
    [(NOW + 999, None), (NOW + 1000, Reason.EXPIRED), (NOW + 1001, Reason.EXPIRED)],
)
def test_a_token_is_refused_from_its_last_millisecond_on(
    now_ms: int, reason: Reason | None
) -> None:
    assert reason_for(RECORD, now_ms=now_ms) is reason


def test_a_token_without_expiry_never_expires() -> None:
    record = KEYRING.seal(replace(BARE, expires_ms=None), TOKEN)
    assert reason_for(record, now_ms=2**53) is None


@pytest.mark.parametrize(
    ("ended_ms", "reason"), [(NOW - 1, Reason.ENDED), (NOW, Reason.ENDED), (NOW + 1, None)]
)
def test_a_token_is_refused_from_its_end_on(ended_ms: int, reason: Reason | None) -> None:
    assert reason_for(RECORD.end(ended_ms, "renewed")) is reason


def test_a_token_that_ended_and_expired_is_told_to_have_ended() -> None:
    ended = RECORD.end(NOW, "deleted")
    assert reason_for(ended, now_ms=NOW + 5000) is Reason.ENDED


def test_with_the_feature_off_no_token_is_good() -> None:
    assert reason_for(RECORD, policy=Policy(enabled=False)) is Reason.FEATURE_OFF


def test_tokens_of_a_disabled_account_are_refused() -> None:
    assert reason_for(replace(RECORD, owner_disabled=True)) is Reason.OWNER_DISABLED


def test_a_refusal_of_a_genuine_token_bears_its_info() -> None:
    verdict = verdict_on(RECORD.end(NOW, "deleted"))
    assert verdict == Refusal(Reason.ENDED, RECORD.info())


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.1", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.2.1", True),
        ("::ffff:192.0.3.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        (None, False),
        ("", False),
        ("/run/app.sock", False),
        ("testclient", False),
        ("192.0.2.1:443", False),
        ("192.0.2.01", False),
    ],
)
def test_a_network_holds_what_lies_in_it(address: str | None, *, allowed: bool) -> None:
    assert allowed_from(("192.0.2.0/24", "2001:db8::/32"), address) is allowed


@pytest.mark.parametrize("address", [None, "", "/run/app.sock", "192.0.2.1"])
def test_without_networks_a_token_is_good_anywhere(address: str | None) -> None:
    assert allowed_from((), address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_a_mapped_network_holds_mapped_addresses_only_as_the_server_tells_them(
    address: str,
) -> None:
    assert allowed_from(("::ffff:a00:0/104",), address) is address.startswith("::")


def test_a_link_local_address_may_name_its_interface() -> None:
    assert allowed_from(("fe80::/10",), "fe80::1%eth0")


def test_a_block_that_is_none_holds_nothing() -> None:
    assert not allowed_from(("192.0.2.0/33", "0.0.0.0/0"), "192.0.2.1")


@given(st.text())
def test_any_text_at_all_is_an_address_or_is_refused(text: str) -> None:
    assert allowed_from(("192.0.2.0/24",), text) in {True, False}


@pytest.mark.parametrize("why", ["deleted", "leaked", "owner-gone", "replaced", "anything"])
def test_an_end_that_is_no_grace_holds_at_once_whatever_its_time_says(why: str) -> None:
    """The clock of the process that ended it may be ahead of this one's."""
    assert reason_for(RECORD.end(NOW + 60_000, why)) is Reason.ENDED
