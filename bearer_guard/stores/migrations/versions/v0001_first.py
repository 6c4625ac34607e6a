"""The first tables.

Where a server has no transactions for DDL this may have broken off half-way, or run twice at once:
what is there already is left as it is.
"""

from __future__ import annotations

import secrets

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Integer,
    column,
    insert,
    inspect,
    select,
    table,
)

from bearer_guard.stores._sql_types import (
    MYSQL,
    Exact,
    fixed_bytes,
    long_bytes,
    long_text,
    some_bytes,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NEVER_MS = 2**63 - 1


def upgrade() -> None:
    """Make the tables and the first revision."""
    _log()
    _tokens()
    _people()
    _first_revision()


def downgrade() -> None:
    """Delete everything."""
    for name in ("notes", "accounts", "last_used", "tokens", "keys", "log", "meta"):
        op.drop_table(f"bearer_guard_{name}")


def _table(name: str, *columns: Column[object]) -> None:
    op.create_table(
        f"bearer_guard_{name}",
        *columns,
        if_not_exists=True,
        mysql_charset="utf8mb4",
    )


def _index(table: str, what: str, columns: list[str]) -> None:
    indexed = f"bearer_guard_{table}"
    name = f"{indexed}_{what}"
    bind = op.get_bind()
    if bind.dialect.name not in MYSQL:
        op.create_index(name, indexed, columns, if_not_exists=True)
    elif name not in {index["name"] for index in inspect(bind).get_indexes(indexed)}:
        op.create_index(name, indexed, columns)


def _log() -> None:
    _table(
        "meta",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("epoch", Exact(255), nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("tag", some_bytes(8), nullable=False),
        Column("policy", long_text()),
    )
    _table(
        "log",
        Column("revision", BigInteger, primary_key=True, autoincrement=False),
        Column("tag", some_bytes(8), nullable=False),
        Column("at_ms", BigInteger, nullable=False),
        Column("ids", long_bytes()),
    )
    _index("log", "by_time", ["at_ms"])
    _table("keys", Column("id", Exact(255), primary_key=True))


def _tokens() -> None:
    dead = f"LEAST(COALESCE(expires_ms, {_NEVER_MS}), COALESCE(ended_ms, {_NEVER_MS}))"
    _table(
        "tokens",
        Column("id", fixed_bytes(16), primary_key=True),
        Column("owner", Exact(256), nullable=False),
        Column("description", long_text(), nullable=False),
        Column("scopes", long_text(), nullable=False),
        Column("networks", long_text(), nullable=False),
        Column("family", fixed_bytes(16), nullable=False, quote=True),  # CockroachDB's keyword
        Column("parent", fixed_bytes(16)),
        Column("binding", long_bytes()),
        Column("created_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger),
        Column("digest", some_bytes(32), nullable=False),
        Column("seal", some_bytes(32), nullable=False),
        Column("key_id", Exact(255), nullable=False),
        Column("ended_ms", BigInteger),
        Column("end_reason", Exact(255)),
        Column("dead_ms", BigInteger, Computed(dead, persisted=True)),
    )
    _index("tokens", "of_owner", ["owner", "created_ms", "id", "ended_ms"])
    _index("tokens", "by_age", ["created_ms", "id", "ended_ms"])
    _index("tokens", "by_death", ["dead_ms"])
    _table(
        "last_used",
        Column("id", fixed_bytes(16), primary_key=True),
        Column("at_ms", BigInteger, nullable=False),
        Column("source", Exact(255)),
    )


def _people() -> None:
    _table(
        "accounts",
        Column("name", Exact(256), primary_key=True),
        Column("password_hash", long_text()),
        Column("admin", Boolean, nullable=False),
        Column("may_generate", Boolean, nullable=False),
        Column("disabled", Boolean, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("password_ms", BigInteger, nullable=False),
    )
    _table(
        "notes",
        Column("key", Exact(255), primary_key=True),
        Column("owner", Exact(256), nullable=False),
        Column("value", long_text(), nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
    )
    _index("notes", "of_owner", ["owner"])
    _index("notes", "by_time", ["expires_ms"])


def _first_revision() -> None:
    connection = op.get_bind()
    meta = table(
        "bearer_guard_meta",
        column("id", Integer),
        column("epoch", Exact(255)),
        column("revision", BigInteger),
        column("tag", some_bytes(8)),
    )
    log = table(
        "bearer_guard_log",
        column("revision", BigInteger),
        column("tag", some_bytes(8)),
        column("at_ms", BigInteger),
        column("ids", long_bytes()),
    )
    if connection.scalar(select(meta.c.id)) is None:
        tag = secrets.token_bytes(8)
        first = {"id": 1, "epoch": secrets.token_hex(8), "revision": 0, "tag": tag}
        connection.execute(insert(meta), first)
        connection.execute(insert(log), {"revision": 0, "tag": tag, "at_ms": 0, "ids": b""})
