"""`accounts`: who makes and changes native accounts, and how."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from bearer_guard.errors import InvalidRequest, NotAllowed, NotFound
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts, NameTaken
from bearer_guard.testing import ManualClock, a_record
from tests.issuing.support import PASSWORD, FaultyStore, Told, cheap_passwords

ROOT = Principal("root", admin=True)
ALICE = Principal("alice", may_generate=True)
BY_TOKEN = Principal("root", admin=True, token=a_record(owner="root"))


class Bench:
    def __init__(self) -> None:
        self.store = FaultyStore()
        self.clock = ManualClock()
        self.told = Told()
        self.passwords = cheap_passwords()
        self.accounts = Accounts(
            self.store, passwords=self.passwords, clock=self.clock, listeners=[self.told]
        )

    async def right(self, name: str, password: str) -> bool:
        account = await self.store.account(name)
        assert account is not None
        return (await self.passwords.check(account.password_hash, password)).right


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_new_account_may_nothing_but_log_in(bench: Bench) -> None:
    account = await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    assert (account.admin, account.may_generate, account.disabled) == (False, False, False)
    assert account.created_ms == account.password_ms == bench.clock.now_ms()
    assert await bench.right("alice", PASSWORD)
    assert await bench.store.account("alice") == account


async def test_an_account_may_be_made_without_a_password(bench: Bench) -> None:
    account = await bench.accounts.add(ROOT, "alice", admin=True, may_generate=True, disabled=True)
    assert account.password_hash is None
    assert account.admin
    assert account.may_generate
    assert account.disabled


async def test_a_name_is_kept_composed(bench: Bench) -> None:
    assert (await bench.accounts.add(ROOT, "Zoe\u0308")).name == "Zo\u00eb"


@pytest.mark.parametrize(
    "name",
    ["", " alice", "alice ", "a:b", "a/b", "a\nb", "me", "*", ".", "..", "x" * 257, "\ud800"],
)
async def test_a_name_that_can_not_be_one_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await bench.accounts.add(ROOT, name)
    assert await bench.accounts.list(ROOT) == []


@pytest.mark.parametrize(
    "name", ["alice", "alice@example.com", "EXAMPLE\\alice", "Mary Ann", "爱丽丝"]
)
async def test_names_may_be_of_many_kinds(bench: Bench, name: str) -> None:
    assert (await bench.accounts.add(ROOT, name)).name == name


async def test_a_name_is_given_once(bench: Bench) -> None:
    first = await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    with pytest.raises(NameTaken):
        await bench.accounts.add(ROOT, "alice", admin=True)
    assert await bench.store.account("alice") == first


async def test_accounts_are_listed_by_name_all_of_them(bench: Bench) -> None:
    for number in range(1001):
        await bench.accounts.add(ROOT, f"user{number:04}")
    names = [account.name for account in await bench.accounts.list(ROOT)]
    assert names == [f"user{number:04}" for number in range(1001)]


async def test_what_is_not_named_is_left_alone(bench: Bench) -> None:
    before = await bench.accounts.add(ROOT, "alice", password=PASSWORD, may_generate=True)
    bench.clock.advance(5)
    after = await bench.accounts.change(ROOT, "alice", disabled=True)
    assert after == replace(before, disabled=True)
    assert await bench.accounts.change(ROOT, "alice") == after


async def test_a_new_password_is_dated(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    bench.clock.advance(5)
    account = await bench.accounts.change(ROOT, "alice", password="another password")
    assert account.password_ms == bench.clock.now_ms()
    assert await bench.right("alice", "another password")


async def test_ones_own_password_is_ones_own_to_change(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    await bench.accounts.change_own_password(ALICE, "another password")
    assert await bench.right("alice", "another password")


async def test_who_logs_in_by_a_directory_gets_no_password_here(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "erin", may_generate=True)
    for name in ("erin", "frank"):
        with pytest.raises(NotFound):
            await bench.accounts.change_own_password(Principal(name), PASSWORD)


async def test_a_short_password_changes_nothing(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    for change in (
        bench.accounts.change(ROOT, "alice", password="short", admin=True),
        bench.accounts.change_own_password(ALICE, "short"),
        bench.accounts.add(ROOT, "bob", password="short"),
    ):
        with pytest.raises(InvalidRequest):
            await change
    assert await bench.right("alice", PASSWORD)
    assert [account.admin for account in await bench.accounts.list(ROOT)] == [False]


async def test_an_account_that_is_not_there_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.accounts.change(ROOT, "alice", admin=True)


async def test_only_administrators_see_make_and_change_accounts(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    with pytest.raises(NotAllowed):
        await bench.accounts.list(ALICE)
    with pytest.raises(NotAllowed):
        await bench.accounts.add(ALICE, "bob")
    with pytest.raises(NotAllowed):
        await bench.accounts.change(ALICE, "alice", admin=True)


async def test_a_token_sets_no_password_and_makes_no_administrator(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "alice", password=PASSWORD)
    for change in (
        bench.accounts.add(BY_TOKEN, "eve", password=PASSWORD),
        bench.accounts.add(BY_TOKEN, "eve", admin=True),
        bench.accounts.change(BY_TOKEN, "alice", password="another password"),
        bench.accounts.change(BY_TOKEN, "alice", admin=True),
    ):
        with pytest.raises(NotAllowed):
            await change
    assert [account.name for account in await bench.accounts.list(BY_TOKEN)] == ["alice"]
    assert (await bench.accounts.change(BY_TOKEN, "alice", disabled=True)).disabled


async def test_the_audit_is_told_the_flags_and_never_the_password(bench: Bench) -> None:
    await bench.accounts.add(ROOT, "alice", password=PASSWORD, admin=True)
    await bench.accounts.change(ROOT, "alice", disabled=True)
    made, changed = (event.fields() for event in bench.told.events)
    assert (made["account"], made["by"]) == ("alice", "root")
    assert made["changes"] == {"admin": True, "password_set": True}
    assert changed["changes"] == {"disabled": True}


async def test_invariant_12_no_password_or_hash_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = Accounts(FaultyStore(), passwords=cheap_passwords())
    account = await accounts.add(ROOT, "alice", password=PASSWORD)
    with pytest.raises(InvalidRequest) as caught:
        await accounts.change(ROOT, "alice", password="s3cr3t")
    said = caplog.text + repr(account) + repr(caught.value)
    assert "account.changed" in said
    assert account.password_hash is not None
    for secret in (PASSWORD, "s3cr3t", account.password_hash, account.password_hash[-20:]):
        assert secret not in said
