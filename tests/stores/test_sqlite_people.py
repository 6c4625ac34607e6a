"""The SQL about accounts and notes."""

import sqlite3
from collections.abc import Iterator

import pytest

from bearer_guard.store import Account, Note
from bearer_guard.stores import _sqlite_people as people
from bearer_guard.stores import _sqlite_schema as schema


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    yield connection
    connection.close()


def count_notes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])


def test_expired_notes_are_swept_out_with_each_new_one(connection: sqlite3.Connection) -> None:
    for number in range(people.SWEEP_NOTES + 5):
        people.add_note(connection, key=str(number), note=Note("alice", "", 10), now_ms=5)
    people.add_note(connection, key="x", note=Note("alice", "", 20), now_ms=9)
    assert count_notes(connection) == people.SWEEP_NOTES + 6
    people.add_note(connection, key="y", note=Note("alice", "", 20), now_ms=10)
    assert count_notes(connection) == 5 + 2
    people.add_note(connection, key="z", note=Note("alice", "", 20), now_ms=10)
    assert count_notes(connection) == 3


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT key FROM notes WHERE expires_ms <= 5 ORDER BY expires_ms LIMIT 5", "expiring"),
        ("DELETE FROM notes WHERE owner = 'x'", "notes_of_owner"),
        ("SELECT * FROM accounts WHERE name > 'a' ORDER BY name LIMIT 5", "PRIMARY KEY"),
    ],
)
def test_no_list_is_gone_through(connection: sqlite3.Connection, query: str, index: str) -> None:
    plans = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()]
    assert any(index in plan for plan in plans)
    assert not any(plan.startswith(("SCAN", "USE TEMP")) for plan in plans)


def test_an_account_that_is_refused_disables_nobody(connection: sqlite3.Connection) -> None:
    account = Account(name="alice", password_hash=None, created_ms=1, password_ms=1)
    disabled = Account(name="alice", password_hash=None, created_ms=1, password_ms=1, disabled=True)
    assert people.add_account(connection, account, now_ms=5)
    assert not people.add_account(connection, disabled, now_ms=5)
    assert people.account(connection, "alice") == account
    assert connection.execute("SELECT revision FROM meta").fetchone() == (0,)
