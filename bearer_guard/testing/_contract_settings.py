"""The contract's part about the workspace's settings and the known keys."""
# ruff: noqa: S101 - tests: an assert is how they tell, a name is a sentence

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bearer_guard.policy import Policy
from bearer_guard.store import Changes

from ._contract_base import Contract, head

if TYPE_CHECKING:
    from bearer_guard.store import Store

__all__ = ["SettingsContract"]


class SettingsContract(Contract):
    """``policy``, ``set_policy`` and ``remember_keys``."""

    @pytest.mark.parametrize(
        "policy",
        [
            Policy(),
            Policy(enabled=False),
            Policy(users_may_generate=True, allow_non_expiring=True),
            Policy(max_lifetime=timedelta(days=90)),
            Policy(max_lifetime=timedelta(microseconds=1)),
            Policy(max_lifetime=timedelta.max),
        ],
        ids=str,
    )
    async def test_settings_are_kept(self, store: Store, second: Store, policy: Policy) -> None:
        await store.set_policy(Policy(max_lifetime=timedelta(days=1)))
        await store.set_policy(policy)
        assert await store.policy() == policy
        assert await second.policy() == policy

    async def test_a_new_store_has_the_default_settings(self, store: Store) -> None:
        assert await store.policy() == Policy()

    async def test_settings_travel_with_the_polls(self, store: Store, second: Store) -> None:
        start = await head(second)
        await store.set_policy(Policy(enabled=False))
        news = await second.changes(start)
        assert news == Changes(
            cursor=news.cursor, ids=frozenset(), policy=Policy(enabled=False), reset=False
        )
        assert news.cursor != start  # a revision of their own
        again = await second.changes(news.cursor)
        assert again == news

    async def test_the_first_keys_are_remembered(self, store: Store, second: Store) -> None:
        assert await store.remember_keys(["new", "old"]) == frozenset()
        assert await second.remember_keys(["new"]) == {"new", "old"}

    async def test_other_keys_are_not_remembered(self, store: Store) -> None:
        await store.remember_keys(["ours"])
        assert await store.remember_keys(["theirs"]) == {"ours"}
        assert await store.remember_keys(["theirs"]) == {"ours"}

    async def test_a_key_that_comes_with_a_known_one_is_remembered(self, store: Store) -> None:
        await store.remember_keys(["old"])
        assert await store.remember_keys(["new", "old"]) == {"old"}
        assert await store.remember_keys(["new"]) == {"old", "new"}

    async def test_asking_with_no_keys_only_tells(self, store: Store) -> None:
        assert await store.remember_keys([]) == frozenset()
        await store.remember_keys(["ours"])
        assert await store.remember_keys([]) == {"ours"}

    async def test_of_two_keyrings_that_come_first_one_gets_in(
        self, store: Store, second: Store
    ) -> None:
        rivals = [f"key-{number}" for number in range(8)]
        stores = [store, second] * 4
        seen = await asyncio.gather(
            *(one.remember_keys([rival]) for one, rival in zip(stores, rivals, strict=True))
        )
        winners = [rival for rival, known in zip(rivals, seen, strict=True) if not known]
        assert len(winners) == 1
        assert await store.remember_keys([]) == set(winners)
