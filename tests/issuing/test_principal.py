"""`principal`: who has proved who they are."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from bearer_guard.errors import InvalidRequest, NotAllowed
from bearer_guard.issuing import Principal
from bearer_guard.testing import a_record


def test_a_principal_may_do_nothing_by_default() -> None:
    alice = Principal("alice")
    assert not alice.admin
    assert not alice.may_generate


def test_only_the_name_is_positional() -> None:
    with pytest.raises(TypeError):
        Principal("alice", True)  # type: ignore[misc]  # noqa: FBT003


def test_a_principal_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Principal("alice").name = "bob"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 257])
def test_a_name_that_no_token_could_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        Principal(name)


def test_the_limits_of_the_token_shown_are_the_principals() -> None:
    record = a_record(scopes=["read"], networks=["10.0.0.0/8"])
    principal = Principal("alice", token=record)
    assert principal.scopes == ("read",)
    assert principal.networks == ("10.0.0.0/8",)


def test_the_limits_of_the_token_shown_can_not_be_talked_away() -> None:
    record = a_record(scopes=["read"], networks=["10.0.0.0/8"])
    principal = Principal("alice", token=record, scopes=["admin"], networks=["0.0.0.0/0"])
    assert principal.scopes == ("read",)
    assert principal.networks == ("10.0.0.0/8",)


def test_without_a_token_nothing_limits() -> None:
    assert Principal("alice").scopes is None
    assert Principal("alice").networks is None


def test_the_application_may_limit_too() -> None:
    assert Principal("alice", scopes=["write", "read"]).scopes == ("read", "write")


def test_administrators_are_told_from_others() -> None:
    Principal("root", admin=True).must_be_admin()
    with pytest.raises(NotAllowed):
        Principal("alice", may_generate=True).must_be_admin()


def test_a_token_is_no_log_in() -> None:
    Principal("root").must_be_here_in_person()
    with pytest.raises(NotAllowed):
        Principal("root", token=a_record(owner="root")).must_be_here_in_person()
