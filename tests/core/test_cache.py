"""The cache alone: until when it answers, what it forgets, and what it costs."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from bearer_guard.cache import DENIAL_SECONDS, Arrival, Cache, Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

B: Final = 5.0
T: Final = 60.0
FULL: Final = 100_000

Kept: TypeAlias = tuple[
    str, bytes, str, str, str, tuple[str, ...], tuple[str, ...], int, int | None
]


def a_cache(size: int = 100, *, polls: bool = True, life: float = T) -> Cache[int, str]:
    return Cache(bound=B, life=life, size=size, polls=polls)


def a_polled_cache(size: int = 100) -> Cache[int, str]:
    """One with a chain that began at 0."""
    cache = a_cache(size)
    cache.restarted(0)
    return cache


def read(
    cache: Cache[int, str],
    key: int,
    at: float = 0.0,
    *,
    grant: bool = True,
    until: float | None = None,
) -> Arrival:
    """A read that is answered at once."""
    return cache.arrive(cache.depart(key, at), f"{key} at {at}", at, grant=grant, until=until)


def last_good(cache: Cache[int, str], key: int, times: Iterable[float]) -> float | None:
    """The last of these times at which the key is known."""
    good = [now for now in times if cache.get(key, now) is not None]
    return good[-1] if good else None


def known(cache: Cache[int, str], keys: Iterable[int], at: float = 0.0) -> set[int]:
    return {key for key in keys if cache.get(key, at) is not None}


class TestWithoutPolls:
    def test_nothing_is_known_at_first(self) -> None:
        assert a_cache(polls=False).get(1, 0) is None

    def test_an_answer_is_good_until_the_bound_and_not_at_it(self) -> None:
        cache = a_cache(polls=False)
        read(cache, 1, 10)
        assert cache.get(1, 14.999) == Held("1 at 10", 15)
        assert cache.get(1, 15) is None

    def test_the_bound_counts_from_before_the_read_was_sent(self) -> None:
        cache = a_cache(polls=False)
        cache.arrive(cache.depart(1, 10), "x", 13, grant=True)
        assert last_good(cache, 1, [13, 14.9, 15, 17.9]) == 14.9

    def test_a_life_shorter_than_the_bound_is_kept(self) -> None:
        cache = a_cache(polls=False, life=2)
        read(cache, 1, 10)
        assert last_good(cache, 1, [11.9, 12]) == 11.9

    def test_it_vouches_for_ever_since_each_entry_has_its_own_bound(self) -> None:
        assert a_cache(polls=False).vouched_until == float("inf")

    def test_polls_that_come_all_the_same_extend_nothing(self) -> None:
        cache = a_cache(polls=False)
        cache.restarted(0)
        read(cache, 1, 0)
        cache.continued(4)
        assert last_good(cache, 1, [4.9, 5]) == 4.9


class TestWithPolls:
    def test_without_a_chain_an_answer_lives_by_its_own_bound(self) -> None:
        cache = a_cache()
        read(cache, 1, 10)
        assert cache.get(1, 14.999) == Held("1 at 10", 15)
        assert cache.get(1, 15) is None

    def test_a_poll_vouches_for_what_its_chain_saw_being_read(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        cache.continued(4)
        assert cache.get(1, 8.999) == Held("1 at 1", 61)
        assert cache.get(1, 9) is None

    def test_it_tells_until_when_it_vouches(self) -> None:
        cache = a_cache()
        before = cache.vouched_until
        cache.restarted(1)
        cache.continued(4)
        assert (before, cache.vouched_until) == (float("-inf"), 9)

    def test_polls_extend_an_answer_to_its_life_and_no_longer(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        for sent in range(1, 70):
            cache.continued(sent)
            if cache.get(1, sent) is None:
                break
        assert sent == 61

    def test_when_polls_stop_only_time_passes(self) -> None:
        cache = a_polled_cache()
        cache.continued(10)
        read(cache, 1, 13)
        assert last_good(cache, 1, [14.9, 15, 17.9, 18]) == 17.9

    def test_what_polls_do_not_vouch_for_says_so(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 3)
        assert cache.get(1, 4.9) == Held("1 at 3", 63)
        assert cache.get(1, 5) == Held("1 at 3", 8)

    def test_a_poll_that_comes_late_vouches_again(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        assert cache.get(1, 7) is None
        cache.continued(7)
        assert cache.get(1, 8) is not None

    def test_a_new_chain_vouches_for_nothing_older(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        cache.restarted(3)
        assert cache.get(1, 4) == Held("1 at 1", 6)
        assert cache.get(1, 6) is None

    def test_a_new_chain_drops_nothing(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        cache.restarted(3)
        assert len(cache) == 1

    def test_a_read_takes_the_chain_of_when_it_was_sent(self) -> None:
        cache = a_polled_cache()
        flight = cache.depart(1, 1)
        cache.restarted(2)
        cache.arrive(flight, "x", 3, grant=True)
        cache.continued(4)
        assert last_good(cache, 1, [5.9, 6]) == 5.9

    def test_the_first_chain_vouches_for_nothing_that_was_read_before_it(self) -> None:
        cache = a_cache()
        flight = cache.depart(1, 1)
        cache.restarted(2)
        cache.arrive(flight, "x", 3, grant=True)
        assert last_good(cache, 1, [5.9, 6]) == 5.9


class TestDenials:
    @pytest.mark.parametrize("polls", [True, False])
    def test_a_refusal_is_remembered_for_a_second(self, *, polls: bool) -> None:
        cache = a_cache(polls=polls)
        cache.restarted(0)
        read(cache, 1, 1, grant=False)
        assert DENIAL_SECONDS == 1
        assert last_good(cache, 1, [1.999, 2]) == 1.999

    def test_polls_extend_no_refusal(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1, grant=False)
        cache.continued(1.9)
        assert cache.get(1, 1.95) == Held("1 at 1", 2)
        assert cache.get(1, 2) is None

    def test_a_refusal_is_remembered_no_longer_than_the_bound(self) -> None:
        cache = Cache[int, str](bound=0.5, life=T, size=9)
        read(cache, 1, 1, grant=False)
        assert last_good(cache, 1, [1.4, 1.5]) == 1.4


class TestExpiry:
    """What is known to be wrong from a certain moment on."""

    def test_invariant_11_nothing_extends_an_expiry(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1, until=3.5)
        cache.continued(3)
        assert cache.get(1, 3.499) == Held("1 at 1", 3.5)
        assert cache.get(1, 3.5) is None

    def test_an_expiry_beyond_the_life_makes_it_no_longer(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1, until=1e9)
        cache.continued(60.5)
        assert cache.get(1, 61) is None

    def test_what_has_expired_is_let_go(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1, until=2)
        cache.get(1, 2)
        assert len(cache) == 0

    def test_an_answer_that_has_expired_on_its_way_is_used_and_not_known(self) -> None:
        """It says that the token has expired; whoever reads it decides."""
        cache = a_polled_cache()
        assert cache.arrive(cache.depart(1, 1), "x", 3, grant=True, until=2) is Arrival.USE
        assert cache.get(1, 3) is None


class TestFlights:
    def test_an_answer_in_time_is_used_and_kept(self) -> None:
        cache = a_cache()
        assert cache.arrive(cache.depart(1, 10), "x", 14.999, grant=True) is Arrival.USE
        assert cache.get(1, 14.999) is not None

    def test_an_answer_as_late_as_the_bound_is_neither_used_nor_kept(self) -> None:
        cache = a_polled_cache()
        cache.continued(14)
        assert cache.arrive(cache.depart(1, 10), "x", 15, grant=True) is Arrival.LATE
        assert cache.get(1, 15) is None

    @pytest.mark.parametrize("keys", [[1], [3, 1], None])
    def test_what_changed_on_the_way_is_neither_used_nor_kept(self, keys: list[int] | None) -> None:
        cache = a_polled_cache()
        flight = cache.depart(1, 10)
        cache.invalidate(keys)
        assert cache.arrive(flight, "x", 10.1, grant=True) is Arrival.STALE
        assert cache.get(1, 10.1) is None

    def test_what_changed_on_the_way_is_stale_even_where_it_is_late_too(self) -> None:
        cache = a_polled_cache()
        flight = cache.depart(1, 10)
        cache.invalidate([1])
        assert cache.arrive(flight, "x", 20, grant=True) is Arrival.STALE

    def test_a_change_of_another_token_leaves_a_flight_alone(self) -> None:
        cache = a_polled_cache()
        flight = cache.depart(1, 10)
        cache.invalidate([2])
        assert cache.arrive(flight, "x", 10.1, grant=True) is Arrival.USE

    def test_a_read_that_is_sent_after_a_change_is_not_stale(self) -> None:
        cache = a_polled_cache()
        cache.invalidate([1])
        assert read(cache, 1, 10) is Arrival.USE

    def test_invariant_03_a_change_makes_every_open_read_of_a_token_stale(self) -> None:
        """Not the latest alone: the first may have been answered before the change."""
        cache = a_polled_cache()
        flights = [cache.depart(1, at) for at in (10, 10.1, 10.2)]
        cache.invalidate([1])
        arrivals = [cache.arrive(flight, "x", 11, grant=True) for flight in flights]
        assert arrivals == [Arrival.STALE] * 3

    def test_a_read_that_is_answered_leaves_the_others_of_its_token_open(self) -> None:
        cache = a_polled_cache()
        first, second = cache.depart(1, 10), cache.depart(1, 10.1)
        cache.arrive(second, "x", 10.2, grant=True)
        cache.invalidate([1])
        assert cache.arrive(first, "x", 11, grant=True) is Arrival.STALE
        assert cache.get(1, 11) is None

    def test_a_read_that_was_given_up_harms_no_other(self) -> None:
        cache = a_polled_cache()
        first, second = cache.depart(1, 10), cache.depart(1, 10.1)
        cache.give_up(first)
        cache.give_up(first)
        assert not second.stale
        assert cache.arrive(second, "x", 10.2, grant=True) is Arrival.USE

    def test_reads_that_are_over_are_not_remembered(self) -> None:
        cache = a_polled_cache()
        for key in range(50):
            cache.arrive(cache.depart(key, 1), "x", 1, grant=True)
            cache.give_up(cache.depart(key, 1))
            cache.depart(key, 1)
            cache.invalidate([key])
        assert not cache._flights


class TestInvalidation:
    @pytest.mark.parametrize("keys", [[1], [7, 1, 8], iter([1]), None])
    def test_what_changed_is_not_known_any_more(self, keys: Iterable[int] | None) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        cache.invalidate(keys)
        assert cache.get(1, 1) is None

    def test_what_did_not_change_is_known_still(self) -> None:
        cache = a_polled_cache()
        read(cache, 1, 1)
        cache.invalidate([2])
        assert cache.get(1, 1) is not None

    def test_both_generations_are_dropped(self) -> None:
        cache = a_polled_cache(size=4)
        for key in range(6):
            read(cache, key)
        cache.invalidate(None)
        assert (len(cache), known(cache, range(6))) == (0, set())

    def test_each_of_both_generations_can_be_dropped(self) -> None:
        cache = a_polled_cache(size=4)
        for key in range(6):
            read(cache, key)
        before = known(cache, range(6))
        for key in before:
            cache.invalidate([key])
        assert (len(before), len(cache)) == (4, 0)

    def test_a_hint_of_the_unknown_does_no_harm(self) -> None:
        cache = a_polled_cache()
        cache.invalidate([1, 1, 2])
        assert len(cache) == 0


class TestRoom:
    """Two generations: what is used again stays, and nothing is done in bulk."""

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 10])
    def test_there_are_never_more_entries_than_asked_for(self, size: int) -> None:
        cache = a_polled_cache(size)
        chance = random.Random(size)  # noqa: S311 - a reproducible order, not a secret
        for _ in range(2_000):
            key = chance.randrange(2 * size + 2)
            if cache.get(key, 1.0) is None or chance.random() < 0.5:
                read(cache, key, 1.0)
            if chance.random() < 0.05:
                cache.invalidate([chance.randrange(2 * size + 2)])
            assert len(cache) <= size

    def test_a_full_cache_stays_full(self) -> None:
        cache = a_polled_cache(10)
        for key in range(100):
            read(cache, key)
        assert len(cache) == 10

    def test_of_size_nothing_nothing_is_kept_and_every_answer_used(self) -> None:
        cache = a_polled_cache(0)
        assert read(cache, 1) is Arrival.USE
        assert cache.get(1, 0) is None

    def test_the_newest_is_always_known(self) -> None:
        cache = a_polled_cache(3)
        for key in range(20):
            read(cache, key)
            assert cache.get(key, 0) is not None

    def test_a_key_takes_one_place_however_often_it_is_read(self) -> None:
        cache = a_polled_cache(3)
        for at in range(4):
            for key in range(3):
                read(cache, key, at)
        assert (len(cache), known(cache, range(3), 3)) == (3, {0, 1, 2})

    def test_a_flood_of_strangers_does_not_flush_the_regulars(self) -> None:
        """Who is back before half of what fits has gone by is known, each time."""
        cache = a_polled_cache(1_000)
        for regular in range(100):
            read(cache, regular)
        missed = 0
        for stranger in range(50_000):
            read(cache, 1_000 + stranger)
            if stranger % 4 == 0:  # each regular is back after 400 strangers
                missed += cache.get(stranger // 4 % 100, 0) is None
        assert missed == 0

    def test_what_is_not_used_again_makes_room(self) -> None:
        cache = a_polled_cache(10)
        for key in range(31):
            read(cache, key)
        assert known(cache, range(10)) == set()

    def test_no_single_step_does_the_work_of_many(self) -> None:
        """Counted in entries that one read removes: never more than the one that it needs."""
        cache = a_polled_cache(100)
        removed = []
        for key in range(1_000):
            before = len(cache)
            read(cache, key)
            cache.get(key // 2, 0)
            removed.append(before + 1 - len(cache))
        assert set(removed) == {0, 1}

    @pytest.mark.parametrize("size", [1, 5, 50])
    def test_all_keys_being_used_leaves_room_for_new_ones(self, size: int) -> None:
        cache = a_polled_cache(size)
        for key in range(5 * size):
            read(cache, key)
            known(cache, range(5 * size))
        assert (len(cache), cache.get(5 * size - 1, 0) is not None) == (size, True)


def kept(number: int) -> Kept:
    """What the verifier keeps of a token: a tuple of atoms, some of them shared with others'."""
    return (
        "",
        number.to_bytes(32),
        "0123456789abcdef",
        "alice",
        f"nightly sync {number:08x}",
        ("reports:read",),
        (),
        1_795_528_800_000 + number,
        1_795_615_200_000 + number,
    )


def learn(cache: Cache[int, Kept], number: int) -> None:
    flight = cache.depart(2**127 + number, 1.0 + number / FULL)
    cache.arrive(flight, kept(number), 2.0, grant=True)


def filled() -> Cache[int, Kept]:
    cache = Cache[int, Kept](bound=B, life=T, size=FULL)
    cache.restarted(0)
    for number in range(FULL):
        learn(cache, number)
    return cache


def collecting(between: Callable[[int], None]) -> float:
    """How long the collector takes for all that there is, in seconds: the best of several.

    Args:
        between: Done before each collection, with a number of its own.
    """
    for _ in range(2):
        gc.collect()  # the first stops tracking tuples of atoms, the next tuples of those
    taken = []
    for number in range(9):
        between(number)
        begun = time.perf_counter()
        gc.collect()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def test_an_entry_of_a_full_cache_costs_600_bytes_at_most() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = filled()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(cache) == FULL
    assert used / FULL <= 600


def test_a_full_cache_costs_the_garbage_collector_10_ms_at_most() -> None:
    gc.freeze()  # what the tests themselves hold is of no interest
    try:
        without = collecting(lambda _number: None)
        cache = filled()
        with_it = collecting(lambda number: learn(cache, FULL + number))
    finally:
        gc.unfreeze()
    assert len(cache) == FULL
    assert with_it - without <= 0.010


def test_the_garbage_collector_does_not_track_what_is_kept() -> None:
    cache = filled()
    gc.collect()
    gc.collect()
    assert sum(map(gc.is_tracked, cache._young.values())) == 0


def test_while_polls_pause_their_word_does_not_count() -> None:
    cache = a_polled_cache()
    read(cache, 1)
    cache.continued(8)
    cache.lapse()
    assert cache.get(1, 9) is None
    cache.continued(10)
    assert cache.get(1, 11) is not None
