"""The fence is in every statement that reads. Servers behind it: ``test_sql_servers``."""

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores._sql_fence import Replica, fence, refuse_replica


@pytest.mark.parametrize("told", [True, 1, "ON"])
def test_a_replica_is_refused(told: object) -> None:
    with pytest.raises(Replica, match="primary"):
        refuse_replica(told)
    assert issubclass(Replica, StoreUnavailable)


@pytest.mark.parametrize("told", [False, 0, None])
def test_a_primary_is_not(told: object) -> None:
    refuse_replica(told)


def test_the_fence_is_a_row_of_its_own() -> None:
    """So that it is there also when nothing else is found."""
    statement = str(select(fence("f()").c.fence).compile(dialect=postgresql.dialect()))
    assert " ".join(statement.split()) == "SELECT here.fence FROM (SELECT f() AS fence) AS here"
