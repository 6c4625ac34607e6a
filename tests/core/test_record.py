"""The record: what is fixed, and the lattice of what may change."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, Final
from uuid import UUID

import pytest

from bearer_guard.record import EndReason, TokenInfo, TokenRecord, Use, is_scope
from bearer_guard.testing import a_record

RECORD: Final = a_record(scopes=["read", "write"], created_ms=1_000, expires_ms=9_000)
CHANGING: Final = {"ended_ms", "end_reason", "last_used_ms", "last_used_from", "owner_disabled"}
OTHER: Final[dict[str, Any]] = {
    "id": UUID(int=8),
    "owner": "mallory",
    "description": "",
    "scopes": ("read",),
    "networks": ("192.0.2.0/24",),
    "family": UUID(int=8),
    "parent": UUID(int=8),
    "binding": b"",
    "created_ms": 1_001,
    "expires_ms": None,
    "digest": bytes(32),
    "seal": bytes(32),
    "key_id": "fedcba9876543210",
}


def end_of(record: TokenRecord) -> tuple[int | None, str | None]:
    return record.ended_ms, record.end_reason


def use_of(record: TokenRecord) -> tuple[int | None, str | None]:
    return record.last_used_ms, record.last_used_from


def test_a_record_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        RECORD.owner = "mallory"  # type: ignore[misc]


@pytest.mark.parametrize("field", ["digest", "seal"])
@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_digest_and_a_seal_are_32_bytes(field: str, size: int) -> None:
    change: dict[str, Any] = {field: bytes(size)}
    with pytest.raises(ValueError, match="32 bytes"):
        replace(RECORD, **change)


@pytest.mark.parametrize("scopes", [("write", "read"), ("read", "read"), ("a", "b", "a")])
def test_scopes_are_sorted_and_without_duplicates(scopes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="sorted"):
        replace(RECORD, scopes=scopes)


def test_an_application_sees_nothing_that_it_need_not() -> None:
    assert RECORD.info() == TokenInfo(
        id=RECORD.id,
        owner="alice",
        description="nightly sync",
        created_ms=1_000,
        expires_ms=9_000,
        scopes=("read", "write"),
    )


def test_invariant_12_a_record_shows_neither_digest_nor_seal() -> None:
    shown = repr(a_record())
    assert "digest" not in shown
    assert "seal" not in shown


def test_every_field_is_fixed_or_named_here_as_one_that_may_change() -> None:
    assert {field.name for field in fields(TokenRecord)} == set(OTHER) | CHANGING


@pytest.mark.parametrize("field", OTHER)
def test_views_that_differ_in_a_fixed_field_are_of_two_tokens(field: str) -> None:
    with pytest.raises(ValueError, match="not two views"):
        RECORD.merge(replace(RECORD, **{field: OTHER[field]}))


@pytest.mark.parametrize("field", OTHER)
def test_every_fixed_field_counts_as_fixed(field: str) -> None:
    assert RECORD.fixed() != replace(RECORD, **{field: OTHER[field]}).fixed()


def test_no_changing_field_counts_as_fixed() -> None:
    changed = replace(RECORD, ended_ms=1, end_reason="x", last_used_ms=2, owner_disabled=True)
    assert changed.fixed() == RECORD.fixed()


def test_an_end_is_set() -> None:
    assert end_of(RECORD.end(5_000, EndReason.DELETED)) == (5_000, "deleted")


def test_an_end_moves_earlier() -> None:
    record = RECORD.end(5_000, EndReason.RENEWED).end(4_000, EndReason.LEAKED)
    assert end_of(record) == (4_000, "leaked")


def test_invariant_11_an_end_never_moves_later() -> None:
    record = RECORD.end(4_000, EndReason.DELETED).end(5_000, EndReason.LEAKED)
    assert end_of(record) == (4_000, "deleted")


def test_of_two_ends_at_one_instant_the_reason_that_sorts_first_stays() -> None:
    one, other = (
        RECORD.end(5, "leaked").end(5, "deleted"),
        RECORD.end(5, "deleted").end(5, "leaked"),
    )
    assert end_of(one) == end_of(other) == (5, "deleted")


def test_a_use_moves_later_and_never_earlier() -> None:
    record = RECORD.use(Use(5, "192.0.2.1")).use(Use(7, "192.0.2.2")).use(Use(6, "192.0.2.3"))
    assert use_of(record) == (7, "192.0.2.2")


def test_a_use_from_nowhere_known_counts() -> None:
    assert use_of(RECORD.use(Use(5, "192.0.2.1")).use(Use(7))) == (7, None)


@pytest.mark.parametrize(
    ("expires_ms", "ended_ms", "dead_ms"),
    [(None, None, None), (9, None, 9), (None, 5, 5), (9, 5, 5), (5, 9, 5), (0, 9, 0), (9, 0, 0)],
)
def test_a_token_is_dead_from_its_expiry_or_its_end(
    expires_ms: int | None, ended_ms: int | None, dead_ms: int | None
) -> None:
    record = replace(RECORD, expires_ms=expires_ms, ended_ms=ended_ms)
    assert record.dead_ms() == dead_ms


@pytest.mark.parametrize("now_ms", [0, 4_999, 5_000])
@pytest.mark.parametrize("reason", [each for each in EndReason if each is not EndReason.RENEWED])
def test_an_end_holds_at_once_whatever_its_clock_said(reason: EndReason, now_ms: int) -> None:
    assert RECORD.end(5_000, reason).ended(now_ms)


@pytest.mark.parametrize(("now_ms", "ended"), [(4_999, False), (5_000, True), (5_001, True)])
def test_a_renewed_token_lives_through_its_grace(now_ms: int, *, ended: bool) -> None:
    assert RECORD.end(5_000, EndReason.RENEWED).ended(now_ms) is ended


def test_a_token_that_nobody_ended_has_not_ended() -> None:
    assert not RECORD.ended(2**60)


def test_an_end_at_the_beginning_of_time_is_an_end() -> None:
    assert end_of(RECORD.end(5, "x").end(0, "y")) == (0, "y")


def test_merging_takes_the_earlier_end_and_the_later_use() -> None:
    one = RECORD.end(5, "a").use(Use(1, "192.0.2.1"))
    other = RECORD.end(4, "b").use(Use(2, "192.0.2.2"))
    merged = one.merge(other)
    assert (end_of(merged), use_of(merged)) == ((4, "b"), (2, "192.0.2.2"))


def test_merging_keeps_a_disabled_owner() -> None:
    assert replace(RECORD, owner_disabled=True).merge(RECORD).owner_disabled


@pytest.mark.parametrize("text", ["a", "read:all", "!#[]~"])
def test_these_are_scopes(text: str) -> None:
    assert is_scope(text)


@pytest.mark.parametrize("text", ["", "a b", 'a"b', "a\\b", "é", "a\n"])
def test_these_are_no_scopes(text: str) -> None:
    assert not is_scope(text)
