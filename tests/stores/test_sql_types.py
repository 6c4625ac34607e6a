"""Columns that behave alike: what is said to each server."""

import pytest
from sqlalchemy.dialects import mysql, postgresql

from bearer_guard.stores._sql_types import Exact, fixed_bytes, long_text, plain, some_bytes

POSTGRESQL = postgresql.dialect()
MYSQL = mysql.dialect()


@pytest.mark.parametrize(
    ("column", "on_postgresql", "on_mysql"),
    [
        (Exact(256), 'VARCHAR COLLATE "C"', "VARBINARY(1024)"),
        (fixed_bytes(16), "BYTEA", "BINARY(16)"),
        (some_bytes(32), "BYTEA", "VARBINARY(32)"),
        (long_text(), "TEXT", "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
    ],
)
def test_each_server_has_its_type(column: object, on_postgresql: str, on_mysql: str) -> None:
    assert column.compile(POSTGRESQL) == on_postgresql  # type: ignore[attr-defined]
    assert column.compile(MYSQL) == on_mysql  # type: ignore[attr-defined]


def test_exact_text_is_bytes_to_mysql() -> None:
    exact = Exact(5)
    assert exact.process_bind_param("\u00fc", MYSQL) == b"\xc3\xbc"
    assert exact.process_bind_param("\u00fc", POSTGRESQL) == "\u00fc"
    assert exact.process_bind_param(None, MYSQL) is None
    assert exact.process_result_value(b"\xc3\xbc", MYSQL) == "\u00fc"


@pytest.mark.parametrize(
    ("value", "text"), [(b"a", "a"), ("a", "a"), (b"\xff", b"\xff"), (None,) * 2]
)
def test_bytes_that_are_no_text_stay_bytes(value: object, text: object) -> None:
    assert plain(value) == text
