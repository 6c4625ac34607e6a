"""The contract notices stores that lose settings, or mix up keys."""

from collections.abc import Iterable

import pytest

from bearer_guard.policy import Policy
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing._contract_settings import SettingsContract
from tests.testing.mutants import notices


class SettingsWithoutARevision(MemoryStore):
    async def set_policy(self, policy: Policy) -> None:
        self._policy = policy


class RemembersAllKeys(MemoryStore):
    async def remember_keys(self, ids: Iterable[str]) -> frozenset[str]:
        known = frozenset(self._keys)
        self._keys.update(ids)
        return known


MUTANTS = [
    (SettingsContract, "test_settings_travel_with_the_polls", SettingsWithoutARevision),
    (SettingsContract, "test_other_keys_are_not_remembered", RemembersAllKeys),
]


@pytest.mark.parametrize(("contract", "test", "store"), MUTANTS)
async def test_a_broken_rule_is_noticed(
    contract: type, test: str, store: type[MemoryStore]
) -> None:
    assert await notices(contract, test, store)
