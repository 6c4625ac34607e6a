"""`passwords`: Argon2id, off the event loop, two at a time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from statistics import median

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.errors import InvalidRequest
from bearer_guard.issuing.passwords import Passwords, check_new
from tests.issuing.support import PASSWORD, cheap_passwords


@pytest.fixture
def passwords() -> Passwords:
    return cheap_passwords()


async def test_the_right_password_is_right_and_no_other(passwords: Passwords) -> None:
    kept = await passwords.hash(PASSWORD)
    assert (await passwords.check(kept, PASSWORD)).right
    for other in (PASSWORD + " ", PASSWORD[:-1], PASSWORD.upper(), "", "x" * 5000, "\ud800"):
        assert not (await passwords.check(kept, other)).right


async def test_hashes_of_one_password_differ(passwords: Passwords) -> None:
    assert await passwords.hash(PASSWORD) != await passwords.hash(PASSWORD)


async def test_the_hash_is_argon2id_of_one_lane_and_64_mebibytes() -> None:
    kept = await Passwords().hash(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_one_password_typed_on_two_keyboards_is_one(passwords: Passwords) -> None:
    kept = await passwords.hash("Brötchen-Brötchen")
    assert (await passwords.check(kept, "Bro\u0308tchen-Bro\u0308tchen")).right


@pytest.mark.parametrize("stored", [None, "", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$", "plain"])
async def test_without_a_hash_nothing_is_right(passwords: Passwords, stored: str | None) -> None:
    for password in (PASSWORD, "", "nonsense"):
        assert not (await passwords.check(stored, password)).right


async def test_a_damaged_hash_is_no_match_and_no_error(passwords: Passwords) -> None:
    kept = await passwords.hash(PASSWORD)
    for damaged in (
        kept[:-3],
        kept.replace("$m=8", "$m=0"),
        kept + "=",
        kept.replace("v=19", "v=99"),
    ):
        assert not (await passwords.check(damaged, PASSWORD)).right


@pytest.mark.parametrize("cost", ["m=2097152,t=1", "m=8,t=4000000000"])
async def test_a_hash_that_would_take_everything_is_not_computed(
    passwords: Passwords, cost: str
) -> None:
    kept = (await passwords.hash(PASSWORD)).replace("m=8,t=1", cost)
    async with asyncio.timeout(5):
        assert not (await passwords.check(kept, PASSWORD)).right


async def test_a_hash_of_other_parameters_is_right_and_outdated(passwords: Passwords) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=16, parallelism=2).hash(PASSWORD)
    assert await passwords.check(old, PASSWORD) == (True, True)
    assert await passwords.check(old, "wrong password") == (False, False)
    assert await passwords.check(await passwords.hash(PASSWORD), PASSWORD) == (True, False)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "x" * 1025,
        "é" * 513,
        "with\nnewline!!",
        "nul\0nul\0nul\0nul",
        "half \ud800 a pair",
        "e\u0301" * 11,  # 22 code points, 11 characters once composed
        12345678901234,
        None,
    ],
)
def test_a_password_that_can_not_be_one_is_refused(password: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_new(password)
    assert not password or str(password) not in str(caught.value)


@pytest.mark.parametrize(
    "password", ["twelve chars", "x" * 1024, "é" * 512, "            ", "1" * 12]
)
def test_there_are_no_rules_but_length(password: str) -> None:
    assert check_new(password) == password.encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=12, max_size=40))
async def test_what_may_be_set_is_right_afterwards(password: str) -> None:
    passwords = cheap_passwords()
    try:
        kept = await passwords.hash(password)
    except InvalidRequest:
        return
    assert (await passwords.check(kept, password)).right


class Watched(Passwords):
    """Notes what each derivation is of, where it runs, and how many run at a time."""

    def __init__(self, **cost: int) -> None:
        super().__init__(**cost)
        self.threads: set[str] = set()
        self.done: list[tuple[str, float]] = []  # parameters, and seconds of the processor
        self.running = self.most = 0
        self._count = threading.Lock()

    def _verify(self, password_hash: str, secret: bytes) -> bool:
        with self._count:
            self.threads.add(threading.current_thread().name)
            self.running += 1
            self.most = max(self.most, self.running)
        begun = time.thread_time()
        try:
            return super()._verify(password_hash, secret)
        finally:
            with self._count:
                self.running -= 1
                cost = str(extract_parameters(password_hash))
                self.done.append((cost, time.thread_time() - begun))


async def test_invariant_13_log_ins_never_hold_the_event_loop() -> None:
    """The loop's thread does no work to speak of, and is not kept from working either."""
    passwords = Watched()
    kept = await passwords.hash(PASSWORD)
    gaps: list[tuple[float, float]] = []  # between two beats: its own work, and wall time

    async def beat() -> None:
        while True:
            work, wall = time.thread_time(), time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append((time.thread_time() - work, time.perf_counter() - wall))

    heart = asyncio.create_task(beat())
    answers = await asyncio.gather(*(passwords.check(kept, PASSWORD) for _ in range(16)))
    heart.cancel()
    assert all(answer.right for answer in answers)
    assert max(work for work, _ in gaps) < 0.025
    # Not the worst one: other programs may have both cores for a while. Derivations that held the
    # interpreter's lock would show in nearly all of them.
    assert median(wall for _, wall in gaps) < 0.025


async def test_invariant_13_at_most_two_derivations_run_at_a_time() -> None:
    one, other = Watched(passes=2, memory_kib=2048), Watched(passes=2, memory_kib=2048)
    await asyncio.gather(*(p.check(None, PASSWORD) for p in (one, other) for _ in range(8)))
    assert len(one.done) == len(other.done) == 8
    assert one.most <= 2
    assert threading.current_thread().name not in one.threads | other.threads
    assert len(one.threads | other.threads) <= 2


async def test_invariant_13_a_stranger_costs_as_much_as_a_wrong_password() -> None:
    """One derivation each, of the same parameters, and so of the same work for the processor."""
    passwords = Watched(passes=2, memory_kib=16_384)
    kept = await passwords.hash(PASSWORD)
    quickest: list[float] = []
    for stored, password in (
        (kept, "wrong"),
        (None, "wrong"),
        (kept, "x" * 2000),
        ("odd", "wrong"),
    ):
        passwords.done.clear()
        for _ in range(7):
            assert not (await passwords.check(stored, password)).right
        assert {kind for kind, _ in passwords.done} == {str(extract_parameters(kept))}
        assert len(passwords.done) == 7
        quickest.append(min(seconds for _, seconds in passwords.done))
    assert max(quickest) < 2 * min(quickest)


async def test_a_client_that_goes_away_leaves_the_queue() -> None:
    passwords = Watched(passes=2, memory_kib=16_384)
    tasks = [asyncio.create_task(passwords.check(None, PASSWORD)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await passwords.check(None, PASSWORD)
    assert len(passwords.done) <= 3  # this one, and two that had begun
    assert len(asyncio.all_tasks()) == 1


def test_importing_the_issuing_side_loads_neither_argon2_nor_limits() -> None:
    code = "import sys, bearer_guard.issuing; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert {"argon2", "limits"} & set(loaded) == set()
