"""Folders for embedded stores: in memory where the machine has a place for that.

What these tests are about does not need a disk, and waiting for one would be most of their time.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder is made in it with a name of its own


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of one's own, deleted at the end."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        yield Path(name)
