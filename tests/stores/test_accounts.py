"""Changing an account."""

from dataclasses import replace

from bearer_guard.store import Account, AccountChange
from bearer_guard.stores._accounts import changed

ALICE = Account(name="alice", password_hash="$x", admin=True, created_ms=1, password_ms=2)


def test_what_is_none_stays() -> None:
    assert changed(ALICE, AccountChange()) == ALICE


def test_false_is_a_change() -> None:
    assert changed(ALICE, AccountChange(admin=False)) == replace(ALICE, admin=False)


def test_a_password_comes_with_its_time() -> None:
    change = AccountChange(password_hash="$y", password_ms=3)
    assert changed(ALICE, change) == replace(ALICE, password_hash="$y", password_ms=3)
