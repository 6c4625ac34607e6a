"""``bearer-guard scan``: finds tokens that leaked into files. Offline, and without keys.

It prints where a token stands and its id, never the token.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import click

from bearer_guard.token import TokenForm

from ._command import Command, Failure, refuse
from ._terminal import note, print_json, progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

__all__ = ["Leak", "files_below", "leaks_in", "scan"]

_PIECE: Final = 1 << 20  # bytes of a line that are looked at together
_HEAD: Final = 8192  # bytes, in which a binary file has a NUL, as git has it
_FORM: Final = TokenForm()
_PATTERN: Final = re.compile(_FORM.pattern().encode())
_SKIPPED_FOLDERS: Final = frozenset({".git", ".hg", ".svn"})  # what they keep is compressed


class Leak(NamedTuple):
    """Where a token stands, both counted from 1, and which it is; columns count bytes."""

    line: int
    column: int
    token_id: UUID


@click.command("scan", cls=Command, place=False, example="bearer-guard scan . /var/log/app.log")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def scan(paths: tuple[Path, ...], *, json: bool) -> None:
    """Find tokens of ours in files and folders; exit status 1 where there are any.

    Prints path:line:column and the token's ID, never the token. Binary files, what version
    control keeps for itself and symbolic links in folders are left out.
    """
    files = [file for path in paths for file in files_below(path)]
    found: list[tuple[Path, Leak]] = []
    skipped, unread = 0, list[Path]()
    with progress("Scanning", len(files), quiet=json) as step:
        for file in files:
            step(1)
            try:
                leaks = _leaks_in_file(file)
            except OSError:
                unread.append(file)
                continue
            skipped += leaks is None
            found += [(file, leak) for leak in leaks or ()]
    _print(found, len(files), skipped, unread, json=json)


def files_below(path: Path) -> Iterator[Path]:
    """The regular files below a folder, in order; or the file itself."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            if not file.is_symlink():
                yield file


def leaks_in(file: BinaryIO) -> Iterator[Leak]:
    """The tokens in a file, wherever they stand; only their pattern and checksum are looked at."""
    number, begin, carried = 1, 0, b""
    while piece := file.readline(_PIECE):
        text = carried + piece
        for match in _PATTERN.finditer(text):
            parts = _FORM.parse(match[0])
            if parts is not None:
                yield Leak(number, begin + match.start() + 1, parts.id)
        if piece.endswith(b"\n"):
            number, begin, carried = number + 1, 0, b""
        else:  # a long line goes on: a token may stand across
            begin += max(0, len(text) - _FORM.length + 1)
            carried = text[-_FORM.length + 1 :]


def _leaks_in_file(path: Path) -> list[Leak] | None:
    """The tokens in a file; ``None``: it is binary, or no regular file.

    Raises:
        OSError: It can't be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        if b"\0" in file.read(_HEAD):
            return None
        file.seek(0)
        return list(leaks_in(file))


def _print(
    found: Iterable[tuple[Path, Leak]],
    files: int,
    skipped: int,
    unread: list[Path],
    *,
    json: bool,
) -> None:
    rows = list(found)
    if json:
        print_json(
            {
                "data": [
                    {
                        "path": click.format_filename(path),
                        "line": leak.line,
                        "column": leak.column,
                        "tokenId": str(leak.token_id),
                    }
                    for path, leak in rows
                ],
                "files": files,
                "skipped": skipped,
                "unread": [click.format_filename(path) for path in unread],
            }
        )
    else:
        for path, leak in rows:
            click.echo(f"{_shown(path)}:{leak.line}:{leak.column} {leak.token_id}")
        note(f"{files} files, {skipped} of them binary or special, and so left out.")
    for path in unread:
        note(f"{_shown(path)} can't be read.")
    if rows:
        refuse(f"{len(rows)} found: end each of them with `bearer-guard token delete ID`")
    if unread:
        raise Failure("not all could be read: nobody knows what they hold", 2)


def _shown(path: Path) -> str:
    """A file's name, which may be anybody's: it writes no second line and commands no terminal."""
    name = click.format_filename(path)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
