"""``bearer-guard scan``: finds tokens that leaked into files or git. Offline, and without keys.

It prints where a token stands and its id, never the token.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import click

from bearer_guard.integrations.scanner_rules import gitleaks_rules, trufflehog_rules
from bearer_guard.token import TokenForm

from ._command import Command, Failure, refuse
from ._history import objects_of, places_of
from ._terminal import counted, note, print_json, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

__all__ = ["Leak", "files_below", "leaks_in", "scan"]

_PIECE: Final = 1 << 20  # bytes of a line that are looked at together
_HEAD: Final = 8192  # bytes, in which a binary file has a NUL, as git has it
_FORM: Final = TokenForm()
_PATTERN: Final = re.compile(_FORM.pattern().encode())
_SKIPPED_FOLDERS: Final = frozenset({".git", ".hg", ".svn"})  # what they keep is compressed
_RULES: Final[dict[str, Callable[[], str]]] = {
    "gitleaks": gitleaks_rules,
    "trufflehog": trufflehog_rules,
}


class Lines(Protocol):
    """What is looked through: a file, or a part of one."""

    def readline(self, most: int, /) -> bytes:
        """Up to the end of a line, or this many bytes."""
        ...


class Leak(NamedTuple):
    """Where a token stands, both counted from 1, and which it is; columns count bytes."""

    line: int
    column: int
    token_id: UUID


class Found(NamedTuple):
    """A leak, where it is; ``commit``: that brought it into git's history, or what git calls it."""

    path: Path | None
    leak: Leak
    commit: str = ""


@click.command(
    "scan", cls=Command, place=False, example="bearer-guard scan --history . /var/log/app.log"
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--history",
    is_flag=True,
    help="Look through all that git keeps of the folders too, of every branch and of none.",
)
@click.option(
    "--rules",
    type=click.Choice([*_RULES]),
    help="Print the rules by which another scanner finds tokens of ours, and do nothing else.",
)
def scan(paths: tuple[Path, ...], *, history: bool, rules: str | None, json: bool) -> None:
    """Find tokens of ours in files and folders; exit status 1 where there are any.

    Prints path:line:column and the token's ID, never the token; before a path in git's history,
    the commit that brought it. Binary files, what version control keeps for itself and symbolic
    links in folders are left out.
    """
    if rules is not None:
        click.echo(_RULES[rules](), nl=False)
        return
    if not paths:
        raise click.UsageError("Missing argument 'PATHS...'.")
    old = (
        [one for path in paths if path.is_dir() for one in leaks_in_history(path)]
        if history
        else []
    )
    files = [file for path in paths for file in files_below(path)]
    found: list[Found] = []
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
            found += [Found(file, leak) for leak in leaks or ()]
    _print([*found, *old], len(files), skipped, unread, json=json)


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


def leaks_in_history(folder: Path) -> list[Found]:
    """The tokens in a repository's history: each where it came in first, for each path once.

    Raises:
        ConfigurationError: It is none, or there is no git.
    """
    objects = objects_of(folder)
    kept = {name: leaks for name, part in objects if (leaks := [*leaks_in(part)])}
    places = places_of(folder, kept) if kept else {}
    first: dict[tuple[UUID, str], Found] = {}
    for name, place in places.items():  # the oldest commit first
        for leak in kept[name]:
            path = Path(place.path) if place.path else None
            first.setdefault((leak.token_id, place.path), Found(path, leak, place.commit))
    for name in sorted(kept.keys() - places.keys()):
        for leak in kept[name]:
            first.setdefault((leak.token_id, name), Found(None, leak, name))
    return [*first.values()]


def leaks_in(file: Lines) -> Iterator[Leak]:
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
    found: Iterable[Found],
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
                "data": [_row(one) for one in rows],
                "files": files,
                "skipped": skipped,
                "unread": [click.format_filename(path) for path in unread],
            }
        )
    else:
        for path, leak, commit in rows:
            place = ":".join(filter(None, (commit, _shown(path))))
            click.echo(f"{place}:{leak.line}:{leak.column} {leak.token_id}")
        left_out = f", {skipped} of them binary or special, and so left out" if skipped else ""
        note(f"Scanned {counted(files, 'file')}{left_out}.")
    for path in unread:
        note(f"{_shown(path)} can't be read.")
    if rows:
        tokens = len({leak.token_id for _, leak, _ in rows})
        refuse(
            f"{counted(tokens, 'token')} found: end each with `bearer-guard token delete ID`; one"
            " that it doesn't find has ended already, or is another store's"
        )
    if unread:
        raise Failure("not all could be read: nobody knows what they hold", 2)


def _row(found: Found) -> dict[str, object]:
    path, leak, commit = found
    return {
        **({"commit": commit} if commit else {}),
        "path": None if path is None else click.format_filename(path),
        "line": leak.line,
        "column": leak.column,
        "tokenId": str(leak.token_id),
    }


def _shown(path: Path | None) -> str:
    """A file's name, which may be anybody's: it writes no second line and commands no terminal."""
    if path is None:
        return ""
    name = click.format_filename(path)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
