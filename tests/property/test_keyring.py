"""The seal: whoever has no key changes no sealed field, and no two records look alike to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from hypothesis import assume, example, given
from hypothesis import strategies as st

from bearer_guard.keyring import Keyring, sealed_bytes
from bearer_guard.record import TokenRecord
from bearer_guard.testing import a_record, a_token
from bearer_guard.token import TokenForm

KEYRING: Final = Keyring([bytes(range(32)), bytes(range(32, 64))])
# Few and short, so that what is cut elsewhere meets what looks like it.
WORDS: Final = st.text("a\0\xff\U0001f511", max_size=3) | st.text(max_size=8)
LISTS: Final = st.lists(WORDS, max_size=3).map(tuple)
NUMBERS: Final = st.integers(-2, 12) | st.integers()
IDS: Final = st.uuids() | st.integers(0, 2).map(lambda number: UUID(int=number))
DIGESTS: Final = st.binary(min_size=32, max_size=32)
FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "id": IDS,
    "owner": WORDS,
    "description": WORDS,
    "scopes": LISTS.map(lambda words: tuple(sorted(set(words)))),
    "networks": LISTS,
    "family": IDS,
    "parent": st.none() | IDS,
    "binding": st.none() | st.binary(max_size=3),
    "created_ms": NUMBERS,
    "expires_ms": st.none() | NUMBERS,
    "digest": DIGESTS,
    "key_id": WORDS | st.sampled_from(KEYRING.ids),
}
RECORDS: Final = st.fixed_dictionaries(FIELDS).map(
    lambda fields: TokenRecord(**fields, seal=bytes(32))
)
CHANGES: Final = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.tuples(st.just(name), FIELDS[name])
)
FORM: Final = TokenForm()
QUICK: Final = KEYRING.forgery_test(FORM, b"Bearer ")
FORGERIES: Final = st.builds(
    lambda keyring, at, byte: (field := field_of(keyring))[:at] + byte + field[at + 1 :],
    st.sampled_from([KEYRING, Keyring([bytes(32)])]),
    st.integers(0, 90),
    st.binary(max_size=1),
)


def field_of(keyring: Keyring) -> bytes:
    return b"Bearer " + a_token(keyring)[0].encode()


def sealed_part(record: TokenRecord) -> tuple[object, ...]:
    return record.fixed()[:-1]


@given(RECORDS, st.binary(max_size=80))
def test_what_was_sealed_is_sealed(record: TokenRecord, token: bytes) -> None:
    sealed = KEYRING.seal(record, token)
    assert KEYRING.sealed(sealed)
    assert KEYRING.matches(sealed.key_id, sealed.digest, token)


@given(RECORDS, CHANGES)
def test_invariant_09_a_change_of_any_sealed_field_breaks_the_seal(
    record: TokenRecord, change: tuple[str, object]
) -> None:
    name, value = change
    sealed = KEYRING.seal(record, b"token")
    assume(getattr(sealed, name) != value)
    assert not KEYRING.sealed(replace(sealed, **{name: value}))  # type: ignore[arg-type]


@given(RECORDS, st.integers(0, 255))
def test_invariant_09_a_change_of_any_bit_of_the_seal_breaks_it(
    record: TokenRecord, bit: int
) -> None:
    sealed = KEYRING.seal(record, b"token")
    number = int.from_bytes(sealed.seal) ^ 1 << bit
    assert not KEYRING.sealed(replace(sealed, seal=number.to_bytes(32)))


@given(RECORDS)
def test_invariant_09_nobody_without_the_key_seals(record: TokenRecord) -> None:
    other = Keyring([bytes(32)]).seal(record, b"token")
    for key_id in (*KEYRING.ids, other.key_id, ""):
        assert not KEYRING.sealed(replace(other, key_id=key_id))


@given(RECORDS, RECORDS)
def test_invariant_09_the_seal_of_another_record_does_not_fit(
    one: TokenRecord, other: TokenRecord
) -> None:
    sealed, donor = KEYRING.seal(one, b"token"), KEYRING.seal(other, b"token")
    assume(sealed_part(sealed) != sealed_part(donor))
    assert not KEYRING.sealed(replace(sealed, seal=donor.seal))


@given(
    RECORDS,
    st.fixed_dictionaries(
        {
            "ended_ms": st.none() | NUMBERS,
            "end_reason": st.none() | WORDS,
            "last_used_ms": st.none() | NUMBERS,
            "last_used_from": st.none() | WORDS,
            "owner_disabled": st.booleans(),
        }
    ),
)
def test_what_is_not_fixed_at_creation_is_not_sealed(
    record: TokenRecord, changes: dict[str, Any]
) -> None:
    assert KEYRING.sealed(replace(KEYRING.seal(record, b"token"), **changes))


@given(RECORDS, RECORDS)
@example(replace(a_record(), owner="ab"), replace(a_record(), owner="a", description="b"))
def test_two_records_have_two_encodings(one: TokenRecord, other: TokenRecord) -> None:
    assert (sealed_bytes(one) == sealed_bytes(other)) == (sealed_part(one) == sealed_part(other))


@given(RECORDS, st.lists(CHANGES, min_size=1, max_size=4))
def test_neighbouring_records_have_two_encodings(
    record: TokenRecord, changes: list[tuple[str, object]]
) -> None:
    """Records that are alike but for some fields: where an ambiguous encoding would show."""
    other = replace(record, **dict(changes))  # type: ignore[arg-type]
    assert (sealed_bytes(record) == sealed_bytes(other)) == (
        sealed_part(record) == sealed_part(other)
    )


@given(RECORDS)
def test_an_encoding_can_be_read_back(record: TokenRecord) -> None:
    """Which is why no two records share one, whatever their fields are."""
    encoding = sealed_bytes(record)
    assert encoding[:1] == b"\x01"
    fields = read_fields(encoding[1:])
    assert (fields[0], fields[5], fields[10]) == (
        record.id.bytes,
        record.family.bytes,
        record.digest,
    )
    assert fields[1:3] == [record.owner.encode(), record.description.encode()]
    assert read_fields(fields[3] or b"") == [scope.encode() for scope in record.scopes]
    assert read_fields(fields[4] or b"") == [network.encode() for network in record.networks]
    assert fields[6] == (record.parent and record.parent.bytes)
    assert fields[7] == record.binding
    assert [fields[8] and int(fields[8]), fields[9] and int(fields[9])] == [
        record.created_ms,
        record.expires_ms,
    ]
    assert fields[11:] == [record.key_id.encode()]


@given(st.binary(max_size=90), st.text("0Az", min_size=10, max_size=10))
def test_no_made_up_tag_is_vouched_for(tagged: bytes, tag: str) -> None:
    assert not KEYRING.vouches(tagged, tag.encode())


@given(st.binary(max_size=90), st.integers(0, 89), st.integers(1, 255))
def test_a_tag_vouches_for_every_byte(tagged: bytes, at: int, flip: int) -> None:
    assume(at < len(tagged))
    changed = tagged[:at] + bytes([tagged[at] ^ flip]) + tagged[at + 1 :]
    assert not KEYRING.vouches(changed, KEYRING.tag(tagged))


@given(FORGERIES | st.binary(max_size=100))
def test_the_quick_test_finds_forgeries_and_never_a_genuine_token(value: bytes) -> None:
    text = value.removeprefix(b"Bearer ")
    outline = FORM.split(text)
    if text == value:
        assert not QUICK(value)
    elif outline is not None:
        assert QUICK(value) != KEYRING.vouches(*outline)


def read_fields(encoding: bytes) -> list[bytes | None]:
    """The fields of an encoding, by its description."""
    fields: list[bytes | None] = []
    while encoding:
        size, encoding = int.from_bytes(encoding[:4]), encoding[4:]
        if size == 0xFFFFFFFF:
            fields.append(None)
        else:
            fields.append(encoding[:size])
            encoding = encoding[size:]
    return fields
