"""From one store to another: settings, accounts, and tokens with their ends and last uses.

The target is written to by its own operations alone: what ends there takes a revision, so that no
process that works on it goes on accepting it. What is there already is compared, so that a copy
that broke off is just begun anew. Nothing that differs is written over, and no record is written
whose seal does not hold. Settings and accounts come first: else the tokens of a disabled account
would work for a while.

Notes are left behind: they are short-lived, and people log in again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from bearer_guard.errors import DuplicateToken
from bearer_guard.record import Use
from bearer_guard.store import AccountStore, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from bearer_guard.keyring import Keyring
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Account

__all__ = [
    "CopyStore",
    "Tally",
    "copy_accounts",
    "copy_settings",
    "copy_tokens",
    "count_accounts",
    "count_tokens",
]

_PAGE: Final = 500  # records that are read and compared at a time
_AT_ONCE: Final = 5  # writes: as many as a store in a database keeps connections


class CopyStore(Store, AccountStore, Protocol):
    """What can be copied from, and to."""


@dataclass(slots=True)
class Tally:
    """What became of all things of one kind.

    Attributes:
        copied: How many the target did not have.
        updated: How many had ended, or were used, since they were copied.
        equal: How many were there already.
        conflicts: Names of what is there and differs; left as it is.
        unsealed: Ids of tokens whose seal does not hold; not copied.
    """

    copied: int = 0
    updated: int = 0
    equal: int = 0
    conflicts: list[str] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """How many the source has."""
        refused = len(self.conflicts) + len(self.unsealed)
        return self.copied + self.updated + self.equal + refused


async def copy_settings(source: CopyStore, target: CopyStore, *, dry: bool = False) -> Tally:
    """Give a target that is empty the source's settings; those of another must be the same.

    Raises:
        StoreUnavailable: No answer, as from everything here.
    """
    wanted = await source.policy()
    if wanted == await target.policy():
        return Tally(equal=1)
    if await target.accounts(limit=1) or (await target.page(None, None, 1)).records:
        return Tally(conflicts=["settings"])
    if not dry:
        await target.set_policy(wanted)
    return Tally(copied=1)


async def copy_accounts(source: CopyStore, target: CopyStore, *, dry: bool = False) -> Tally:
    """Copy the accounts that the target does not have."""
    tally = Tally()
    async for accounts in _accounts(source):
        for account in accounts:
            there = await target.account(account.name)
            if there is None and (dry or await target.add_account(account)):
                tally.copied += 1
            elif account == (there or await target.account(account.name)):
                tally.equal += 1
            else:
                tally.conflicts.append(account.name)
    return tally


async def copy_tokens(
    source: CopyStore,
    target: CopyStore,
    keyring: Keyring,
    step: Callable[[float], None],
    *,
    dry: bool = False,
) -> Tally:
    """Copy the tokens that the target does not have; end there what ended here since.

    Args:
        source: Where they are.
        target: Where they are wanted.
        keyring: Whose seals are trusted.
        step: Told how many more are done.
        dry: Write nothing, and say what would be.
    """
    tally = Tally()
    async for records in _records(source):
        sealed = {record.id: record for record in records if keyring.sealed(record)}
        tally.unsealed += [str(record.id) for record in records if record.id not in sealed]
        there = await target.fetch(sealed)
        new = [record for id, record in sealed.items() if id not in there]
        taken = [] if dry else await _add_all(target, new)
        there |= await target.fetch(taken)
        tally.copied += len(new) - len(taken)
        pairs = [(sealed[id], found) for id, found in there.items()]
        await _bring_up(target, pairs, tally, dry=dry)
        step(len(records))
    return tally


async def count_accounts(store: CopyStore) -> int:
    """How many there are."""
    return sum([len(accounts) async for accounts in _accounts(store)])


async def count_tokens(store: CopyStore) -> int:
    """How many there are, dead ones too."""
    return sum([len(records) async for records in _records(store)])


async def _add_all(target: CopyStore, records: Sequence[TokenRecord]) -> list[UUID]:
    """Add records; returns the ids that another copy was quicker with."""
    waiting, taken = iter(records), []

    async def add_some() -> None:
        for record in waiting:
            try:
                await target.add(record)
            except DuplicateToken:
                taken.append(record.id)

    # All are waited for, also when one fails: nothing may be under way when the store is closed.
    ends = await asyncio.gather(*(add_some() for _ in range(_AT_ONCE)), return_exceptions=True)
    for error in filter(None, ends):
        raise error
    return taken


async def _bring_up(
    target: CopyStore,
    pairs: Iterable[tuple[TokenRecord, TokenRecord]],
    tally: Tally,
    *,
    dry: bool,
) -> None:
    """Let the target know of ends and uses that the source knows; a pair is here and there."""
    uses = dict[UUID, Use]()
    for here, there in pairs:
        if here.fixed() != there.fixed():
            tally.conflicts.append(str(here.id))
            continue
        both = there.merge(replace(here, owner_disabled=False))  # that is the target's to say
        if both == there:
            tally.equal += 1
            continue
        tally.updated += 1
        if both.last_used_ms is not None:
            uses[both.id] = Use(both.last_used_ms, both.last_used_from)
        if both.ended_ms is not None and not dry:
            await target.end(both.id, both.ended_ms, reason=both.end_reason or "deleted")
    if not dry:
        await target.touch(uses)


async def _records(store: CopyStore) -> AsyncIterator[list[TokenRecord]]:
    after = None
    while True:
        page = await store.page(None, after, _PAGE)
        yield page.records
        after = page.next
        if after is None:
            return


async def _accounts(store: CopyStore) -> AsyncIterator[list[Account]]:
    after = None
    while accounts := await store.accounts(after, _PAGE):
        yield accounts
        after = accounts[-1].name
