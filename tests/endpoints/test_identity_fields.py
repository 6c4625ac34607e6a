"""`_identity_fields`: owners and scopes as field values that can be told apart and read back."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.endpoints._identity_fields import identity_fields
from bearer_guard.record import TokenInfo
from bearer_guard.testing import a_record


def info(owner: str, *scopes: str) -> TokenInfo:
    return a_record(owner=owner, scopes=scopes).info()


@pytest.mark.parametrize(
    ("owner", "sent"),
    [
        ("alice", "alice"),
        ("Alice Smith", "Alice Smith"),
        ("Zoë", "Zo%C3%AB"),
        ("Łukasz", "%C5%81ukasz"),
        ("100%", "100%25"),
        ("%C5%81ukasz", "%25C5%2581ukasz"),
        (" a ", "%20a%20"),
        ("a\u00a0b", "a%C2%A0b"),
    ],
)
def test_what_can_stand_in_a_field_stands_there_as_it_is(owner: str, sent: str) -> None:
    assert identity_fields(info(owner))[0] == (b"x-bearer-guard-user", sent.encode())


def test_all_three_are_there_where_there_is_nothing_to_say() -> None:
    token = info("alice")
    assert identity_fields(token)[1:] == (
        (b"x-bearer-guard-token-id", str(token.id).encode()),
        (b"x-bearer-guard-scopes", b""),
    )
    assert identity_fields(info("alice", "a", "b"))[2][1] == b"a b"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_every_owner_is_read_back_by_decoding_once(owner: str) -> None:
    record = a_record()
    token = TokenInfo(
        id=record.id, owner=owner, description="", created_ms=0, expires_ms=None, scopes=()
    )
    value = identity_fields(token)[0][1].decode("ascii")
    assert unquote(value) == owner
    assert value == value.strip()
    assert value.isprintable()
