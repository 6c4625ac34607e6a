"""The contract notices stores whose log leaves something out."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from bearer_guard.store import Changes, Cursor
from bearer_guard.stores._memory_log import Log
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing._contract_log import (
    ChangesContract,
)
from tests.testing.mutants import notices


class LogsNothing(MemoryStore):
    def _revise(self, ids: Iterable[UUID]) -> None:
        pass


class LogsOneOfMany(MemoryStore):
    def _revise(self, ids: Iterable[UUID]) -> None:
        super()._revise(list(ids)[:1])


class TellsTwice(MemoryStore):
    """As a reader would whose cursor stays one behind."""

    async def changes(self, cursor: Cursor | None) -> Changes:
        revisions = self._changes._revisions
        if cursor is not None and len(revisions) > 1 and cursor == self._changes.head():
            cursor = cursor._replace(revision=revisions[-2].number, tag=revisions[-2].tag)
        return await super().changes(cursor)


class NumbersAreSeenEarly(MemoryStore):
    """As those of a sequence are: a reader can be past a number before its change is there."""

    async def changes(self, cursor: Cursor | None) -> Changes:
        found = await super().changes(cursor)
        return replace(found, ids=frozenset(sorted(found.ids)[1:]))


class AnyLog(Log):
    """Looks at numbers only."""

    def since(self, cursor: Cursor) -> frozenset[UUID] | None:
        for revision in self._revisions:
            if revision.number == cursor.revision:
                return super().since(Cursor(self._epoch, revision.number, revision.tag))
        return super().since(cursor)


class TrustsNumbers(MemoryStore):
    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._changes = AnyLog()


class TellsAPart(MemoryStore):
    """A reader who lags behind gets what is left, and no reset."""

    async def changes(self, cursor: Cursor | None) -> Changes:
        found = await super().changes(cursor)
        return replace(found, reset=found.reset and cursor is None)


MUTANTS = [
    (ChangesContract, "test_an_end_is_told_once", LogsNothing),
    (ChangesContract, "test_an_end_is_told_once", TellsTwice),
    (ChangesContract, "test_the_tokens_of_an_owner_are_told_together", LogsOneOfMany),
    (ChangesContract, "test_too_much_to_tell_is_a_reset", LogsOneOfMany),
    (ChangesContract, "test_too_much_to_tell_is_a_reset", TellsAPart),
    (ChangesContract, "test_a_trimmed_log_is_a_reset", TellsAPart),
    (
        ChangesContract,
        "test_no_end_is_missed_or_told_twice_while_many_are_written",
        NumbersAreSeenEarly,
    ),
    (
        ChangesContract,
        "test_an_end_that_returned_is_in_every_poll_that_begins_later",
        NumbersAreSeenEarly,
    ),
]


@pytest.mark.parametrize(("contract", "test", "store"), MUTANTS)
async def test_a_broken_rule_is_noticed(
    contract: type, test: str, store: type[MemoryStore]
) -> None:
    assert await notices(contract, test, store)


async def test_a_log_that_looks_at_numbers_only_is_noticed() -> None:
    test = "test_a_cursor_of_another_history_is_a_reset"
    for field in ({"epoch": "x"}, {"tag": bytes(8)}):
        change = lambda cursor, field=field: cursor._replace(**field)  # noqa: E731
        assert await notices(ChangesContract, test, TrustsNumbers, change=change)


class LosesRevisions(ChangesContract):
    async def lose_revisions(self, store: MemoryStore, count: int) -> None:
        for _ in range(count):
            store._changes._revisions.pop()


async def test_numbers_that_are_used_again_are_noticed() -> None:
    test = "test_lost_revisions_are_a_reset_when_their_numbers_are_used_again"
    assert await notices(LosesRevisions, test, TrustsNumbers)
