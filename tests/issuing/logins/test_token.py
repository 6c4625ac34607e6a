"""`logins.token`: a valid token proves its owner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.issuing import Issued, Issuer, Principal
from bearer_guard.issuing.logins import Flags
from bearer_guard.issuing.logins.token import TokenLogin
from bearer_guard.keyring import Keyring
from bearer_guard.policy import Policy
from bearer_guard.testing import ManualClock
from bearer_guard.token import TokenForm
from bearer_guard.verdict import Reason, Refusal
from tests.issuing.support import FaultyStore

if TYPE_CHECKING:
    from bearer_guard.record import TokenRecord

HERE = "10.1.2.3"
ROOT = Principal("alice", admin=True)


class People(dict[str, Flags]):
    async def flags(self, owner: str) -> Flags | None:
        return self.get(owner)


class Bench:
    def __init__(self) -> None:
        self.store = FaultyStore()
        self.keyring = Keyring.generate()
        self.clock = ManualClock()
        self.people = People()
        self.login = TokenLogin(
            self.store, self.keyring, directories=[self.people], clock=self.clock
        )

    async def issue(self, **fields: Any) -> Issued:
        issuer = Issuer(self.store, self.keyring, clock=self.clock, listeners=())
        return await issuer.create(ROOT, lifetime=timedelta(hours=1), **fields)

    async def __call__(self, value: str | bytes, client: str | None = HERE) -> Principal | Refusal:
        return await self.login.log_in(
            value if isinstance(value, bytes) else value.encode(), client=client
        )

    async def reason(self, value: str | bytes, client: str | None = HERE) -> Reason | None:
        outcome = await self(value, client)
        return outcome.reason if isinstance(outcome, Refusal) else None


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_good_token_proves_its_owner_within_its_limits(bench: Bench) -> None:
    issued = await bench.issue(scopes=["read"], networks=["10.0.0.0/8"])
    principal = await bench(issued.value)
    assert principal == Principal("alice", proven_by="token", token=issued.record)
    assert isinstance(principal, Principal)
    assert principal.scopes == ("read",)


async def test_what_the_owner_may_do_is_asked_for_anew(bench: Bench) -> None:
    value = (await bench.issue()).value
    for flags in (Flags(), Flags(admin=True), Flags(may_generate=True)):
        bench.people["alice"] = flags
        principal = await bench(value)
        assert isinstance(principal, Principal)
        assert (principal.admin, principal.may_generate) == (flags.admin, flags.may_generate)


async def test_the_first_directory_that_knows_the_owner_decides(bench: Bench) -> None:
    value = (await bench.issue()).value
    login = TokenLogin(
        bench.store,
        bench.keyring,
        directories=[People(), People(alice=Flags()), People(alice=Flags(admin=True))],
        clock=bench.clock,
    )
    principal = await login.log_in(value.encode(), client=HERE)
    assert isinstance(principal, Principal)
    assert not principal.admin


@pytest.mark.parametrize("value", ["", "x", "bg_", "bg_" + "0" * 71, "\u00e9", b"\xff\0"])
async def test_what_is_no_token_makes_no_store_call(bench: Bench, value: str | bytes) -> None:
    assert await bench.reason(value) is Reason.MALFORMED
    assert bench.store.calls == []


async def test_a_forged_token_makes_no_store_call(bench: Bench) -> None:
    forged = TokenForm().mint((await bench.issue()).record.id, Keyring.generate().tag)
    bench.store.calls.clear()
    assert await bench.reason(forged) is Reason.FORGED
    assert bench.store.calls == []


async def test_a_token_that_no_record_is_of_is_unknown(bench: Bench) -> None:
    issued = await bench.issue()
    bench.clock.advance(99999)
    await bench.store.purge(bench.clock.now_ms())
    assert await bench.reason(issued.value) is Reason.UNKNOWN


async def test_a_changed_record_proves_nobody(bench: Bench) -> None:
    issued = await bench.issue()
    bench.store._records[issued.record.id] = replace(issued.record, owner="mallory")
    assert await bench.reason(issued.value) is Reason.TAMPERED


async def test_an_expired_token_proves_nobody(bench: Bench) -> None:
    value = (await bench.issue()).value
    bench.clock.advance(3599.999)
    assert await bench.reason(value) is None
    bench.clock.advance(0.001)
    assert await bench.reason(value) is Reason.EXPIRED


async def test_setting_the_clock_back_lengthens_no_life(bench: Bench) -> None:
    value = (await bench.issue()).value
    bench.clock.advance(3600)
    assert await bench.reason(value) is Reason.EXPIRED
    bench.clock.step_wall(-7_200_000)
    assert await bench.reason(value) is Reason.EXPIRED


async def test_a_deleted_token_proves_nobody(bench: Bench) -> None:
    issued = await bench.issue()
    await bench.store.end(issued.record.id, bench.clock.now_ms())
    assert await bench.reason(issued.value) is Reason.ENDED


async def test_with_the_feature_off_no_token_proves_anybody(bench: Bench) -> None:
    value = (await bench.issue()).value
    await bench.store.set_policy(Policy(enabled=False))
    assert await bench.reason(value) is Reason.FEATURE_OFF


async def test_a_disabled_owner_is_refused_whoever_says_so(bench: Bench) -> None:
    value = (await bench.issue()).value
    bench.people["alice"] = Flags(admin=True, disabled=True)
    assert await bench.reason(value) is Reason.OWNER_DISABLED


@pytest.mark.parametrize("client", ["11.0.0.1", None, "/run/app.sock"])
async def test_a_token_proves_nobody_from_outside_its_networks(
    bench: Bench, client: str | None
) -> None:
    value = (await bench.issue(networks=["10.0.0.0/8"])).value
    assert await bench.reason(value, client) is Reason.NETWORK


async def test_its_use_is_noted(bench: Bench) -> None:
    issued = await bench.issue()
    bench.clock.advance(7)
    await bench(issued.value)
    record = (await bench.store.fetch([issued.record.id]))[issued.record.id]
    assert (record.last_used_ms, record.last_used_from) == (bench.clock.now_ms(), HERE)


async def test_a_refused_use_is_not_noted(bench: Bench) -> None:
    issued = await bench.issue(networks=["10.0.0.0/8"])
    await bench(issued.value, "11.0.0.1")
    assert "touch" not in bench.store.calls


async def test_a_use_that_can_not_be_noted_is_let_through(bench: Bench) -> None:
    value = (await bench.issue()).value
    bench.store.before.add("touch")
    assert isinstance(await bench(value), Principal)


async def test_without_an_answer_nobody_is_let_through(bench: Bench) -> None:
    value = (await bench.issue()).value
    bench.store.before.add("fetch")
    with pytest.raises(StoreUnavailable):
        await bench(value)


async def test_invariant_15_a_principal_is_the_owner_of_the_token_shown(bench: Bench) -> None:
    """Each token proves the owner of its record, and of no other."""
    records: dict[str, TokenRecord] = {}
    for name in ("alice", "bob"):
        issuer = Issuer(bench.store, bench.keyring, clock=bench.clock, listeners=())
        issued = await issuer.create(
            Principal(name, may_generate=True), lifetime=timedelta(hours=1)
        )
        records[issued.value] = issued.record
    for value, record in records.items():
        principal = await bench(value)
        assert isinstance(principal, Principal)
        assert principal.name == record.owner
