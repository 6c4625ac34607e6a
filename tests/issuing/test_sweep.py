"""`sweep`: the tokens of people who have left end, and nobody else's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.events import TokensEnded
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.sweep import Standing, Sweep, Swept, remember_person
from bearer_guard.keyring import Keyring
from bearer_guard.record import EndReason
from bearer_guard.store import Note
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from tests.issuing.support import PASSWORD, Told, cheap_passwords

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from uuid import UUID

    from bearer_guard.events import Listener

ROOT = Principal("root", admin=True)
HOUR = timedelta(hours=1)


class People(dict[str, Standing]):
    """A directory; whom it does not name is gone."""

    broken = False
    asked: tuple[str, ...] = ()

    async def standings(self, owners: Sequence[str]) -> dict[str, Standing]:
        if self.broken:
            raise StoreUnavailable("the directory has no answer")
        self.asked = tuple(owners)
        return {owner: self.get(owner, Standing.GONE) for owner in owners}


class Store(MemoryStore):
    """A store that breaks after so many ends."""

    ends = 1000

    async def end_all(
        self, owner: str, at_ms: int, *, family: UUID | None = None, reason: str = "deleted"
    ) -> int:
        if not self.ends:
            raise StoreUnavailable("the store has no answer")
        self.ends -= 1
        return await super().end_all(owner, at_ms, family=family, reason=reason)


class Bench:
    def __init__(self) -> None:
        self.store = Store()
        self.clock = ManualClock()
        self.told = Told()
        self.people = People()
        self.issuer = Issuer(self.store, Keyring.generate(), clock=self.clock, listeners=())
        self.sweep = self.make_sweep(self.told)

    def make_sweep(self, listener: Listener) -> Sweep:
        return Sweep(
            self.store,
            self.store,
            self.store,
            self.people,
            clock=self.clock,
            listeners=[listener],
        )

    async def tokens(self, *owners: str, known: bool = True, lifetime: timedelta = HOUR) -> None:
        """A token for each owner, whom the directory has once known or not."""
        for owner in owners:
            await self.issuer.create(Principal(owner, may_generate=True), lifetime=lifetime)
            if known:
                await remember_person(self.store, owner, self.clock.now_ms())

    async def live(self, owner: str) -> int:
        return len(await self.issuer.list(Principal(owner)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def swept(**fields: object) -> Swept:
    found: dict[str, object] = {
        "owners": 0,
        "gone": (),
        "disabled": (),
        "strangers": (),
        "tokens": 0,
        "done": True,
        "too_many": False,
    }
    return Swept(**(found | fields))  # type: ignore[arg-type]


async def test_the_tokens_of_those_who_have_left_end(bench: Bench) -> None:
    await bench.tokens("alice", "bob", "bob", "carol")
    bench.people |= {"alice": Standing.PRESENT, "carol": Standing.DISABLED}
    assert await bench.sweep.run() == swept(owners=3, gone=("bob",), disabled=("carol",), tokens=3)
    assert [await bench.live(name) for name in ("alice", "bob", "carol")] == [1, 0, 0]


async def test_the_audit_is_told_whose_and_why(bench: Bench) -> None:
    await bench.tokens("bob", "bob")
    await bench.sweep.run()
    assert bench.told.events == [
        TokensEnded(
            at_ms=bench.clock.now_ms(),
            owner="bob",
            by="directory sweep",
            reason=EndReason.OWNER_GONE,
            count=2,
        )
    ]


async def test_a_dry_run_says_the_same_and_does_nothing(bench: Bench) -> None:
    await bench.tokens("alice", "bob", "eve", known=False)
    await bench.tokens("bob")
    bench.people["alice"] = Standing.PRESENT
    found = await bench.sweep.run(dry_run=True)
    assert found == swept(owners=3, gone=("bob",), strangers=("eve",), tokens=2, done=False)
    assert await bench.live("bob") == 2
    assert bench.told.events == []
    bench.people.clear()
    assert (await bench.sweep.run()).strangers == ("alice", "eve")


async def test_a_directory_that_does_not_answer_ends_nothing(bench: Bench) -> None:
    await bench.tokens("bob")
    bench.people.broken = True
    with pytest.raises(StoreUnavailable):
        await bench.sweep.run()
    assert await bench.live("bob") == 1
    assert bench.told.events == []


async def test_whom_the_directory_never_knew_is_left_alone(bench: Bench) -> None:
    await bench.tokens("by-saml", known=False)
    assert await bench.sweep.run() == swept(owners=1, strangers=("by-saml",))
    assert await bench.live("by-saml") == 1


async def test_whom_a_sweep_has_seen_the_directory_has_known(bench: Bench) -> None:
    await bench.tokens("by-saml", known=False)
    bench.people["by-saml"] = Standing.PRESENT
    await bench.sweep.run()
    bench.people.clear()
    assert (await bench.sweep.run()).gone == ("by-saml",)
    assert await bench.live("by-saml") == 0


async def test_somebody_disabled_needs_not_to_have_been_known(bench: Bench) -> None:
    await bench.tokens("carol", known=False)
    bench.people["carol"] = Standing.DISABLED
    assert (await bench.sweep.run()).disabled == ("carol",)
    assert await bench.live("carol") == 0


async def test_native_accounts_are_not_the_directory_s_people(bench: Bench) -> None:
    accounts = Accounts(bench.store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "native", password=PASSWORD)
    await accounts.add(ROOT, "enabled", may_generate=True)
    await bench.tokens("native", "enabled")
    found = await bench.sweep.run()
    assert (bench.people.asked, found.gone) == (("enabled",), ("enabled",))
    assert await bench.live("native") == 1


async def test_only_owners_of_live_tokens_are_asked_about(bench: Bench) -> None:
    await bench.tokens("expired", lifetime=timedelta(seconds=1))
    await bench.tokens("deleted", "live")
    await bench.issuer.delete_all(ROOT, "deleted")
    bench.clock.advance(2)
    assert (await bench.sweep.run()).owners == 1
    assert bench.people.asked == ("live",)


async def test_a_token_that_never_expires_is_live(bench: Bench) -> None:
    await bench.issuer.change_settings(ROOT, allow_non_expiring=True)
    await bench.issuer.create(Principal("alice", may_generate=True), lifetime=None)
    assert (await bench.sweep.run()).owners == 1


async def test_there_may_be_more_tokens_than_a_page_holds(bench: Bench) -> None:
    await bench.tokens(*["alice"] * 600, *["bob"] * 600)
    bench.people["alice"] = Standing.PRESENT
    assert await bench.sweep.run() == swept(owners=2, gone=("bob",), tokens=600)


async def test_sessions_end_with_the_tokens(bench: Bench) -> None:
    await bench.tokens("alice", "bob")
    bench.people["alice"] = Standing.PRESENT
    now_ms = bench.clock.now_ms()
    for owner in ("alice", "bob"):
        await bench.store.add_note(owner, Note(owner, "", now_ms + 1000), now_ms)
    await bench.sweep.run()
    assert await bench.store.note("alice", now_ms) is not None
    assert await bench.store.note("bob", now_ms) is None


async def test_that_most_have_left_at_once_looks_like_a_mistake(bench: Bench) -> None:
    left, stayed = [f"left{n}" for n in range(11)], [f"stayed{n}" for n in range(10)]
    await bench.tokens(*left, *stayed)
    bench.people |= dict.fromkeys(stayed, Standing.PRESENT)
    found = await bench.sweep.run()
    assert (found.too_many, found.done, len(found.gone)) == (True, False, 11)
    assert await bench.live("left0") == 1
    found = await bench.sweep.run(force=True)
    assert (found.too_many, found.done) == (True, True)
    assert await bench.live("left0") == 0


async def test_a_few_may_always_leave_and_many_of_more(bench: Bench) -> None:
    await bench.tokens(*[f"left{n}" for n in range(10)])
    assert (await bench.sweep.run()).done
    stayed = [f"stayed{n}" for n in range(11)]
    await bench.tokens(*[f"left{n}" for n in range(11)], *stayed)
    bench.people |= dict.fromkeys(stayed, Standing.PRESENT)
    assert (await bench.sweep.run()).done


async def test_a_sweep_that_broke_off_can_be_made_again(bench: Bench) -> None:
    await bench.tokens("bob", "carol")
    bench.store.ends = 1
    with pytest.raises(StoreUnavailable):
        await bench.sweep.run()
    assert [await bench.live(name) for name in ("bob", "carol")] == [0, 1]
    bench.store.ends = 2
    assert (await bench.sweep.run()).gone == ("carol",)
    assert await bench.live("carol") == 0


class Log:
    """Waits for a line of the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture, words: str) -> None:
        self.said = asyncio.Event()
        caplog.handler.addFilter(self)
        self.words = words

    def filter(self, record: logging.LogRecord) -> bool:
        if self.words in record.getMessage():
            self.said.set()
        return True


async def test_sweeps_go_on_after_one_that_failed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.tokens("bob")
    bench.people.broken = True
    failed, ended = Log(caplog, "ended nothing"), asyncio.Event()
    bench.sweep = bench.make_sweep(lambda _: ended.set())
    task = asyncio.create_task(bench.sweep.every(0.01))
    await failed.said.wait()
    bench.people.broken = False
    await ended.wait()
    task.cancel()
    assert await bench.live("bob") == 0


async def test_sweeps_say_when_too_many_have_left(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.tokens(*[f"left{n}" for n in range(11)])
    doubtful = Log(caplog, "may be a mistake")
    task = asyncio.create_task(bench.sweep.every(0.01))
    await doubtful.said.wait()
    task.cancel()
    assert await bench.live("left0") == 1
