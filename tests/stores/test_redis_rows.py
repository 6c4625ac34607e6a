"""What a Redis store writes down, and what it makes of what it finds."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.record import TokenRecord
from bearer_guard.store import Account, Cursor
from bearer_guard.stores._redis_rows import (
    ACCOUNT_FIELDS,
    NOWHERE,
    TOKEN_FIELDS,
    Reply,
    Standpoint,
    decode_account,
    decode_cursor,
    decode_ids,
    decode_token,
    encode_account,
    encode_cursor,
    encode_place,
    encode_token,
    new_tag,
    split_place,
)
from bearer_guard.stores._rows import tampered
from bearer_guard.testing import a_record

FULL = a_record(
    scopes=["a", "b"],
    networks=["10.0.0.0/8"],
    family=uuid4(),
    parent=uuid4(),
    binding=b"\0\xff",
    ended_ms=2**53,
    end_reason="renewed",
    last_used_ms=7,
    last_used_from="2001:db8::1",
)
RECORDS = [a_record(), FULL, a_record(expires_ms=None, description="")]


def fields_of(record: TokenRecord) -> dict[str, bytes]:
    """As a server would tell them."""
    return {
        letter: value if isinstance(value, bytes) else str(value).encode()
        for letter, value in encode_token(record).items()
    }


def reply_of(fields: dict[str, bytes], disabled: int = 0) -> list[Reply]:
    return [*(fields.get(letter) for letter in TOKEN_FIELDS.values()), disabled]


@pytest.mark.parametrize("record", RECORDS, ids=["plain", "full", "for good"])
def test_a_token_is_read_as_it_was_written(record: TokenRecord) -> None:
    reply = reply_of(fields_of(record))
    assert decode_token(record.id, reply) == record
    disabled = reply_of(fields_of(record), disabled=1)
    assert decode_token(record.id, disabled) == replace(record, owner_disabled=True)


def test_what_is_nothing_takes_no_room() -> None:
    assert set(encode_token(a_record(description="", expires_ms=None))) == set("ochzk")


@pytest.mark.parametrize(
    "damage",
    [
        {"o": None},
        {"h": None},
        {"z": b"short"},
        {"k": None},
        {"c": None},
        {"c": b""},
        {"c": b"1.5"},
        {"c": b"1_000"},
        {"c": b" 5"},
        {"x": b"1e9"},
        {"x": b"9" * 30},
        {"e": b"soon"},
        {"u": b"\xff"},
        {"o": b"\xff"},
        {"d": b"\xed\xa0\x80"},
        {"s": b"{}"},
        {"s": b'["b", "a"]'},
        {"n": b"["},
        {"f": b"0"},
        {"f": b"zz" * 16},
        {"f": b"\xff" * 32},
        {"p": b"00" * 15},
        {"r": b"\xff"},
    ],
    ids=str,
)
def test_what_is_no_token_is_a_tampered_one(damage: dict[str, bytes | None]) -> None:
    fields = {k: v for k, v in (fields_of(FULL) | damage).items() if v is not None}
    assert decode_token(FULL.id, reply_of(fields)) == tampered(FULL.id)


def test_another_key_of_that_name_is_a_tampered_token() -> None:
    assert decode_token(FULL.id, b"tampered") == tampered(FULL.id)


@given(st.dictionaries(st.sampled_from(sorted(TOKEN_FIELDS.values())), st.binary(max_size=40)))
def test_reading_a_token_never_fails(damage: dict[str, bytes]) -> None:
    found = decode_token(FULL.id, reply_of(fields_of(FULL) | damage))
    assert found.id == FULL.id


@given(st.lists(st.tuples(st.integers(0, 2**53), st.uuids()), min_size=2, max_size=9, unique=True))
def test_places_sort_as_listings_do(made: list[tuple[int, UUID]]) -> None:
    places = sorted(encode_place(*one) for one in made)
    assert [split_place(place.encode()) for place in places] == sorted(made)


@pytest.mark.parametrize(("ms", "text"), [(-5, "0" * 16), (10**17, "9" * 16)])
def test_a_place_that_no_token_has_is_before_or_after_all(ms: int, text: str) -> None:
    assert encode_place(ms, FULL.id) == text + FULL.id.hex


def test_ids_of_a_log_are_read() -> None:
    ids = [uuid4() for _ in range(3)]
    assert decode_ids("".join(id.hex for id in ids).encode()) == set(ids)
    assert decode_ids(b"") == set()


@pytest.mark.parametrize("blob", [b"*", b"0" * 31, b"z" * 32, b"\xff" * 32])
def test_what_is_no_id_is_not_taken_for_one(blob: bytes) -> None:
    assert decode_ids(blob) is None


entries = st.builds(
    lambda ms, n, tag: Standpoint(b"%d-%d" % (ms, n), tag),
    st.integers(0, 2**63),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=8, max_size=8),
)


@given(st.lists(entries, min_size=1, max_size=20))
def test_a_cursor_says_where_it_stands_in_each_shard(standpoints: list[Standpoint]) -> None:
    cursor = encode_cursor("e", standpoints)
    assert cursor.epoch == "e"
    assert decode_cursor(cursor, len(standpoints)) == standpoints


HERE = encode_cursor("e", [Standpoint(b"5-1", new_tag()), Standpoint(b"4-0", new_tag())])


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        Cursor("", 0, b""),
        HERE._replace(revision=HERE.revision + 1),
        HERE._replace(revision=HERE.revision - 1),
        HERE._replace(tag=b""),
        HERE._replace(tag=HERE.tag[:24]),
        HERE._replace(tag=HERE.tag + bytes(24)),
        HERE._replace(tag=bytes(8)),
    ],
)
def test_a_cursor_of_another_kind_stands_nowhere(cursor: Cursor | None) -> None:
    assert decode_cursor(cursor, 2) == [NOWHERE] * 2


def test_a_cursor_of_a_store_with_more_shards_stands_nowhere() -> None:
    assert decode_cursor(HERE, 3) == [NOWHERE] * 3


def test_tags_are_not_guessed() -> None:
    assert len({new_tag() for _ in range(100)}) == 100


ACCOUNT = Account(
    name="alice", password_hash="$x", admin=True, disabled=True, created_ms=5, password_ms=6
)


def account_reply(account: Account) -> list[Reply]:
    fields = encode_account(account)
    return [str(fields[name]).encode() if name in fields else None for name in ACCOUNT_FIELDS]


@pytest.mark.parametrize("account", [ACCOUNT, replace(ACCOUNT, password_hash=None, admin=False)])
def test_an_account_is_read_as_it_was_written(account: Account) -> None:
    assert decode_account("alice", account_reply(account)) == account


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("value", [None, b"yes", b"\xff"])
def test_an_account_that_can_not_be_read_is_an_error(at: int, value: bytes | None) -> None:
    reply = account_reply(ACCOUNT)
    reply[at] = value
    with pytest.raises((ValueError, KeyError)):
        decode_account("alice", reply)
