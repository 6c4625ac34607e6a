"""The tables of a SQLite store, and how they came about: one migration after another.

``PRAGMA user_version`` says how many migrations a file has seen, ``PRAGMA application_id`` that it
is ours at all. Only an empty file is filled without being asked; ``upgrade`` does the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bearer_guard.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    import sqlite3

__all__ = ["APPLICATION_ID", "MIGRATIONS", "check", "migrate", "version"]

APPLICATION_ID: Final = 0x62_67_72_64  # "bgrd"

_FIRST: Final = (
    # One row: the counter. `tag` is that of `revision`; readers before `floor` start anew.
    """CREATE TABLE meta (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        epoch TEXT NOT NULL,
        revision INTEGER NOT NULL,
        tag BLOB NOT NULL,
        floor INTEGER NOT NULL,
        policy TEXT
    )""",
    "INSERT INTO meta VALUES (1, lower(hex(randomblob(8))), 0, randomblob(8), 0, NULL)",
    """CREATE TABLE revisions (
        revision INTEGER PRIMARY KEY,
        tag BLOB NOT NULL,
        at_ms INTEGER NOT NULL
    )""",
    "INSERT INTO revisions SELECT revision, tag, 0 FROM meta",
    """CREATE TABLE log (
        revision INTEGER NOT NULL,
        id BLOB NOT NULL,
        PRIMARY KEY (revision, id)
    ) WITHOUT ROWID""",
    "CREATE TABLE keys (id TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE tokens (
        id BLOB PRIMARY KEY CHECK (typeof(id) = 'blob' AND length(id) = 16),
        owner TEXT NOT NULL,
        description TEXT NOT NULL,
        scopes TEXT NOT NULL,
        networks TEXT NOT NULL,
        family BLOB NOT NULL,
        parent BLOB,
        binding BLOB,
        created_ms INTEGER NOT NULL CHECK (typeof(created_ms) = 'integer'),
        expires_ms INTEGER,
        digest BLOB NOT NULL,
        seal BLOB NOT NULL,
        key_id TEXT NOT NULL,
        ended_ms INTEGER,
        end_reason TEXT
    ) WITHOUT ROWID""",
    # Listings; `ended_ms` is there so that ended tokens can be passed over without a look at them.
    "CREATE INDEX tokens_of_owner ON tokens (owner, created_ms, id, ended_ms)",
    "CREATE INDEX tokens_by_age ON tokens (created_ms, id, ended_ms)",
    # Purges.
    "CREATE INDEX tokens_expiring ON tokens (expires_ms) WHERE expires_ms IS NOT NULL",
    "CREATE INDEX tokens_ended ON tokens (ended_ms) WHERE ended_ms IS NOT NULL",
    # Most tokens are the first of their family, and found by their id.
    "CREATE INDEX tokens_of_family ON tokens (family) WHERE family <> id",
    """CREATE TABLE last_used (
        id BLOB PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        source TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE accounts (
        name TEXT PRIMARY KEY,
        password_hash TEXT,
        admin INTEGER NOT NULL,
        may_generate INTEGER NOT NULL,
        disabled INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        password_ms INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE notes (
        key TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        value TEXT NOT NULL,
        expires_ms INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX notes_of_owner ON notes (owner)",
    "CREATE INDEX notes_expiring ON notes (expires_ms)",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)
"""From each version to the next; each in one transaction."""


# In one statement: between two of them, another process may make the schema.
_STATE: Final = (
    "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
    " FROM pragma_application_id, pragma_user_version"
)


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen; 0: it is empty.

    Raises:
        ConfigurationError: It holds something else.
    """
    application, migrations, objects = connection.execute(_STATE).fetchone()
    if application == APPLICATION_ID:
        return int(migrations)
    if application or migrations or objects:
        raise ConfigurationError("the file is another application's database; name a new file")
    return 0


def check(connection: sqlite3.Connection) -> None:
    """Make sure that the file has the schema of this version.

    Raises:
        StoreUnavailable: It has another.
        ConfigurationError: It holds something else.
    """
    found, ours = version(connection), len(MIGRATIONS)
    if found > ours:
        msg = (
            f"the schema has version {found}, this bearer-guard knows {ours}: install the newer"
            " one again"
        )
        raise StoreUnavailable(msg)
    if found == 0:
        raise StoreUnavailable("the file is empty; `bearer-guard init` makes the schema")
    if found < ours:
        msg = (
            f"the schema has version {found}, this bearer-guard needs {ours}: run `bearer-guard"
            " store upgrade`"
        )
        raise StoreUnavailable(msg)


def migrate(connection: sqlite3.Connection) -> int:
    """Run what the file has not seen yet; returns which version it had.

    In a transaction of the caller's, so that it happens as a whole, and once.
    """
    found = version(connection)
    for number, statements in enumerate(MIGRATIONS[found:], start=found + 1):
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    return found
