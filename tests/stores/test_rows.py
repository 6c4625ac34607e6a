"""What adapters write down, and what they make of what they find."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.keyring import Keyring
from bearer_guard.policy import Policy
from bearer_guard.record import TokenRecord
from bearer_guard.stores._rows import (
    FIXED_COLUMNS,
    READ_COLUMNS,
    decode_ids,
    decode_position,
    decode_record,
    decode_settings,
    encode_fixed,
    encode_position,
    encode_settings,
    tampered,
)
from bearer_guard.testing import a_record, a_token

KEYRING = Keyring.generate()
_, SEALED = a_token(
    KEYRING, a_record(scopes=["a"], networks=["10.0.0.0/8"], parent=uuid4(), binding=b"key")
)


def row_of(record: TokenRecord) -> dict[str, object]:
    fixed = dict(zip(FIXED_COLUMNS, encode_fixed(record), strict=True))
    return {name: fixed.get(name, getattr(record, name)) for name in READ_COLUMNS}


def decoded(row: dict[str, object]) -> TokenRecord:
    return decode_record(SEALED.id, list(row.values()))


@pytest.mark.parametrize(
    "record",
    [
        SEALED,
        replace(SEALED, parent=None, binding=None, expires_ms=None, scopes=(), networks=()),
        replace(SEALED, family=uuid4()),
        replace(SEALED, ended_ms=5, end_reason="deleted", last_used_ms=6, last_used_from="::1"),
        replace(SEALED, owner_disabled=True),
    ],
)
def test_a_row_is_read_as_it_was_written(record: TokenRecord) -> None:
    assert decode_record(record.id, list(row_of(record).values())) == record


@pytest.mark.parametrize(
    ("flag", "meaning"), [(None, False), (0, False), (1, True), (False, False), (True, True)]
)
def test_drivers_spell_flags_as_they_like(flag: bool | None, meaning: bool) -> None:  # noqa: FBT001
    assert decoded(row_of(SEALED) | {"owner_disabled": flag}).owner_disabled is meaning


ODD = [None, True, 0, 1.0, "", "x", "[", "[1]", '["a", "a"]', '["b", "a"]', '["\\ud800"]', "{}"]
ODD += ["\ufffd", b"", b"x", b"x" * 15, b"x" * 33, [], "[" * 100_000, '"a"', "1" * 5_000, 2**70]


@pytest.mark.parametrize("column", [c for c in FIXED_COLUMNS if c != "id"])
@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_whatever_stands_in_a_sealed_column_no_seal_fits_it(column: str, value: object) -> None:
    if value == row_of(SEALED)[column]:
        pytest.fail("choose another value: this one is no change")
    assert KEYRING.sealed(decoded(row_of(SEALED) | {column: value})) is False


@pytest.mark.parametrize("column", ["ended_ms", "last_used_ms"])
@pytest.mark.parametrize("value", [1.0, "", "5", b"5", True], ids=repr)
def test_a_time_that_is_none_makes_a_row_a_tampered_one(column: str, value: object) -> None:
    assert decoded(row_of(SEALED) | {column: value}) == tampered(SEALED.id)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("digest", b"x" * 31),
        ("seal", b"x" * 33),
        ("scopes", '["b", "a"]'),
        ("scopes", '["a", "a"]'),
    ],
)
def test_what_no_record_can_be_stands_for_a_tampered_one(column: str, value: object) -> None:
    assert decoded(row_of(SEALED) | {column: value}) == tampered(SEALED.id)


def test_a_number_that_only_looks_whole_is_tampered() -> None:
    """The seal is over its digits, and would not tell."""
    row = row_of(SEALED)
    assert decoded(row | {"created_ms": float(SEALED.created_ms)}) == tampered(SEALED.id)


@given(
    st.lists(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        min_size=len(READ_COLUMNS),
        max_size=len(READ_COLUMNS),
    )
)
def test_no_row_is_an_error(row: Sequence[object]) -> None:
    assert KEYRING.sealed(decode_record(SEALED.id, row)) is False


def test_what_stands_for_a_tampered_row_has_its_id() -> None:
    assert tampered(SEALED.id).id == SEALED.id
    assert KEYRING.sealed(tampered(SEALED.id)) is False


@given(
    st.builds(
        Policy,
        enabled=st.booleans(),
        users_may_generate=st.booleans(),
        max_lifetime=st.none() | st.timedeltas(min_value=timedelta(microseconds=1)),
        allow_non_expiring=st.booleans(),
    )
)
def test_settings_are_read_as_they_were_written(policy: Policy) -> None:
    assert decode_settings(encode_settings(policy)) == policy


def test_no_settings_are_those_of_a_new_store() -> None:
    assert decode_settings(None) == Policy()


GOOD = json.loads(encode_settings(Policy()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "1",
        "{",
        "[" * 100_000,
        b"\xff",
        5,
        json.dumps(GOOD | {"enabled": 1}),
        json.dumps(GOOD | {"enabled": None}),
        json.dumps(GOOD | {"users_may_generate": "false"}),
        json.dumps(GOOD | {"max_lifetime_us": 0}),
        json.dumps(GOOD | {"max_lifetime_us": 1.5}),
        json.dumps(GOOD | {"max_lifetime_us": True}),
        json.dumps(GOOD | {"max_lifetime_us": "5"}),
        json.dumps(GOOD | {"max_lifetime_us": 10**30}),
    ],
    ids=lambda text: str(text)[:30],
)
def test_settings_that_make_no_sense_are_no_answer(text: object) -> None:
    """To take the defaults instead could switch on what somebody has switched off."""
    with pytest.raises(StoreUnavailable, match="set them again"):
        decode_settings(text)


@given(st.integers(-(2**53), 2**53), st.uuids())
def test_a_place_in_a_listing_is_read_as_it_was_written(created_ms: int, id: UUID) -> None:
    assert decode_position(encode_position(created_ms, id)) == (created_ms, id)


@pytest.mark.parametrize("text", ["", ".", "5", "5.", "5.xyz", "5." + "0" * 31, "5." + "0" * 33])
def test_another_place_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_position(text)


@pytest.mark.parametrize("edge", [-(10**18) + 1, 10**18 - 1])
def test_a_place_fits_into_a_column(edge: int) -> None:
    """Of 64 bits: a number beyond would be an error of the driver."""
    assert abs(decode_position(encode_position(edge, uuid4()))[0]) < 2**63
    with pytest.raises(InvalidRequest):
        decode_position(f"{edge * 10}.{uuid4().hex}")


def test_ids_are_read_as_bytes_and_anything_else_is_none() -> None:
    ids = [uuid4(), uuid4()]
    assert decode_ids(id.bytes for id in ids) == frozenset(ids)
    for odd in (b"x", "x", None, 5):
        assert decode_ids([ids[0].bytes, odd]) is None
