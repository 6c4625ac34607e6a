"""A token to a verdict, on a store that is held up, broken, or another's."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from bearer_guard import (
    Accepted,
    ConfigurationError,
    Keyring,
    KeyringError,
    Policy,
    Reason,
    Refusal,
    StoreUnavailable,
    Verifier,
)
from bearer_guard.store import Account, AccountChange
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.tasks import ANSWER_SECONDS
from bearer_guard.testing import a_record, a_token
from bearer_guard.token import TokenForm
from bearer_guard.verify import Found
from tests.core.support import World, bearer, settle, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bearer_guard.verdict import Verdict


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.verifier.close()


def reason(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Refusal)
    return verdict.reason


async def test_a_good_token_is_accepted_with_its_info(world: World) -> None:
    token = await world.token(owner="alice", scopes=["read"], description="nightly")
    verdict = await world.verifier.verify(token)
    assert isinstance(verdict, Accepted)
    assert verdict.accepted
    assert (verdict.token.owner, verdict.token.scopes) == ("alice", ("read",))
    assert verdict.token.description == "nightly"


@pytest.mark.parametrize(
    "text", ["", "bg_", "x" * 74, "bg_" + "é" * 71, "bg_" + "0" * 71, "\ud800"]
)
async def test_any_other_string_is_malformed_or_forged(world: World, text: str) -> None:
    assert reason(await world.verifier.verify(text)) in {Reason.MALFORMED, Reason.FORGED}


async def test_invariant_02_a_forged_token_makes_no_store_call(world: World) -> None:
    for _ in range(100):
        forged = TokenForm().mint(a_record().id, lambda _: b"0123456789")
        assert reason(await world.verifier.verify(forged)) is Reason.FORGED
    assert (world.store.fetches, world.store.polls, world.store.policies) == ([], 0, 0)


async def test_a_token_with_a_typo_is_malformed_not_forged(world: World) -> None:
    token = await world.token()
    typo = token[:20] + ("a" if token[20] != "a" else "b") + token[21:]
    assert reason(await world.verifier.verify(typo)) is Reason.MALFORMED


async def test_a_token_of_another_prefix_is_malformed(world: World) -> None:
    token, record = a_token(world.keyring, form=TokenForm("corp"))
    await world.store.add(record)
    assert reason(await world.verifier.verify(token)) is Reason.MALFORMED


async def test_a_genuine_token_without_a_record_is_unknown(world: World) -> None:
    token, _ = a_token(world.keyring)
    assert reason(await world.verifier.verify(token)) is Reason.UNKNOWN


async def test_expiry_is_exact_to_the_millisecond_cached_or_not(world: World) -> None:
    token = await world.token(expires_ms=world.clock.now_ms() + 2000)
    assert (await world.verifier.verify(token)).accepted
    world.clock.advance(1.999)
    assert (await world.verifier.verify(token)).accepted
    world.clock.advance(0.001)
    assert reason(await world.verifier.verify(token)) is Reason.EXPIRED


async def test_a_grace_that_ends_is_an_end(world: World) -> None:
    token = await world.token(ended_ms=world.clock.now_ms() + 1000, end_reason="renewed")
    assert (await world.verifier.verify(token)).accepted
    world.clock.advance(1.0)
    assert reason(await world.verifier.verify(token)) is Reason.ENDED


async def test_invariant_03_an_end_here_is_obeyed_at_once(world: World) -> None:
    token = await world.token()
    verdict = await world.verifier.verify(token)
    assert isinstance(verdict, Accepted)
    await world.store.end(verdict.token.id, world.clock.now_ms())
    assert reason(await world.verifier.verify(token)) is Reason.ENDED


async def test_invariant_03_an_end_elsewhere_is_obeyed_within_the_bound() -> None:
    world = World()
    token = await world.token()
    verdict = await world.verifier.verify(token)
    assert isinstance(verdict, Accepted)
    world.store._announcer._listeners.clear()  # as if another process had ended it
    await world.store.end(verdict.token.id, world.clock.now_ms())
    world.clock.advance(4.9)
    assert (await world.verifier.verify(token)).accepted  # no poll, no hint has come
    world.clock.advance(0.1)
    assert reason(await world.verifier.verify(token)) is Reason.ENDED
    await world.verifier.close()


async def test_a_verifier_that_was_closed_opens_itself_anew() -> None:
    world = World()
    token = await world.token()
    await world.verifier.verify(token)
    await world.verifier.close()
    world.clock.advance(60)
    assert (await world.verifier.verify(token)).accepted
    await world.verifier.close()


async def test_staleness_zero_reads_each_time_and_keeps_nothing() -> None:
    world = World(staleness=0)
    token = await world.token()
    for count in range(1, 4):
        assert (await world.verifier.verify(token)).accepted
        assert len(world.store.fetches) == count
    assert len(world.verifier._cache) == 0
    world.store._announcer._listeners.clear()
    await world.store.end(world.store.fetches[0][0], world.clock.now_ms())
    assert reason(await world.verifier.verify(token)) is Reason.ENDED
    await world.verifier.close()


async def test_staleness_below_half_a_second_lives_the_bare_bound() -> None:
    world = World(staleness=0.2)
    token = await world.token()
    await world.verifier.verify(token)
    world.clock.advance(0.19)
    await world.verifier.verify(token)
    assert len(world.store.fetches) == 1
    world.clock.advance(0.02)
    assert (await world.verifier.verify(token)).accepted
    assert len(world.store.fetches) == 2
    await world.verifier.close()


async def test_the_feature_switched_off_refuses_and_on_again_accepts(world: World) -> None:
    token = await world.token()
    assert (await world.verifier.verify(token)).accepted
    await world.store.set_policy(Policy(enabled=False))
    assert reason(await world.verifier.verify(token)) is Reason.FEATURE_OFF
    await world.store.set_policy(Policy(enabled=True))
    assert (await world.verifier.verify(token)).accepted


async def test_a_disabled_owners_tokens_do_not_work_until_enabled(world: World) -> None:
    token = await world.token(owner="alice")
    await world.store.add_account(
        Account(name="alice", password_hash=None, created_ms=0, password_ms=0)
    )
    assert (await world.verifier.verify(token)).accepted
    await world.store.change_account("alice", AccountChange(disabled=True))
    assert reason(await world.verifier.verify(token)) is Reason.OWNER_DISABLED
    await world.store.change_account("alice", AccountChange(disabled=False))
    assert (await world.verifier.verify(token)).accepted


async def test_scopes_and_networks_are_asked_for(world: World) -> None:
    token = await world.token(scopes=["read"], networks=["192.0.2.0/24"])
    verify = world.verifier.verify
    assert (await verify(token, scopes=["read"], address="192.0.2.9")).accepted
    assert reason(await verify(token, scopes=["write"], address="192.0.2.9")) is Reason.SCOPE
    assert reason(await verify(token, address="198.51.100.1")) is Reason.NETWORK
    assert reason(await verify(token)) is Reason.NETWORK


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "mallory"},
        {"expires_ms": None},
        {"scopes": ("admin",)},
        {"networks": ("0.0.0.0/0",)},
        {"description": "other"},
        {"created_ms": 0},
        {"digest": b"\1" * 32},
        {"seal": b"\1" * 32},
        {"key_id": "feedfacefeedface"},
        {"binding": b"x"},
        {"parent": a_record().id},
        {"family": a_record().id},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_invariant_09_a_changed_row_is_refused(
    world: World, change: dict[str, object]
) -> None:
    token, record = a_token(world.keyring)
    await world.store.add(replace(record, **change))  # type: ignore[arg-type]
    assert reason(await world.verifier.verify(token)) is Reason.TAMPERED


async def test_invariant_09_the_row_of_another_token_is_refused(world: World) -> None:
    token, record = a_token(world.keyring)
    _, other = a_token(world.keyring)
    await world.store.add(replace(other, id=record.id))
    assert reason(await world.verifier.verify(token)) is Reason.TAMPERED


async def test_invariant_05_a_store_in_trouble_is_no_answer(world: World) -> None:
    token = await world.token()
    await world.verifier.open()
    world.store.broken = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        await world.verifier.verify(token)


async def test_invariant_05_a_store_that_hangs_is_given_up_within_a_second(world: World) -> None:
    token = await world.token()
    await world.verifier.open()
    world.store.gate = asyncio.Event()
    began = asyncio.get_running_loop().time()
    with pytest.raises(StoreUnavailable):
        await world.verifier.verify(token)
    assert asyncio.get_running_loop().time() - began < 5  # it ends; the figure is in ``tasks``


async def test_invariant_05_settings_and_token_have_one_limit_together() -> None:
    world = World(staleness=2)
    token = await world.token()
    await world.verifier.open()
    world.clock.advance(3)
    given: list[float] = []

    async def slow() -> Policy:
        world.clock.advance(ANSWER_SECONDS)
        return Policy()

    async def hang(_ids: object) -> None:
        began = asyncio.get_running_loop().time()
        try:
            await asyncio.Event().wait()
        finally:
            given.append(asyncio.get_running_loop().time() - began)

    world.store.policy = slow  # type: ignore[method-assign]
    world.store.fetch = hang  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailable, match="no answer"):
        await world.verifier.verify(token)
    assert given[0] < ANSWER_SECONDS / 2  # the settings took all of it
    await world.verifier.close()


async def test_a_known_token_passes_while_the_store_is_down_and_not_for_longer() -> None:
    world = World()
    token = await world.token()
    assert (await world.verifier.verify(token)).accepted
    world.store.broken = StoreUnavailable("down")
    world.clock.advance(4.99)
    assert (await world.verifier.verify(token)).accepted
    world.clock.advance(0.02)
    with pytest.raises(StoreUnavailable):
        await world.verifier.verify(token)
    world.store.broken = None
    assert (await world.verifier.verify(token)).accepted
    await world.verifier.close()


async def test_a_fault_while_opening_is_no_answer() -> None:
    class Faulty(MemoryStore):
        async def remember_keys(self, ids: object) -> NoReturn:
            raise ZeroDivisionError(ids)

    verifier = Verifier(Faulty(), Keyring.generate())
    with pytest.raises(StoreUnavailable, match="adapter failed"):
        await verifier.ready()


async def test_a_store_made_with_other_keys_is_a_keyring_error() -> None:
    store = MemoryStore()
    await Verifier(store, Keyring.generate()).open()
    wrong = Verifier(store, Keyring.generate())
    with pytest.raises(KeyringError, match="not the keys of this store"):
        await wrong.open()
    token, _ = a_token(wrong.keyring)
    with pytest.raises(StoreUnavailable, match="not the keys of this store"):
        await wrong.verify(token)


async def test_opening_is_done_once_for_all_who_need_it(world: World) -> None:
    token = await world.token()
    verdicts = await asyncio.gather(*(world.verifier.verify(token) for _ in range(50)))
    assert all(verdict.accepted for verdict in verdicts)
    assert (world.store.polls, len(world.store.fetches)) == (1, 1)


async def test_opening_that_failed_is_tried_again(world: World) -> None:
    token = await world.token()
    world.store.broken = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        await world.verifier.verify(token)
    world.store.broken = None
    assert (await world.verifier.verify(token)).accepted


async def test_a_waiter_that_goes_away_leaves_the_opening_to_the_others(world: World) -> None:
    token = await world.token()
    world.store.gate = asyncio.Event()
    first = asyncio.create_task(world.verifier.verify(token))
    second = asyncio.create_task(world.verifier.verify(token))
    await settle()
    first.cancel()
    await settle()
    world.store.gate.set()
    assert (await second).accepted


def test_it_moves_along_to_another_event_loop() -> None:
    world = World()
    token = asyncio.run(world.token())

    async def verify() -> bool:
        return (await world.verifier.verify(token)).accepted

    assert asyncio.run(verify())
    world.clock.advance(30)  # all that was known is stale: it must ask in the new loop
    assert asyncio.run(verify())


def test_a_forked_child_opens_anew() -> None:
    world = World()
    token = asyncio.run(world.token())

    async def verify() -> bool:
        return (await world.verifier.verify(token)).accepted

    assert asyncio.run(verify())
    child = os.fork()
    if child == 0:
        world.clock.advance(30)
        os._exit(0 if world.verifier._loop is None and asyncio.run(verify()) else 1)
    assert os.waitpid(child, 0)[1] == 0


async def test_closing_tells_the_last_uses_and_leaves_no_task() -> None:
    world = World()
    token = await world.token()
    await world.verifier.verify(token)
    await world.verifier.close()
    assert len(world.store.touched) == 1
    assert len(asyncio.all_tasks()) == 1


async def test_invariant_04_verifying_writes_only_last_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await world.token()
    await world.verifier.open()

    def written(*_: object, **__: object) -> None:
        pytest.fail("the request path wrote")

    for name in ("add", "end", "end_all", "purge", "set_policy", "remember_keys", "add_account"):
        monkeypatch.setattr(world.store, name, written)
    assert (await world.verifier.verify(token)).accepted
    await world.verifier.feed.poll()
    await world.verifier.last_used.flush()
    assert len(world.store.touched) == 1


async def test_a_clock_set_back_lengthens_no_life(world: World) -> None:
    token = await world.token(expires_ms=world.clock.now_ms() + 10_000)
    assert (await world.verifier.verify(token)).accepted
    world.clock.advance(5)
    world.clock.step_wall(-3_600_000)
    world.clock.advance(4.9)
    assert (await world.verifier.verify(token)).accepted
    world.clock.advance(0.1)
    assert reason(await world.verifier.verify(token)) is Reason.EXPIRED


async def test_a_clock_set_forward_ends_what_has_expired_by_it(world: World) -> None:
    token = await world.token(expires_ms=world.clock.now_ms() + 10_000)
    assert (await world.verifier.verify(token)).accepted
    world.clock.step_wall(3_600_000)
    await world.verifier.feed.poll()  # notices, within a second
    assert reason(await world.verifier.verify(token)) is Reason.EXPIRED


async def test_an_answer_that_goes_stale_while_the_policy_is_read_is_read_again() -> None:
    world = World(staleness=0.6)
    token = await world.token()
    await world.verifier.verify(token)
    world.clock.advance(0.61)  # the poll's word on the policy is stale
    policy = world.store.policy

    async def slow() -> Policy:
        world.clock.advance(0.3)
        return await policy()

    world.store.policy = slow  # type: ignore[method-assign]
    assert (await world.verifier.verify(token)).accepted
    await world.verifier.close()


async def test_a_store_slower_than_the_bound_is_no_answer() -> None:
    world = World(staleness=0.2)
    token = await world.token()
    await world.verifier.open()
    world.clock.advance(1)

    async def slow() -> Policy:
        world.clock.advance(0.25)
        return Policy()

    world.store.policy = slow  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="too slowly"):
        await world.verifier.verify(token)
    await world.verifier.close()


@pytest.mark.parametrize(
    "options", [{"staleness": -1.0}, {"staleness": float("nan")}, {"cache_size": -1}]
)
def test_a_setting_that_cannot_work_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Verifier("memory://", Keyring.generate(), **options)  # type: ignore[arg-type]


async def test_polls_go_on_when_the_last_uses_have_been_told() -> None:
    """An ended token would be good for the whole bound, until polls begin again."""
    world = World()
    world.verifier.feed._interval = 0.0  # type: ignore[misc]
    assert (await world.verifier.verify(await world.token())).accepted
    await world.verifier.last_used.flush()
    for _ in range(3):
        begun = world.store.polls
        await until(lambda begun=begun: world.store.polls > begun)  # type: ignore[misc]
    await world.verifier.close()


def test_keys_are_a_keyring() -> None:
    with pytest.raises(ConfigurationError, match="must be a Keyring"):
        Verifier("memory://", "k1:c2VjcmV0")  # type: ignore[arg-type]


async def test_a_cache_of_one_entry_works() -> None:
    world = World(cache_size=1)
    tokens = [await world.token() for _ in range(20)]
    verdicts = await asyncio.gather(*(world.verifier.verify(token) for token in tokens))
    assert all(verdict.accepted for verdict in verdicts)
    await world.verifier.close()


async def test_invariant_12_nothing_here_shows_a_token(world: World) -> None:
    token = await world.token()
    found = await world.verifier.find(token.encode())
    assert token not in repr(found)
    assert token not in repr(await world.verifier.verify(token))
    assert token not in repr(world.events)


@pytest.mark.parametrize("held", [False, True])
async def test_a_second_token_of_the_same_id_is_refused(world: World, held: bool) -> None:  # noqa: FBT001
    first, record = a_token(world.keyring)
    second, _ = a_token(world.keyring, record)
    await world.store.add(record)
    if held:
        assert (await world.verifier.verify(first)).accepted
    assert reason(await world.verifier.verify(second)) is Reason.TAMPERED


async def test_invariant_03_what_goes_stale_while_the_policy_is_read_is_not_used() -> None:
    world = World(staleness=0.6)
    await world.verifier.open()
    token = await world.token()
    world.clock.advance(0.5)
    verdict = await world.verifier.verify(token)  # read now: good until 1.1; the policy until 0.6
    assert isinstance(verdict, Accepted)
    world.store._announcer._listeners.clear()  # as if another process had ended it
    await world.store.end(verdict.token.id, world.clock.now_ms())
    world.clock.advance(0.11)
    policy = world.store.policy

    async def slow() -> Policy:
        answer = await policy()
        world.clock.advance(0.55)
        return answer

    world.store.policy = slow  # type: ignore[method-assign]
    assert reason(await world.verifier.verify(token)) is Reason.ENDED
    await world.verifier.close()


async def test_invariant_03_a_clock_ahead_of_ours_delays_no_end(world: World) -> None:
    token = await world.token()
    verdict = await world.verifier.verify(token)
    assert isinstance(verdict, Accepted)
    await world.store.end(verdict.token.id, world.clock.now_ms() + 60_000)
    assert reason(await world.verifier.verify(token)) is Reason.ENDED


async def test_an_opening_that_fails_after_everyone_left_is_tried_again(world: World) -> None:
    token = await world.token()
    world.store.gate = asyncio.Event()
    world.store.broken = StoreUnavailable("slow, and then down")
    request = asyncio.create_task(world.verifier.verify(token))
    await settle()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    world.store.gate.set()
    await settle()
    world.store.broken = None
    assert (await world.verifier.verify(token)).accepted


async def test_closing_tells_whoever_waits_for_the_opening(world: World) -> None:
    token = await world.token()
    world.store.gate = asyncio.Event()
    request = asyncio.create_task(world.verifier.verify(token))
    await settle()
    await world.verifier.close()
    with pytest.raises(StoreUnavailable):
        await request


async def test_it_can_say_whether_it_is_able_to_answer(world: World) -> None:
    await world.verifier.check()
    world.store.broken = StoreUnavailable("down")
    await world.verifier.check()  # it can, for as long as the last poll counts
    world.clock.advance(6)
    with pytest.raises(StoreUnavailable):
        await world.verifier.check()


async def test_without_polls_what_is_remembered_ends_with_the_policys_word() -> None:
    world = World(staleness=0.4)
    await world.ask(bearer(await world.token()))
    world.clock.advance(0.3)
    found = await world.verifier.find((await world.token()).encode())
    assert isinstance(found, Found)
    assert found.until <= world.verifier.feed.policy_until
    await world.verifier.close()


async def test_invariant_03_an_overtaken_policy_lets_nobody_onto_the_hit_path(
    world: World,
) -> None:
    token = bearer(await world.token())
    await world.ask(token)
    world.verifier.feed._changed_here(None)  # any change of anything, made here
    policy, late = world.store.policy, asyncio.Event()

    async def slow() -> Policy:
        answer = await policy()
        await late.wait()
        return answer

    world.store.policy = slow  # type: ignore[method-assign]
    request = asyncio.create_task(world.ask(token))
    await settle()
    world.store.policy = policy  # type: ignore[method-assign]
    await world.store.set_policy(Policy(enabled=False))
    late.set()
    await request
    for _ in range(3):
        assert (await world.ask(token)).status == 401


@pytest.mark.parametrize("staleness", [5.0, 0.0])
async def test_a_token_that_ends_while_settings_are_read_is_refused(
    staleness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(staleness=staleness)
    store, verifier = world.store, world.verifier
    await verifier.verify(await world.token())
    text = await world.token()
    await store.set_policy(replace(await store.policy(), max_lifetime=None, enabled=True))
    asked, go_on, policy = asyncio.Event(), asyncio.Event(), store.policy

    async def slow() -> Policy:
        found = await policy()
        asked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(store, "policy", slow)
    before = asyncio.create_task(verifier.find(text.encode()))
    await asked.wait()
    for record in (await store.page(None, None, 9)).records:
        await store.end(record.id, world.clock.now_ms())
    go_on.set()
    assert isinstance(await before, Refusal)
    await verifier.close()
