"""What commands print and ask: JSON, tables, progress; passwords and tokens without an echo.

Secrets come from a prompt or from standard input, never from an argument: those are for all to see.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from bearer_guard.endpoints._format import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["counted", "date", "note", "print_json", "print_table", "progress", "read_secret"]

_MOST_BYTES: Final = 65_536  # of a secret
_LEAST: Final = 6  # columns with what is between: below that, a cut text says nothing
_WIDE: Final = 100_000  # columns: what is read by a program is not folded


def print_json(value: object) -> None:
    """Print JSON to standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def note(text: str) -> None:
    """Print a line for people, to standard error: standard output is for what was asked for."""
    click.echo(text, err=True)


def counted(count: int, thing: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def date(at_ms: int | None, otherwise: str) -> str:
    """A time for people, to the minute.

    Args:
        at_ms: Unix milliseconds.
        otherwise: What ``None`` means.
    """
    text = iso(at_ms)
    return otherwise if text is None else f"{text[:10]} {text[11:16]} UTC"


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    narrow: Mapping[str, int | None] | None = None,
) -> None:
    """Print a table to standard output; it is as wide as it has to be where no terminal is.

    Args:
        columns: Their names.
        rows: Their cells.
        narrow: What to show at a terminal that is too narrow for all columns, and how wide;
            ``None``: a line, cut to a share of what the others leave.
    """
    from rich.console import Console  # noqa: PLC0415 - rich takes 0.1 s to import
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as text: words in brackets are no markup
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    wanted = console.measure(table, options=console.options.update(max_width=_WIDE)).maximum
    if narrow and wanted > console.width >= sum(width or _LEAST for width in narrow.values()):
        table.columns = [column for column in table.columns if column.header in narrow]
        table.expand = True
        for shown in table.columns:
            shown.width = narrow[str(shown.header)]
            if shown.width is None:
                shown.ratio, shown.no_wrap, shown.overflow = 1, True, "ellipsis"
    console.print(table)


@contextmanager
def progress(
    what: str, total: float | None = None, *, quiet: bool = False
) -> Iterator[Callable[[float], None]]:
    """Show how far it is; gives a function that is told of each step.

    Args:
        what: What is done.
        total: Of all steps; ``None``: nobody knows.
        quiet: Show nothing, as also where nobody is watching.
    """
    if quiet or not sys.stderr.isatty():
        yield _untold
        return
    from rich.console import Console  # noqa: PLC0415 - rich takes 0.1 s to import
    from rich.progress import Progress  # noqa: PLC0415 - likewise

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def read_secret(what: str, *, stdin: bool, new: bool = False) -> str:
    """A password or a token.

    Args:
        what: What it is, for the prompt.
        stdin: It is all that standard input has, but for the end of its line.
        new: It is to be set: ask again, to be sure, but only for what can be a password.

    Raises:
        InvalidRequest: It can be none.
        click.UsageError: There is none, and nobody to ask.
    """
    kind = what.split(maxsplit=1)[0].lower()
    if not stdin and not sys.stdin.isatty():
        raise click.UsageError(
            f"Nobody is here to be asked: pipe the {kind} in, and add --{kind}-stdin."
        )
    with _interruptible():
        if not stdin:
            check = _checked if new else None
            return str(
                click.prompt(
                    what, hide_input=True, confirmation_prompt=new, value_proc=check, err=True
                )
            )
        read = sys.stdin.buffer.read(_MOST_BYTES)
    try:
        text = read.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.UsageError(f"The {kind} on standard input is not UTF-8.") from None
    if not text:
        raise click.UsageError(f"There is no {kind} on standard input.")
    return _checked(text) if new else text


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a command that waits for somebody to type.

    asyncio would only cancel the task, which looks up when the next line has come.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _checked(password: str) -> str:
    from bearer_guard.issuing.passwords import check_new  # noqa: PLC0415 - it loads Argon2

    check_new(password)
    return password


def _untold(step: float) -> None:
    """Nobody watches."""
    del step
