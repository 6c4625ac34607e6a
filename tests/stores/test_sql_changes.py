"""Changes and their revisions. What else they are held to: ``test_sql``, by the contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from bearer_guard.policy import Policy
from bearer_guard.store import Account, AccountChange
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.stores.servers import Postgresql, a_database
from tests.stores.sql_support import opened, taken_back

TOKEN = a_record(owner="alice")
ACCOUNT = Account(
    name="alice",
    password_hash=None,
    admin=False,
    may_generate=True,
    disabled=False,
    created_ms=1,
    password_ms=1,
)


@pytest.fixture
async def store(postgresql: Postgresql) -> AsyncIterator[SqlStore]:
    """One with a token and its owner, where each transaction is taken back once."""
    with a_database(postgresql) as database:
        async with opened(database.url()) as store:
            await store.add(TOKEN)
            await store.add_account(ACCOUNT)
            with taken_back(database, 1, at="DEFERRED"):
                yield store


@pytest.mark.parametrize(
    ("change", "ids"),
    [
        (lambda store: store.end(TOKEN.id, 5), {TOKEN.id}),
        (lambda store: store.end_all("alice", 5), {TOKEN.id}),
        (lambda store: store.set_policy(Policy(enabled=False)), set()),
        (lambda store: store.change_account("alice", AccountChange(disabled=True)), {TOKEN.id}),
        (lambda store: store.add_account(replace(ACCOUNT, name="bob", disabled=True)), set()),
    ],
    ids=["end", "end_all", "set_policy", "change_account", "add_account"],
)
async def test_what_was_begun_anew_takes_one_revision(
    store: SqlStore, change: Callable[[SqlStore], Awaitable[object]], ids: set[object]
) -> None:
    before = (await store.changes(None)).cursor
    await change(store)
    news = await store.changes(before)
    assert (news.cursor.revision, news.reset) == (before.revision + 1, False)
    assert news.ids == ids


async def test_what_changes_nothing_takes_no_revision(store: SqlStore) -> None:
    await store.end(TOKEN.id, 5)
    before = (await store.changes(None)).cursor
    await store.end(TOKEN.id, 6)
    assert await store.end_all("bob", 5) == 0
    assert not await store.add_account(ACCOUNT)
    await store.change_account("alice", AccountChange(admin=True))
    assert (await store.changes(None)).cursor == before
