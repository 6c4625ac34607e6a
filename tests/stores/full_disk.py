"""A disk that is full, as a server's processes see one: its files can't grow beyond a size.

The limit is the kernel's, of one process each (``RLIMIT_FSIZE``), so that nobody has to be root to
mount a small file system. The error is EFBIG rather than ENOSPC.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.stores.servers import Database, Server, run
from tests.support import StartError, require

WAL_SEGMENT: Final = 16 * 2**20  # bytes, of the files that PostgreSQL's WAL is kept in

# More than one such file of tokens, with no room left for another one in any of their pages.
_BALLAST: Final = """
    INSERT INTO bearer_guard_tokens
        (id, owner, description, scopes, networks, family, created_ms, digest, seal, key_id)
    SELECT decode(md5(n::text), 'hex'), '', repeat('d', 1900), '', '', '', 0, '', '', ''
    FROM generate_series(1, 8800) AS n
"""


def fill(database: Database) -> None:
    """Let the table of tokens in a PostgreSQL grow no more, while all else can be written."""
    database.sql(_BALLAST)
    limit_files(database.server, str(WAL_SEGMENT))


def limit_files(server: Server, size: str = "unlimited") -> None:
    """Let no file of a server grow beyond so many bytes; by default: as far as it likes."""
    program = require("prlimit", "util-linux")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in (str(server.pid), *children):
        with suppress(StartError):  # it has ended meanwhile
            run(program, "--pid", pid, f"--fsize={size}:unlimited")
