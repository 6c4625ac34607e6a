"""The contract notices stores that mix up people, or forget what they did to their tokens."""

from collections.abc import Collection
from uuid import UUID

import pytest

from bearer_guard.record import TokenRecord
from bearer_guard.store import Account, AccountChange, Note
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing._contract_accounts import AccountsContract, NotesContract
from tests.testing.mutants import notices


class NamesIgnoreCase(MemoryStore):
    async def account(self, name: str) -> Account | None:
        known = {account.name.casefold(): account for account in self._accounts.values()}
        return known.get(name.casefold())


class SortsAsUtf16(MemoryStore):
    async def accounts(self, after: str | None = None, limit: int = 1000) -> list[Account]:
        names = sorted(self._accounts, key=lambda name: name.encode("utf-16-be"))
        start = 0 if after is None else names.index(after) + 1
        return [self._accounts[name] for name in names[start : start + limit]]


class DisablesQuietly(MemoryStore):
    def _keep(self, account: Account) -> None:
        self._accounts[account.name] = account
        (self._disabled.add if account.disabled else self._disabled.discard)(account.name)


class ForgetsWhoIsDisabled(MemoryStore):
    async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
        return {id: self._records[id] for id in ids}


class NoneIsFalse(MemoryStore):
    async def change_account(self, name: str, change: AccountChange) -> Account | None:
        full = AccountChange(
            password_hash=change.password_hash,
            password_ms=change.password_ms,
            admin=bool(change.admin),
            may_generate=bool(change.may_generate),
            disabled=bool(change.disabled),
        )
        return await super().change_account(name, full)


class OverwritesNotes(MemoryStore):
    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        await self.drop_note(key)
        return await super().add_note(key, note, now_ms)


class KeepsTheExpired(MemoryStore):
    async def note(self, key: str, now_ms: int) -> Note | None:
        del now_ms
        return self._notes.get(key)


class AlwaysHadIt(MemoryStore):
    async def drop_note(self, key: str) -> bool:
        await super().drop_note(key)
        return True


ALICE = Account(
    name="alice", password_hash=None, admin=True, may_generate=True, created_ms=5, password_ms=6
)
MUTANTS = [
    (
        AccountsContract,
        "test_names_are_in_the_order_of_their_code_points",
        SortsAsUtf16,
    ),
    (
        AccountsContract,
        "test_disabling_and_enabling_are_told_to_those_who_poll",
        DisablesQuietly,
    ),
    (
        AccountsContract,
        "test_a_disabled_owner_is_told_with_every_token",
        ForgetsWhoIsDisabled,
    ),
    (AccountsContract, "test_changes_at_once_are_all_made", NoneIsFalse),
    (NotesContract, "test_a_note_can_not_be_overwritten", OverwritesNotes),
    (NotesContract, "test_of_many_who_note_one_key_one_succeeds", OverwritesNotes),
    (NotesContract, "test_an_expired_note_is_gone", KeepsTheExpired),
    (NotesContract, "test_a_note_can_be_dropped_once", AlwaysHadIt),
]


@pytest.mark.parametrize(("contract", "test", "store"), MUTANTS)
async def test_a_broken_rule_is_noticed(
    contract: type, test: str, store: type[MemoryStore]
) -> None:
    assert await notices(contract, test, store)


async def test_names_that_ignore_case_are_noticed() -> None:
    test = "test_a_name_is_compared_exactly"
    assert await notices(AccountsContract, test, NamesIgnoreCase, word="Alice")
