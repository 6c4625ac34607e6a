"""What a benchmark tells: tables on the screen, and JSON with the machine and the date.

It tells too how much of the processors others took meanwhile, for that is what spoils figures.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table as Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["RESULTS", "Table", "cell", "command", "load", "machine", "tell"]

RESULTS: Final = Path(__file__).parent / "results"
_PACKAGES: Final = (
    *("bearer-guard", "starlette", "cryptography", "sqlalchemy", "asyncpg", "asyncmy", "redis"),
    *("uvicorn", "granian", "hypercorn", "uvloop"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one dataclass, and what they mean."""

    title: str
    rows: Sequence[Any]
    remarks: Sequence[str] = ()


def _busy() -> tuple[float, float]:
    """Seconds of processor time of the whole machine, and of ours among them, since whenever.

    Ours are this process's and those of children that have ended.
    """
    try:
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    except OSError:
        return 0.0, 0.0
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields[:8])
    own = os.times()
    all_ours = own.user + own.system + own.children_user + own.children_system
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK"), all_ours


_BEGUN: Final = time.monotonic(), *_busy()


def _others() -> float:
    """How many processors others have used on average, since this process began."""
    since, all_before, ours_before = _BEGUN
    every, ours = _busy()
    used = (every - all_before) - (ours - ours_before)
    return round(max(0.0, used) / (time.monotonic() - since), 2)


def machine() -> dict[str, Any]:
    """What it was measured on, when, and how busy others kept the machine."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()} {sys.platform}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "others": _others(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def tell(
    title: str,
    tables: Sequence[Table],
    *,
    rounds: int,
    as_json: bool = False,
    out: Path | None = None,
) -> None:
    """Print the tables, or JSON; write JSON to ``out`` too, where that is given."""
    whole = {
        "title": title,
        **machine(),
        "rounds": rounds,
        "tables": [asdict(table) for table in tables],
    }
    text = json.dumps(whole, indent=2) + "\n"
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
    if as_json:
        click.echo(text, nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(f"[bold]{title}[/]", _about(whole), sep="\n")
    for table in tables:
        console.print(_printed(table) if table.rows else table.title, *table.remarks, sep="\n")


def _about(whole: dict[str, Any]) -> str:
    place = f"{whole['cpu']}, {whole['cores']} cores, others on {whole['others']}"
    return f"{place}, Python {whole['python']}, {whole['date']}; {whole['rounds']} rounds"


def _printed(table: Table) -> Printed:
    printed = Printed(title=table.title, title_justify="left", box=None, pad_edge=False)
    for i, field in enumerate(fields(table.rows[0])):
        printed.add_column(field.name, justify="right" if i else "left", no_wrap=True)
    for row in table.rows:
        printed.add_row(*(cell(value) for value in asdict(row).values()))
    return printed


def cell(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return f"{len(value)} values"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def load(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """The results of a benchmark that were kept last; ``None``: there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def command(rounds: int) -> Callable[[Callable[..., None]], click.Command]:
    """A click command with the options that all benchmarks have."""

    def decorate(function: Callable[..., None]) -> click.Command:
        for option in (
            click.option("--out", type=click.Path(path_type=Path), help="Write JSON there too."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--rounds", default=rounds, show_default=True, help="Of each form."),
        ):
            function = option(function)
        return click.command()(function)

    return decorate
