"""The tables. That the migrations make the same ones: ``test_sql_schema``."""

from bearer_guard.stores._rows import FIXED_COLUMNS
from bearer_guard.stores._sql_tables import METADATA, TOKENS


def test_every_name_says_whose_it_is() -> None:
    """They may stand in a database beside others'."""
    names = [table.name for table in METADATA.sorted_tables]
    names += [str(index.name) for table in METADATA.sorted_tables for index in table.indexes]
    assert [name for name in names if not name.startswith("bearer_guard_")] == []


def test_tokens_have_all_that_is_sealed_and_what_ends_them() -> None:
    columns = {column.name for column in TOKENS.columns}
    assert columns == {*FIXED_COLUMNS, "ended_ms", "end_reason", "dead_ms"}
