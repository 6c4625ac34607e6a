"""Statements in a driver's own words: its marks for parameters, and its order of them."""

import pytest
from sqlalchemy import bindparam, column, select

from bearer_guard.stores._sql_spoken import spoken

ABOVE = select(column("x")).where(
    column("x") > bindparam("low"), column("y") < bindparam("high"), column("z") > bindparam("low")
)


@pytest.mark.parametrize(
    ("dialect", "marks", "order"),
    [
        ("postgresql+asyncpg", ["$1", "$2"], ["low", "high"]),
        ("postgresql+psycopg_async", ["%(low)s", "%(high)s"], None),
        ("mysql+asyncmy", ["%s"], ["low", "high", "low"]),
    ],
)
def test_parameters_are_marked_and_ordered_as_the_driver_takes_them(
    dialect: str, marks: list[str], order: list[str] | None
) -> None:
    said = spoken(dialect, ABOVE)
    assert [mark for mark in marks if mark in said.sql] == marks
    assert said.order == order
