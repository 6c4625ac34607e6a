"""What git remembers of a repository, for ``bearer-guard scan --history``: every object it has.

Those that no branch leads to are among them: what was pushed once may be anywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["Part", "Place", "objects_of", "places_of"]

# A repository may be anybody's: nothing that its settings name is run, and nothing is fetched.
_SAFE: Final = ("--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false")
_ENV: Final = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_MARK: Final = b"\x01"  # before a commit in the log; a line of changes begins with a colon


class Place(NamedTuple):
    """Where an object came into the history. The path is empty for a commit's own words."""

    commit: str
    path: str


class Part:
    """The next bytes of a stream as a file of their own.

    Args:
        stream: Which.
        size: How many bytes.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream: Final = stream
        self._left = size

    def readline(self, most: int, /) -> bytes:
        """As a file's: up to the end of a line, or this many bytes."""
        piece = self._stream.readline(min(most, self._left))
        self._left -= len(piece)
        return piece

    def skip(self) -> None:
        """What is left of it."""
        while self.readline(1 << 20):
            pass


def objects_of(repository: Path) -> Iterator[tuple[str, Part]]:
    """All files, and words of commits and tags, that git keeps: the object's name, and its bytes.

    Raises:
        ConfigurationError: There is no git, or this is no repository.
    """
    arguments = ("cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered")
    with _git(repository, *arguments) as stream:
        while head := stream.readline():
            name, kind, size = head.split()
            part = Part(stream, int(size))
            if kind != b"tree":
                yield name.decode(), part
            part.skip()
            stream.readline()


def places_of(repository: Path, names: Collection[str]) -> dict[str, Place]:
    """Where these objects came into the history first; those that no commit has are left out.

    Raises:
        ConfigurationError: As for ``objects_of``.
    """
    found: dict[str, Place] = {}
    log = ("log", "--all", "--reflog", "--reverse", "--topo-order", "--format=%x01%H", "-m", "-z")
    raw = ("--root", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv")
    commit = ""
    with _git(repository, *log, *raw) as stream:
        fields = _fields(stream)
        for field in fields:
            if field.startswith(_MARK):
                commit = field[1:].decode()
                if commit in names:
                    found.setdefault(commit, Place(commit, ""))
            elif field.startswith(b":"):
                name, path = field.split()[3].decode(), os.fsdecode(next(fields))
                if name in names:
                    found.setdefault(name, Place(commit, path))
    return found


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between NULs, read piece by piece."""
    rest = b""
    while piece := stream.read(1 << 16):
        *whole, rest = (rest + piece).split(b"\0")
        yield from (field.lstrip(b"\n") for field in whole)
    if rest:
        yield rest.lstrip(b"\n")


@contextmanager
def _git(repository: Path, *arguments: str) -> Iterator[IO[bytes]]:
    """What a command of git prints; it has ended well when the block does."""
    git = shutil.which("git")
    if git is None:
        raise ConfigurationError("git is not installed, and only git can read its history")
    command = [git, *_SAFE, "-C", str(repository), *arguments]
    environment = {**os.environ, **_ENV}
    with TemporaryFile() as errors:
        with subprocess.Popen(  # noqa: S603 - git itself; the path is an argument of its own
            command, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as process:
            yield cast("IO[bytes]", process.stdout)
        if process.returncode:
            errors.seek(0)
            last = (errors.read().decode(errors="replace").splitlines() or ["it failed"])[-1]
            raise ConfigurationError(f"git can't read the history of {repository}: {last}")
