"""The lattice of a record: retries and races are harmless in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.record import TokenRecord, Use
from bearer_guard.testing import a_record

RECORD: Final = a_record()
# Few instants and few words, so that two often meet.
INSTANTS: Final = st.one_of(st.integers(-2, 3), st.integers())
WORDS: Final = st.none() | st.sampled_from(["", "a", "b"]) | st.text(max_size=3)
MARKS: Final = st.just((None, None)) | st.tuples(INSTANTS, WORDS)


def view(
    end: tuple[int | None, str | None], use: tuple[int | None, str | None], *, disabled: bool
) -> TokenRecord:
    return replace(
        RECORD,
        ended_ms=end[0],
        end_reason=end[1],
        last_used_ms=use[0],
        last_used_from=use[1],
        owner_disabled=disabled,
    )


VIEWS: Final = st.builds(view, MARKS, MARKS, disabled=st.booleans())


def not_later(one: int | None, other: int | None) -> bool:
    """Of ends, where none is the latest."""
    return other is None or (one is not None and one <= other)


def not_earlier(one: int | None, other: int | None) -> bool:
    """Of uses, where none is the earliest."""
    return other is None or (one is not None and one >= other)


@given(VIEWS, VIEWS)
def test_merging_is_commutative(one: TokenRecord, other: TokenRecord) -> None:
    assert one.merge(other) == other.merge(one)


@given(VIEWS, VIEWS, VIEWS)
def test_merging_is_associative(one: TokenRecord, two: TokenRecord, three: TokenRecord) -> None:
    assert one.merge(two).merge(three) == one.merge(two.merge(three))


@given(VIEWS)
def test_merging_is_idempotent(one: TokenRecord) -> None:
    assert one.merge(one) == one


@given(VIEWS, VIEWS)
def test_merging_again_changes_nothing(one: TokenRecord, other: TokenRecord) -> None:
    merged = one.merge(other)
    assert merged.merge(other) == merged.merge(one) == merged


@given(VIEWS, VIEWS)
def test_merging_never_ends_later_nor_unuses(one: TokenRecord, other: TokenRecord) -> None:
    merged = one.merge(other)
    for view_of_it in (one, other):
        assert not_later(merged.ended_ms, view_of_it.ended_ms)
        assert not_earlier(merged.last_used_ms, view_of_it.last_used_ms)


@given(VIEWS, INSTANTS, WORDS.filter(lambda word: word is not None))
def test_an_end_only_ever_moves_earlier(record: TokenRecord, at_ms: int, reason: str) -> None:
    ended = record.end(at_ms, reason)
    assert not_later(ended.ended_ms, record.ended_ms)
    assert not_later(ended.ended_ms, at_ms)


@given(VIEWS, INSTANTS, WORDS)
def test_a_use_only_ever_moves_later(record: TokenRecord, at_ms: int, source: str | None) -> None:
    used = record.use(Use(at_ms, source))
    assert not_earlier(used.last_used_ms, record.last_used_ms)
    assert not_earlier(used.last_used_ms, at_ms)


@given(VIEWS, st.permutations([(3, "a"), (2, "b"), (2, "a"), (5, "c")]))
def test_ends_count_in_any_order(record: TokenRecord, ends: list[tuple[int, str]]) -> None:
    in_order, shuffled = record, record
    for at_ms, reason in sorted(ends):
        in_order = in_order.end(at_ms, reason)
    for at_ms, reason in ends:
        shuffled = shuffled.end(at_ms, reason)
    assert in_order == shuffled


@given(VIEWS, INSTANTS, WORDS, INSTANTS, WORDS.filter(lambda word: word is not None))
def test_a_change_and_a_merge_of_it_are_the_same(
    record: TokenRecord, used_ms: int, source: str | None, ended_ms: int, reason: str
) -> None:
    elsewhere = replace(RECORD, ended_ms=ended_ms, end_reason=reason)
    elsewhere = replace(elsewhere, last_used_ms=used_ms, last_used_from=source)
    assert record.use(Use(used_ms, source)).end(ended_ms, reason) == record.merge(elsewhere)


@given(VIEWS, VIEWS)
def test_invariant_11_merging_revives_nothing(one: TokenRecord, other: TokenRecord) -> None:
    assert not_later(one.merge(other).dead_ms(), one.dead_ms())
