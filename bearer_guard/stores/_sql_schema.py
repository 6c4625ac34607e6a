"""The version of the tables, and how they get to this one: by Alembic, which is driven from here.

Opening fills an empty database and nothing else; ``upgrade`` does the rest. What fills it may run
in several processes at once: whoever fails looks again, since somebody else has done it.
"""

from __future__ import annotations

import asyncio
import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sqlalchemy import String, column, select, table, text
from sqlalchemy.exc import ProgrammingError

from bearer_guard.errors import StoreUnavailable

from ._sql_driver import codes
from ._sql_tables import VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from ._sql_gateway import Gateway

__all__ = ["HEAD", "check", "check_older", "fill", "migrate", "version"]

HEAD: Final = "0001"  # known here too, so that opening a store does not load Alembic
_VERSION: Final = select(column("version_num", String)).select_from(table(VERSION_TABLE))
# As Alembic would, but for the name of the key, at which MariaDB's driver grumbles.
_VERSIONS: Final = text(
    f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE}"
    " (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))"
)
_MISSING: Final = {"42P01", 1146}  # no such table, as PostgreSQL and MariaDB have it
# Somebody else makes the same: there is such a table, type, index or row; or the two got stuck.
_RIVALS: Final = {"42P07", "42710", "23505", "40P01", "40001", 1050, 1061, 1062, 1213}
_TRIES: Final = 50
# Alembic keeps what it is doing in globals: one at a time in a process, whatever its event loops.
_ALEMBIC: Final = threading.Lock()
_TURN_SECONDS: Final = 0.02
_PAUSE_SECONDS: Final = 0.2  # with the tries: ten seconds for another process to finish


async def version(connection: AsyncConnection) -> str | None:
    """The version of the tables; ``None``: there are none, or they are still being made."""
    try:
        found = await connection.scalar(_VERSION)
    except ProgrammingError as error:
        if codes(error) & _MISSING:
            return None
        raise
    return None if found is None else str(found)


def check(found: str | None) -> None:
    """Refuse tables of another version.

    Raises:
        StoreUnavailable: They are newer, or older, than this program.
    """
    check_older(found)
    if found is not None and found != HEAD:
        msg = f"the tables are of version {found}, not {HEAD}: run `bearer-guard store upgrade`"
        raise StoreUnavailable(msg)


def check_older(found: str | None) -> None:
    """Refuse tables that this program knows nothing of.

    Raises:
        StoreUnavailable: They are newer.
    """
    if found is not None and not (found.isdecimal() and found <= HEAD):
        raise StoreUnavailable(
            f"the tables are of version {found}, this program knows {HEAD}: upgrade bearer-guard"
        )


async def fill(gateway: Gateway) -> None:
    """Make the tables in a database that has none.

    Raises:
        StoreUnavailable: It could not be done, nor did anybody else do it.
    """
    failure: StoreUnavailable | None = None
    for _ in range(_TRIES):
        try:
            await migrate(gateway)
        except StoreUnavailable as error:
            if not codes(error.__cause__) & _RIVALS:
                raise
            failure = error
        async with gateway.reading() as connection:
            found = await version(connection)
        if found is not None:
            check(found)
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise failure or StoreUnavailable("the tables could not be made")


async def migrate(gateway: Gateway) -> None:
    """Bring the tables to this version.

    Raises:
        StoreUnavailable: A statement failed, or they are of a newer version.
    """
    while not _ALEMBIC.acquire(blocking=False):  # noqa: ASYNC110 - other loops wait for it too
        await asyncio.sleep(_TURN_SECONDS)
    try:
        async with gateway.patient() as connection:
            await connection.run_sync(_migrate)
    finally:
        _ALEMBIC.release()


def _migrate(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, and seldom needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    connection.execute(_VERSIONS)
    scripts = str(files("bearer_guard.stores") / "migrations")
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
