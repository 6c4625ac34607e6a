"""`logins.password`: log-ins of native accounts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from bearer_guard.errors import StoreUnavailable
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import Flags, No
from bearer_guard.issuing.logins.password import AccountDirectory, PasswordLogin
from bearer_guard.issuing.passwords import Checked, Passwords
from bearer_guard.store import AccountChange
from bearer_guard.stores.memory import MemoryStore
from tests.issuing.support import PASSWORD, cheap_passwords

if TYPE_CHECKING:
    from bearer_guard.store import Account

ROOT = Principal("root", admin=True)
OLD = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "alice", password=PASSWORD, may_generate=True)
    await accounts.add(ROOT, "boss", password=PASSWORD, admin=True)
    await accounts.add(ROOT, "gone", password=PASSWORD, disabled=True)
    await accounts.add(ROOT, "Zo\u00eb", password=PASSWORD)
    await accounts.add(ROOT, "nopw")
    return store


async def prove(store: MemoryStore, name: str, password: str) -> Principal | No:
    return await PasswordLogin(store, cheap_passwords()).prove(name, password)


async def test_the_right_password_proves_the_name(store: MemoryStore) -> None:
    assert await prove(store, "alice", PASSWORD) == Principal(
        "alice", may_generate=True, proven_by="password"
    )
    assert await prove(store, "boss", PASSWORD) == Principal(
        "boss", admin=True, proven_by="password"
    )


async def test_a_name_may_be_typed_in_another_form(store: MemoryStore) -> None:
    proven = await prove(store, "Zoe\u0308", PASSWORD)
    assert isinstance(proven, Principal)
    assert proven.name == "Zo\u00eb"


@pytest.mark.parametrize("password", ["", "wrong password", PASSWORD + "x", PASSWORD.title()])
async def test_a_wrong_password_proves_nothing(store: MemoryStore, password: str) -> None:
    assert await prove(store, "alice", password) is No.WRONG


@pytest.mark.parametrize("name", ["", "ALICE", "alice ", "bob", "a\nb", "x" * 5000, "\ud800"])
async def test_another_name_is_a_strangers(store: MemoryStore, name: str) -> None:
    assert await prove(store, name, PASSWORD) is No.STRANGER


async def test_a_name_is_not_cut_to_fit(store: MemoryStore) -> None:
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "\u1fa7" * 256, password=PASSWORD)
    spelled = "\u03c9\u0314\u0342\u0345" * 256
    assert isinstance(await prove(store, spelled, PASSWORD), Principal)
    assert await prove(store, spelled + "x", PASSWORD) is No.STRANGER


async def test_an_account_without_a_password_can_not_be_logged_in_to(store: MemoryStore) -> None:
    """It is left to a directory, which may know the person."""
    assert await prove(store, "nopw", "") is No.STRANGER
    assert await prove(store, "nopw", PASSWORD) is No.STRANGER


async def test_a_disabled_account_looks_like_a_wrong_password(store: MemoryStore) -> None:
    assert await prove(store, "gone", PASSWORD) is No.WRONG
    assert await prove(store, "gone", "wrong password") is No.WRONG


async def test_the_password_is_checked_before_the_account_is_looked_at() -> None:
    """Else a disabled account, or none, would answer sooner."""
    checked: list[str | None] = []

    class Noting(Passwords):
        async def check(self, password_hash: str | None, password: str) -> Checked:
            checked.append(password_hash)
            return await super().check(password_hash, password)

    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    gone = await accounts.add(ROOT, "gone", password=PASSWORD, disabled=True)
    login = PasswordLogin(store, Noting(passes=1, memory_kib=8))
    for name in ("gone", "nobody", "a\nb"):
        await login.prove(name, PASSWORD)
    assert checked == [gone.password_hash, None, None]


async def test_an_outdated_hash_is_made_anew(store: MemoryStore) -> None:
    before = await store.change_account("alice", AccountChange(password_hash=OLD))
    assert isinstance(await prove(store, "alice", PASSWORD), Principal)
    after = await store.account("alice")
    assert before is not None
    assert after is not None
    assert after.password_hash is not None
    assert after.password_hash.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert after.password_ms == before.password_ms
    assert isinstance(await prove(store, "alice", PASSWORD), Principal)


async def test_a_wrong_password_leaves_an_outdated_hash(store: MemoryStore) -> None:
    await store.change_account("alice", AccountChange(password_hash=OLD))
    await prove(store, "alice", "wrong password")
    after = await store.account("alice")
    assert after is not None
    assert after.password_hash == OLD


async def test_a_password_changed_meanwhile_stays_changed(store: MemoryStore) -> None:
    """The old password was right when it was looked at; its new hash must not come back."""
    await store.change_account("alice", AccountChange(password_hash=OLD))

    class Slow(Passwords):
        async def hash(self, password: str) -> str:
            await store.change_account("alice", AccountChange(password_hash="another"))
            return await super().hash(password)

    login = PasswordLogin(store, Slow(passes=1, memory_kib=8))
    assert isinstance(await login.prove("alice", PASSWORD), Principal)
    after = await store.account("alice")
    assert after is not None
    assert after.password_hash == "another"


async def test_a_hash_that_can_not_be_renewed_keeps_nobody_out(store: MemoryStore) -> None:
    class Full(MemoryStore):
        async def change_account(self, name: str, change: AccountChange) -> Account | None:
            del name, change
            raise StoreUnavailable("no room")

    alice = await store.account("alice")
    assert alice is not None
    full = Full()
    await full.add_account(replace(alice, password_hash=OLD))
    assert isinstance(await prove(full, "alice", PASSWORD), Principal)


async def test_the_directory_tells_what_an_account_may_do_now(store: MemoryStore) -> None:
    directory = AccountDirectory(store)
    assert await directory.flags("alice") == Flags(admin=False, may_generate=True, disabled=False)
    assert await directory.flags("boss") == Flags(admin=True)
    assert await directory.flags("gone") == Flags(disabled=True)
    assert await directory.flags("stranger") is None
