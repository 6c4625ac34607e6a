"""The tables of an SQL store as they are now. ``migrations`` tells how they came about."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Computed, Index, Integer, MetaData, Table

from ._sql_types import Exact, fixed_bytes, long_bytes, long_text, some_bytes

__all__ = [
    "ACCOUNTS",
    "KEYS",
    "LAST_USED",
    "LOG",
    "META",
    "METADATA",
    "NAME",
    "NEVER_MS",
    "NOTES",
    "TOKENS",
    "VERSION_TABLE",
    "WORD",
]

NAME: Final = 256  # characters, of an owner or an account
WORD: Final = 255  # characters, of a key id, a reason, an address
NEVER_MS: Final = 2**63 - 1  # in `dead_ms`, so that one comparison covers all
VERSION_TABLE: Final = "bearer_guard_version"

METADATA: Final = MetaData()

META: Final = Table(  # one row: the counter; `tag` is that of `revision`
    "bearer_guard_meta",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Exact(WORD), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("tag", some_bytes(8), nullable=False),
    Column("policy", long_text()),
)

LOG: Final = Table(  # a row a revision; `ids` side by side, none where there were too many
    "bearer_guard_log",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", some_bytes(8), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("ids", long_bytes()),
    Index("bearer_guard_log_by_time", "at_ms"),
)

KEYS: Final = Table(
    "bearer_guard_keys",
    METADATA,
    Column("id", Exact(WORD), primary_key=True),
)

TOKENS: Final = Table(
    "bearer_guard_tokens",
    METADATA,
    Column("id", fixed_bytes(16), primary_key=True),
    Column("owner", Exact(NAME), nullable=False),
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
    Column("key_id", Exact(WORD), nullable=False),
    Column("ended_ms", BigInteger),
    Column("end_reason", Exact(WORD)),
    Column(
        "dead_ms",
        BigInteger,
        Computed(
            f"LEAST(COALESCE(expires_ms, {NEVER_MS}), COALESCE(ended_ms, {NEVER_MS}))",
            persisted=True,
        ),
    ),
    # `ended_ms` is there so that ended tokens can be passed over without a look at them.
    Index("bearer_guard_tokens_of_owner", "owner", "created_ms", "id", "ended_ms"),
    Index("bearer_guard_tokens_by_age", "created_ms", "id", "ended_ms"),
    Index("bearer_guard_tokens_by_death", "dead_ms"),
)

LAST_USED: Final = Table(  # apart from the tokens: no row locks against revocations
    "bearer_guard_last_used",
    METADATA,
    Column("id", fixed_bytes(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("source", Exact(WORD)),
)

ACCOUNTS: Final = Table(
    "bearer_guard_accounts",
    METADATA,
    Column("name", Exact(NAME), primary_key=True),
    Column("password_hash", long_text()),
    Column("admin", Boolean, nullable=False),
    Column("may_generate", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("password_ms", BigInteger, nullable=False),
)

NOTES: Final = Table(
    "bearer_guard_notes",
    METADATA,
    Column("key", Exact(WORD), primary_key=True),
    Column("owner", Exact(NAME), nullable=False),
    Column("value", long_text(), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index("bearer_guard_notes_of_owner", "owner"),
    Index("bearer_guard_notes_by_time", "expires_ms"),
)
