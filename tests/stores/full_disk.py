"""A disk that is full, as a server's processes see one: its files can't grow beyond a size.

The limit is the kernel's, of one process each (``RLIMIT_FSIZE``), so that nobody has to be root to
mount a small file system. The error is EFBIG rather than ENOSPC.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.stores.servers import Database, Server, run
from tests.support import StartError, require

# Bytes, of the files that PostgreSQL's WAL is kept in, and more than MariaDB's have at first with
# `SMALL_LOG` among its options.
_SIZE: Final = 16 * 2**20
SMALL_LOG: Final = "--innodb-log-file-size=4M"

_TOKEN: Final = """
    INSERT INTO bearer_guard_tokens
        (id, owner, description, scopes, networks, family, created_ms, digest, seal, key_id)
    VALUES ({id}, '', {description}, '', '', '', 0, '', '', '')
"""
_TOKENS: Final = {  # by whether it is MariaDB; one that is refused takes no other with it
    False: """
        DO $$ BEGIN
            FOR n IN 1..{count} LOOP
                BEGIN {token}; EXCEPTION WHEN OTHERS THEN NULL; END;
            END LOOP;
        END $$
    """,
    True: """
        DELIMITER //
        BEGIN NOT ATOMIC
            DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
            FOR n IN 1..{count} DO {token}; END FOR;
        END //
    """,
}
_ID: Final = {False: "decode(md5(random()::text), 'hex')", True: "RANDOM_BYTES(16)"}
_BALLAST: Final = {  # how many, and of how many characters each: more than `_SIZE`
    False: (8_800, 1_900),  # no room for another one in any page
    True: (500, 30_000),
}
# Smaller than any token, and more than those pages take: no token is made or ended without another.
_REST: Final = {False: (5_000, 0), True: (1_000, 0)}


def fill(database: Database) -> None:
    """Let the table of tokens grow no more, while all else can be written."""
    limit_files(database.server, str(_SIZE))
    _add(database, *_BALLAST[database.is_mariadb])


def fill_to_the_brim(database: Database) -> None:
    """Then leave no room in its pages either."""
    fill(database)
    _add(database, *_REST[database.is_mariadb])


def _add(database: Database, count: int, characters: int) -> None:
    token = _TOKEN.format(id=_ID[database.is_mariadb], description=f"REPEAT('d', {characters})")
    database.sql(_TOKENS[database.is_mariadb].format(count=count, token=token))


def limit_files(server: Server, size: str = "unlimited") -> None:
    """Let no file of a server grow beyond so many bytes; by default: as far as it likes."""
    program = require("prlimit", "util-linux")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in (str(server.pid), *children):
        with suppress(StartError):  # it has ended meanwhile
            run(program, "--pid", pid, f"--fsize={size}:unlimited")
