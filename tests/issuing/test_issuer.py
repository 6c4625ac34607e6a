"""`Issuer`: makes tokens, shows them to their owners, and ends them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.errors import (
    FeatureOff,
    InvalidRequest,
    KeyringError,
    LifetimeTooLong,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from bearer_guard.events import TokenEnded
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.issuer import EVERYBODY
from bearer_guard.judge import judge
from bearer_guard.keyring import Keyring
from bearer_guard.policy import Policy
from bearer_guard.record import EndReason
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from bearer_guard.token import TokenForm
from bearer_guard.verdict import Accepted
from tests.issuing.support import FaultyStore, Told

if TYPE_CHECKING:
    from bearer_guard.record import TokenRecord

ALICE = Principal("alice", may_generate=True)
BOB = Principal("bob", may_generate=True)
ROOT = Principal("root", admin=True)
HOUR = timedelta(hours=1)


class Bench:
    """An issuer over a store that can fail, and all that it needs."""

    def __init__(self) -> None:
        self.store = FaultyStore()
        self.keyring = Keyring.generate()
        self.clock = ManualClock()
        self.told = Told()
        self.issuer = Issuer(self.store, self.keyring, clock=self.clock, listeners=[self.told])

    async def stored(self, record: TokenRecord) -> TokenRecord:
        return (await self.store.fetch([record.id]))[record.id]

    async def listed(self, owner: str = "alice") -> list[TokenRecord]:
        return list(await self.issuer.list(Principal(owner)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_token_is_its_makers_and_works(bench: Bench) -> None:
    issued = await bench.issuer.create(ALICE, lifetime=HOUR, description="nightly sync")
    verdict = judge(
        await bench.stored(issued.record),
        keyring=bench.keyring,
        token=issued.value.encode(),
        policy=Policy(),
        now_ms=bench.clock.now_ms(),
    )
    assert verdict == Accepted(issued.record.info())
    assert issued.record.owner == "alice"
    assert issued.record.description == "nightly sync"


async def test_the_value_is_in_no_repr(bench: Bench) -> None:
    issued = await bench.issuer.create(ALICE, lifetime=HOUR)
    assert issued.value not in repr(issued)


async def test_a_new_line_begins_with_a_log_in(bench: Bench) -> None:
    record = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    assert record.family == record.id
    assert record.parent is None


async def test_a_token_made_with_a_token_is_of_its_line(bench: Bench) -> None:
    first = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    by_token = Principal("alice", may_generate=True, token=first)
    second = (await bench.issuer.create(by_token, lifetime=HOUR)).record
    assert (second.family, second.parent) == (first.family, first.id)


@given(ms=st.integers(1, 10**13), created=st.integers(0, 2 * 10**12))
async def test_invariant_11_lifetimes_are_exact(ms: int, created: int) -> None:
    bench = Bench()
    issuer = Issuer(bench.store, bench.keyring, clock=ManualClock(created), listeners=())
    record = (await issuer.create(ROOT, lifetime=timedelta(milliseconds=ms))).record
    assert record.expires_ms == created + ms
    assert record.created_ms == created


async def test_invariant_11_nothing_extends_a_token(bench: Bench) -> None:
    """Renewing makes another; every other call leaves its times alone, or ends it."""
    old = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    bench.clock.advance(60)
    await bench.issuer.renew(ALICE, old.id, grace=timedelta(days=400))
    await bench.issuer.change_settings(ROOT, max_lifetime=timedelta(days=900))
    stored = await bench.stored(old)
    assert (stored.created_ms, stored.expires_ms) == (old.created_ms, old.expires_ms)
    assert stored.dead_ms() == old.expires_ms


async def test_a_token_may_never_expire_where_the_policy_allows_it(bench: Bench) -> None:
    with pytest.raises(LifetimeTooLong):
        await bench.issuer.create(ROOT, lifetime=None)
    await bench.issuer.change_settings(ROOT, allow_non_expiring=True)
    assert (await bench.issuer.create(ROOT, lifetime=None)).record.expires_ms is None


@pytest.mark.parametrize(
    "lifetime",
    [
        timedelta(0),
        timedelta(seconds=-1),
        timedelta(microseconds=999),
        timedelta.max,
        timedelta(days=366 * 8000),
        3600,
    ],
)
async def test_a_lifetime_that_can_not_be_is_refused(bench: Bench, lifetime: timedelta) -> None:
    await bench.issuer.change_settings(ROOT, allow_non_expiring=True)
    with pytest.raises(InvalidRequest):
        await bench.issuer.create(ROOT, lifetime=lifetime)
    assert "add" not in bench.store.calls


async def test_the_limit_of_the_policy_holds_to_the_millisecond(bench: Bench) -> None:
    await bench.issuer.change_settings(ROOT, max_lifetime=timedelta(days=1))
    await bench.issuer.create(ROOT, lifetime=timedelta(days=1))
    with pytest.raises(LifetimeTooLong, match="1 days"):
        await bench.issuer.create(ROOT, lifetime=timedelta(days=1, milliseconds=1))


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "x" * 257},
        {"scopes": ["a b"]},
        {"scopes": "read"},
        {"networks": ["10.0.0.1/8"]},
    ],
)
async def test_a_bad_field_is_refused_and_nothing_is_added(
    bench: Bench, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        await bench.issuer.create(ALICE, lifetime=HOUR, **fields)
    assert "add" not in bench.store.calls


async def test_only_administrators_generate_by_default(bench: Bench) -> None:
    carol = Principal("carol")
    with pytest.raises(NotAllowed):
        await bench.issuer.create(carol, lifetime=HOUR)
    await bench.issuer.create(ROOT, lifetime=HOUR)
    await bench.issuer.create(ALICE, lifetime=HOUR)
    await bench.issuer.change_settings(ROOT, users_may_generate=True)
    await bench.issuer.create(carol, lifetime=HOUR)


async def test_who_may_no_longer_generate_can_still_list_and_delete(bench: Bench) -> None:
    record = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    now = Principal("alice")
    assert list(await bench.issuer.list(now)) == [record]
    await bench.issuer.delete(now, record.id)
    with pytest.raises(NotAllowed):
        await bench.issuer.create(now, lifetime=HOUR)


async def test_with_the_feature_off_nothing_is_made(bench: Bench) -> None:
    record = (await bench.issuer.create(ROOT, lifetime=HOUR)).record
    await bench.issuer.change_settings(ROOT, enabled=False)
    with pytest.raises(FeatureOff):
        await bench.issuer.create(ROOT, lifetime=HOUR)
    with pytest.raises(FeatureOff):
        await bench.issuer.renew(ROOT, record.id)


async def test_what_is_made_with_a_token_is_never_wider(bench: Bench) -> None:
    first = await bench.issuer.create(
        ALICE, lifetime=HOUR, scopes=["read"], networks=["10.0.0.0/8"]
    )
    by_token = Principal("alice", may_generate=True, token=first.record)
    await bench.issuer.create(by_token, lifetime=HOUR, scopes=["read"], networks=["10.1.0.0/16"])
    for scopes, networks in (
        (["read", "write"], ["10.0.0.0/8"]),
        (["read"], ["11.0.0.0/8"]),
        (["read"], []),
    ):
        with pytest.raises(NotAllowed):
            await bench.issuer.create(by_token, lifetime=HOUR, scopes=scopes, networks=networks)
    assert len(await bench.listed()) == 2


async def test_a_token_without_scopes_grants_none(bench: Bench) -> None:
    first = await bench.issuer.create(ROOT, lifetime=HOUR)
    by_token = Principal("root", admin=True, token=first.record)
    with pytest.raises(NotAllowed):
        await bench.issuer.create(by_token, lifetime=HOUR, scopes=["read"])
    await bench.issuer.create(by_token, lifetime=HOUR, networks=["10.0.0.0/8"])


async def test_invariant_15_the_owner_is_who_proved_it(bench: Bench) -> None:
    """No argument of any call names another; administrators neither make nor renew for others."""
    theirs = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    with pytest.raises(TypeError):
        await bench.issuer.create(ROOT, lifetime=HOUR, owner="alice")  # type: ignore[call-arg]
    with pytest.raises(NotFound):
        await bench.issuer.renew(ROOT, theirs.id)
    with pytest.raises(NotFound):
        await bench.issuer.renew(BOB, theirs.id)
    assert await bench.listed() == [theirs]


async def test_invariant_15_a_row_whose_owner_was_changed_is_nobodys(bench: Bench) -> None:
    record = (await bench.issuer.create(BOB, lifetime=HOUR)).record
    await bench.store.add(replace(record, id=uuid4(), owner="alice"))
    assert await bench.listed("alice") == []
    forged = replace(record, id=uuid4(), owner="alice", scopes=("all",))
    await bench.store.add(forged)
    for call in (bench.issuer.get, bench.issuer.delete, bench.issuer.renew):
        with pytest.raises(NotFound):
            await call(ALICE, forged.id)


async def test_what_was_tampered_with_is_an_administrators_to_end(bench: Bench) -> None:
    issued = await bench.issuer.create(ALICE, lifetime=HOUR)
    bad = replace(issued.record, id=uuid4(), scopes=("all",))
    lie = replace(bad, id=uuid4(), ended_ms=2**53, end_reason="deleted")
    for record in (bad, lie):
        await bench.store.add(record)
        with pytest.raises(NotFound):
            await bench.issuer.delete(ALICE, record.id)
        with pytest.raises(NotFound):
            await bench.issuer.get(ROOT, record.id)
        assert await bench.issuer.delete(ROOT, record.id) is EndReason.TAMPERED
        assert (await bench.stored(record)).ended_ms == bench.clock.now_ms()
        event = bench.told.events[-1]
        assert isinstance(event, TokenEnded)
        assert (event.token_id, event.reason, event.by) == (record.id, "tampered", "root")
    assert await bench.issuer.delete(ROOT, issued.record.id) is EndReason.DELETED


async def test_what_was_tampered_with_does_not_come_alive_when_it_is_put_right(
    bench: Bench,
) -> None:
    """As when the key that was missing is put back: an end is for good."""
    issued = await bench.issuer.create(ALICE, lifetime=HOUR)
    other = Keyring.generate()
    elsewhere = Issuer(bench.store, other, clock=bench.clock, listeners=[])
    await bench.store.remember_keys([*bench.keyring.ids, *other.ids])
    assert await elsewhere.delete(ROOT, issued.record.id) is EndReason.TAMPERED
    with pytest.raises(NotFound):
        await bench.issuer.get(ALICE, issued.record.id)


async def test_a_renewed_token_is_like_the_old_one(bench: Bench) -> None:
    old = await bench.issuer.create(
        ALICE,
        lifetime=timedelta(milliseconds=123_456),
        description="sync",
        scopes=["read"],
        networks=["10.0.0.0/8"],
    )
    bench.clock.advance(60)
    new = await bench.issuer.renew(ALICE, old.record.id)
    was, now = old.record, new.record
    assert now.expires_ms == bench.clock.now_ms() + 123_456
    assert (now.description, now.scopes, now.networks, now.family) == (
        was.description,
        was.scopes,
        was.networks,
        was.family,
    )
    assert now.parent == was.id
    assert new.value != old.value
    assert await bench.listed() == [now]


async def test_a_renewed_token_works_for_the_grace_and_no_longer(bench: Bench) -> None:
    old = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    await bench.issuer.renew(ALICE, old.id, grace=timedelta(seconds=30))
    ended = await bench.stored(old)
    assert (ended.ended_ms, ended.end_reason) == (bench.clock.now_ms() + 30_000, "renewed")
    assert len(await bench.listed()) == 2
    bench.clock.advance(30)
    assert len(await bench.listed()) == 1


async def test_a_token_that_never_expires_is_renewed_as_one(bench: Bench) -> None:
    await bench.issuer.change_settings(ROOT, allow_non_expiring=True)
    old = (await bench.issuer.create(ALICE, lifetime=None)).record
    assert (await bench.issuer.renew(ALICE, old.id)).record.expires_ms is None


async def test_a_negative_grace_is_refused(bench: Bench) -> None:
    old = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    for grace in (timedelta(seconds=-1), timedelta.max):
        with pytest.raises(InvalidRequest):
            await bench.issuer.renew(ALICE, old.id, grace=grace)
    assert await bench.listed() == [old]


async def test_an_expired_token_is_renewed_with_a_log_in_only(bench: Bench) -> None:
    old = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    other = (await bench.issuer.create(ALICE, lifetime=2 * HOUR)).record
    bench.clock.advance(3600)
    with pytest.raises(NotAllowed):
        await bench.issuer.renew(Principal("alice", may_generate=True, token=other), old.id)
    assert (await bench.issuer.renew(ALICE, old.id)).record.parent == old.id


async def test_a_wider_token_is_not_renewed_with_a_narrower_one(bench: Bench) -> None:
    wide = (await bench.issuer.create(ALICE, lifetime=HOUR, scopes=["read", "write"])).record
    narrow = (await bench.issuer.create(ALICE, lifetime=HOUR, scopes=["read"])).record
    with pytest.raises(NotAllowed):
        await bench.issuer.renew(Principal("alice", may_generate=True, token=narrow), wide.id)
    await bench.issuer.renew(Principal("alice", may_generate=True, token=wide), narrow.id)


async def test_renewing_obeys_the_policy_of_today(bench: Bench) -> None:
    old = (await bench.issuer.create(ALICE, lifetime=timedelta(days=90))).record
    await bench.issuer.change_settings(ROOT, max_lifetime=timedelta(days=30))
    with pytest.raises(LifetimeTooLong):
        await bench.issuer.renew(ALICE, old.id)
    with pytest.raises(NotAllowed):
        await bench.issuer.renew(Principal("alice"), old.id)
    assert await bench.listed() == [old]


async def test_a_deleted_token_is_not_renewed(bench: Bench) -> None:
    old = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    await bench.issuer.delete(ALICE, old.id)
    with pytest.raises(NotFound):
        await bench.issuer.renew(ALICE, old.id)


async def test_lists_are_of_ones_own_newest_first_expired_ones_too(bench: Bench) -> None:
    first = (await bench.issuer.create(ALICE, lifetime=timedelta(seconds=1))).record
    bench.clock.advance(5)
    second = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    await bench.issuer.create(BOB, lifetime=HOUR)
    assert await bench.listed() == [second, first]


async def test_a_deleted_token_is_in_no_list_and_not_found(bench: Bench) -> None:
    record = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    await bench.issuer.delete(ALICE, record.id)
    assert await bench.listed() == []
    assert not await bench.issuer.list(ROOT, owner=EVERYBODY)
    for who in (ALICE, ROOT):
        with pytest.raises(NotFound):
            await bench.issuer.get(who, record.id)
        with pytest.raises(NotFound):
            await bench.issuer.delete(who, record.id)


async def test_an_id_may_be_text(bench: Bench) -> None:
    record = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    assert await bench.issuer.get(ALICE, str(record.id)) == record
    newer = (await bench.issuer.renew(ALICE, str(record.id))).record
    await bench.issuer.delete(ALICE, str(newer.id))
    assert await bench.listed() == []
    for none in ("no id", 5, None):
        with pytest.raises(NotFound):
            await bench.issuer.get(ALICE, none)  # type: ignore[arg-type]


async def test_others_tokens_are_not_found(bench: Bench) -> None:
    record = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    for call in (bench.issuer.get, bench.issuer.delete):
        with pytest.raises(NotFound):
            await call(BOB, record.id)
        with pytest.raises(NotFound):
            await call(BOB, uuid4())
    assert await bench.listed() == [record]


async def test_administrators_see_and_delete_everybodys(bench: Bench) -> None:
    hers = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    his = (await bench.issuer.create(BOB, lifetime=HOUR)).record
    assert await bench.issuer.get(ROOT, hers.id) == hers
    assert list(await bench.issuer.list(ROOT, owner="bob")) == [his]
    assert {r.id for r in await bench.issuer.list(ROOT, owner=EVERYBODY)} == {hers.id, his.id}
    await bench.issuer.delete(ROOT, hers.id)
    assert await bench.listed() == []


@pytest.mark.parametrize("owner", ["bob", EVERYBODY, ""])
async def test_nobody_else_lists_or_ends_others_tokens(bench: Bench, owner: str) -> None:
    with pytest.raises(NotAllowed):
        await bench.issuer.list(ALICE, owner=owner)
    with pytest.raises(NotAllowed):
        await bench.issuer.delete_all(ALICE, owner)


async def test_a_name_that_means_everybody_opens_nothing(bench: Bench) -> None:
    await bench.issuer.create(ALICE, lifetime=HOUR)
    star = Principal(EVERYBODY, may_generate=True)
    own = (await bench.issuer.create(star, lifetime=HOUR)).record
    assert list(await bench.issuer.list(star)) == [own]
    with pytest.raises(NotAllowed):
        await bench.issuer.list(star, owner=EVERYBODY)


async def test_all_tokens_of_an_owner_end_at_once(bench: Bench) -> None:
    for _ in range(3):
        await bench.issuer.create(ALICE, lifetime=HOUR)
    await bench.issuer.create(BOB, lifetime=HOUR)
    assert await bench.issuer.delete_all(ALICE, "alice") == 3
    assert await bench.issuer.delete_all(ROOT, "alice") == 0
    assert await bench.issuer.delete_all(ROOT, "bob") == 1
    with pytest.raises(InvalidRequest):
        await bench.issuer.delete_all(ROOT, EVERYBODY)


async def test_pages_go_through_everything_once(bench: Bench) -> None:
    made = []
    for _ in range(5):
        made.append((await bench.issuer.create(ALICE, lifetime=HOUR)).record)
        bench.clock.advance(1)
    seen: list[TokenRecord] = []
    after = None
    while True:
        page = await bench.issuer.list(ALICE, after=after, limit=2)
        assert len(page) <= 2
        seen += page.records
        after = page.next
        if after is None:
            break
    assert seen == made[::-1]


async def test_a_list_without_limit_is_whole(bench: Bench) -> None:
    for _ in range(1001):
        await bench.issuer.create(ALICE, lifetime=HOUR)
    listing = await bench.issuer.list(ALICE)
    assert len({record.id for record in listing}) == 1001
    assert listing.next is None


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5])
async def test_a_limit_out_of_range_is_refused(bench: Bench, limit: int) -> None:
    with pytest.raises(InvalidRequest):
        await bench.issuer.list(ALICE, limit=limit)


async def test_a_cursor_that_is_none_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidRequest):
        await bench.issuer.list(ALICE, after="nonsense")


async def test_settings_are_for_all_to_read_and_for_administrators_to_change(bench: Bench) -> None:
    assert await bench.issuer.settings(ALICE) == Policy()
    with pytest.raises(NotAllowed):
        await bench.issuer.change_settings(ALICE, enabled=False)
    changed = await bench.issuer.change_settings(ROOT, max_lifetime=timedelta(days=9))
    assert changed == Policy(max_lifetime=timedelta(days=9)) == await bench.store.policy()
    changed = await bench.issuer.change_settings(ROOT, users_may_generate=True, max_lifetime=None)
    assert changed == Policy(users_may_generate=True)


async def test_a_setting_that_can_not_work_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidRequest):
        await bench.issuer.change_settings(ROOT, max_lifetime=timedelta(0))


async def test_two_changes_at_once_both_hold() -> None:
    class Remote(MemoryStore):
        async def policy(self) -> Policy:
            policy = await super().policy()
            await asyncio.sleep(0)
            return policy

    store = Remote()
    issuer = Issuer(store, Keyring.generate(), listeners=())
    await asyncio.gather(
        issuer.change_settings(ROOT, users_may_generate=True),
        issuer.change_settings(ROOT, allow_non_expiring=True),
    )
    assert await store.policy() == Policy(users_may_generate=True, allow_non_expiring=True)


async def test_another_keyring_than_the_stores_is_found_out(bench: Bench) -> None:
    await bench.issuer.create(ALICE, lifetime=HOUR)
    other = Issuer(bench.store, Keyring.generate(), clock=bench.clock, listeners=())
    with pytest.raises(KeyringError):
        await other.create(ALICE, lifetime=HOUR)
    with pytest.raises(KeyringError):
        await other.list(ALICE)
    with pytest.raises(KeyringError):
        await other.delete_all(ALICE, "alice")


async def test_the_keys_are_checked_once(bench: Bench) -> None:
    for _ in range(3):
        await bench.issuer.create(ALICE, lifetime=HOUR)
    assert bench.store.calls.count("remember_keys") == 1


async def test_the_audit_is_told_what_happened_without_a_value(bench: Bench) -> None:
    issued = await bench.issuer.create(ALICE, lifetime=HOUR)
    renewed = await bench.issuer.renew(ALICE, issued.record.id)
    await bench.issuer.delete(ROOT, renewed.record.id)
    await bench.issuer.delete_all(ROOT, "alice")
    await bench.issuer.change_settings(ROOT, max_lifetime=timedelta(days=2))
    assert bench.told.names() == [
        "token.created",
        "token.ended",
        "token.created",
        "token.ended",
        "tokens.ended",
        "settings.changed",
    ]
    text = repr([event.fields() for event in bench.told.events])
    assert "172800.0" in text
    assert issued.value not in text
    assert renewed.value not in text


@pytest.mark.parametrize("where", ["before", "after"])
async def test_invariant_10_no_refused_create_leaves_a_token(bench: Bench, where: str) -> None:
    """Whether the store took the row before it fell silent or not, nothing of it is left."""
    getattr(bench.store, where).add("add")
    with pytest.raises(StoreUnavailable):
        await bench.issuer.create(ALICE, lifetime=HOUR)
    assert await bench.listed() == []
    assert all(
        record.ended_ms == record.created_ms
        for record in (await bench.store.page(None, None, 10)).records
    )
    assert bench.told.names() == []


async def test_invariant_10_no_acknowledged_create_or_end_is_undone(bench: Bench) -> None:
    kept = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    ended = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    await bench.issuer.delete(ALICE, ended.id)
    bench.store.after |= {"add", "end"}
    with pytest.raises(StoreUnavailable):
        await bench.issuer.create(ALICE, lifetime=HOUR)
    bench.store.after.clear()
    assert await bench.listed() == [kept]


async def test_a_create_whose_undoing_fails_too_is_still_refused(bench: Bench) -> None:
    bench.store.after.add("add")
    bench.store.before.add("end")
    with pytest.raises(StoreUnavailable, match="add has no answer") as caught:
        await bench.issuer.create(ALICE, lifetime=HOUR)
    assert "end has no answer" in str(caught.value.__cause__)


@pytest.mark.parametrize("where", ["before", "after"])
async def test_invariant_10_a_refused_renewal_leaves_no_new_token(bench: Bench, where: str) -> None:
    old = (await bench.issuer.create(ALICE, lifetime=HOUR)).record
    if where == "before":
        bench.store.before.add("add")
    else:
        bench.store.after.add("renewed")
    with pytest.raises(StoreUnavailable):
        await bench.issuer.renew(ALICE, old.id, grace=timedelta(seconds=9))
    assert await bench.listed() == [await bench.stored(old)]


async def test_a_cancelled_create_leaves_no_token() -> None:
    class Slow(MemoryStore):
        added = asyncio.Event()

        async def add(self, record: TokenRecord) -> None:
            await super().add(record)
            self.added.set()
            await asyncio.Event().wait()

    store, keyring = Slow(), Keyring.generate()
    issuer = Issuer(store, keyring, listeners=())
    task = asyncio.create_task(issuer.create(ALICE, lifetime=HOUR))
    await store.added.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await issuer.list(ALICE)


async def test_a_token_purged_while_it_is_deleted_is_not_found(bench: Bench) -> None:
    record = (await bench.issuer.create(ALICE, lifetime=HOUR)).record

    class Purged(FaultyStore):
        async def end(self, id: object, at_ms: int, *, reason: str = "deleted") -> None:
            del id, at_ms, reason

    store = Purged()
    await store.add(record)
    issuer = Issuer(store, bench.keyring, clock=bench.clock, listeners=[bench.told])
    with pytest.raises(NotFound):
        await issuer.delete(ALICE, record.id)
    assert bench.told.names() == ["token.created"]


async def test_another_prefix_is_minted_where_it_is_asked_for(bench: Bench) -> None:
    issuer = Issuer(bench.store, bench.keyring, prefix="acme", listeners=())
    issued = await issuer.create(ALICE, lifetime=HOUR)
    assert TokenForm("acme").parse(issued.value.encode()) is not None


async def test_invariant_12_nothing_secret_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The whole life of a token, with every logger at its loudest and a store that fails."""
    caplog.set_level(logging.DEBUG)
    store = FaultyStore()
    keyring = Keyring.generate()
    issuer = Issuer(store, keyring)
    issued = await issuer.create(ALICE, lifetime=HOUR, description="sync")
    renewed = await issuer.renew(ALICE, issued.record.id)
    store.after.add("add")
    with pytest.raises(StoreUnavailable) as caught:
        await issuer.create(ALICE, lifetime=HOUR)
    await issuer.delete(ALICE, renewed.record.id)
    said = caplog.text + repr(caught.value) + repr(issued) + repr(issued.record) + repr(issuer)
    assert "token.created" in said
    for secret in (issued.value, renewed.value, issued.record.digest.hex(), issued.value[25:60]):
        assert secret not in said
