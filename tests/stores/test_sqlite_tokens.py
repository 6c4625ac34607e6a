"""The SQL about tokens: that a million of them do no harm, and rules of its own."""

import sqlite3
from collections.abc import Iterator
from uuid import uuid4

import pytest

from bearer_guard.errors import DuplicateToken
from bearer_guard.record import Use
from bearer_guard.stores import _sqlite_schema as schema
from bearer_guard.stores import _sqlite_tokens as tokens
from bearer_guard.testing import a_record


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    yield connection
    connection.close()


class Statements:
    """What a connection was asked, with its plans."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._texts: list[str] = []
        connection.set_trace_callback(self._texts.append)

    def plans(self) -> list[str]:
        """One line for each step of each statement, as SQLite means to do it."""
        self._connection.set_trace_callback(None)
        steps = []
        for text in self._texts:
            if not text.startswith("--"):
                steps += self._connection.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()
        return [step[3] for step in steps]


def unbounded(plans: list[str]) -> list[str]:
    """Steps that go through a whole table, or sort what they found."""
    # "p" is the page itself, found already; "meta" is one row; the others have a LIMIT.
    limited = ("SCAN p", "SCAN meta", "SCAN revisions", "ubquery", "UBQUERY", "tokens_by_age")
    steps = [plan for plan in plans if plan.startswith(("SCAN", "USE TEMP"))]
    return [step for step in steps if not any(word in step for word in limited)]


@pytest.mark.parametrize("owner", ["alice", None])
@pytest.mark.parametrize("after", [(5, uuid4()), None])
@pytest.mark.parametrize("now_ms", [5, None])
def test_a_page_is_found_in_an_index_alone(
    connection: sqlite3.Connection, owner: str | None, after: object, now_ms: int | None
) -> None:
    statements = Statements(connection)
    tokens.page(connection, owner=owner, after=after, limit=5, now_ms=now_ms)
    plans = statements.plans()
    index = "tokens_by_age" if owner is None else "tokens_of_owner (owner=?"
    assert any(f"USING COVERING INDEX {index}" in plan for plan in plans)
    if after:
        assert any("(created_ms,id)<(?,?)" in plan for plan in plans)
    # The sort is of one page: what comes out of the co-routine.
    assert unbounded(plans) == ["USE TEMP B-TREE FOR ORDER BY"]


def test_a_token_is_found_by_its_key(connection: sqlite3.Connection) -> None:
    statements = Statements(connection)
    tokens.fetch(connection, [uuid4()])
    plans = statements.plans()
    assert len(plans) == 3
    assert all("USING PRIMARY KEY" in plan for plan in plans)


def test_a_purge_finds_the_dead_in_their_indexes(connection: sqlite3.Connection) -> None:
    for _ in range(3):
        tokens.add(connection, a_record(expires_ms=5))
    statements = Statements(connection)
    tokens.purge(connection, before_ms=6, limit=2)
    tokens.purge(connection, before_ms=6, limit=2)
    tokens.purge(connection, before_ms=6, limit=2)
    plans = statements.plans()
    assert unbounded(plans) == []
    for index in ("tokens_expiring (expires_ms<?)", "tokens_ended (ended_ms<?)"):
        assert any(f"INDEX {index}" in plan for plan in plans)


def test_an_owners_tokens_are_found_in_an_index(connection: sqlite3.Connection) -> None:
    tokens.add(connection, a_record())
    statements = Statements(connection)
    tokens.end_all(connection, owner="alice", at_ms=5, family=None, reason="x", now_ms=5)
    tokens.owned_now(connection, "alice", 5)
    plans = statements.plans()
    assert unbounded(plans) == []
    assert any("tokens_of_owner (owner=?)" in plan for plan in plans)


def test_a_family_is_found_without_a_look_at_all_of_the_owners(
    connection: sqlite3.Connection,
) -> None:
    first = a_record()
    for record in (first, a_record(family=first.family)):
        tokens.add(connection, record)
    statements = Statements(connection)
    ended, ids = tokens.end_all(
        connection, owner="alice", at_ms=5, family=first.family, reason="x", now_ms=5
    )
    plans = statements.plans()
    assert (ended, len(ids)) == (2, 2)
    assert unbounded(plans) == []
    assert any("tokens_of_family (family=?)" in plan for plan in plans)
    assert not any("tokens_of_owner (owner=?)" in plan for plan in plans)


def test_an_end_is_found_by_its_key(connection: sqlite3.Connection) -> None:
    record = a_record()
    tokens.add(connection, record)
    statements = Statements(connection)
    tokens.end(connection, id=record.id, at_ms=5, reason="x", now_ms=5)
    assert unbounded(statements.plans()) == []


def test_uses_are_written_in_the_order_of_ids() -> None:
    """Else two processes that write at once could wait for each other."""
    uses = {uuid4(): Use(5) for _ in range(2_500)}
    chunks = tokens.sorted_uses(uses)
    assert [len(chunk) for chunk in chunks] == [1_000, 1_000, 500]
    rows = [row for chunk in chunks for row in chunk]
    assert rows == sorted((id.bytes, 5, None) for id in uses)


def test_only_a_taken_id_is_a_duplicate(connection: sqlite3.Connection) -> None:
    record = a_record()
    tokens.add(connection, record)
    with pytest.raises(DuplicateToken):
        tokens.add(connection, record)
    with pytest.raises(sqlite3.IntegrityError):
        tokens.add(connection, a_record(owner=None))  # type: ignore[arg-type]


def test_a_purge_leaves_no_uses_behind(connection: sqlite3.Connection) -> None:
    tokens.add(connection, a_record(expires_ms=5, last_used_ms=1))
    assert tokens.purge(connection, before_ms=6, limit=5) == 1
    assert connection.execute("SELECT count(*) FROM last_used").fetchone() == (0,)
