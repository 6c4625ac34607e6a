"""All benchmarks, one after the other: ``python -m benchmarks [--quick] [NAME …]``.

Each runs in a process of its own. The whole takes about ten minutes and keeps its results in
``benchmarks/results``; the quick form takes about one, and leaves its own in ``build/bench``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from ._report import RESULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT: Final = Path(__file__).parents[1]
QUICK_RESULTS: Final = _ROOT / "build" / "bench"


class Plan(NamedTuple):
    """The options of a benchmark, in the whole and in the quick form."""

    whole: Sequence[str]
    quick: Sequence[str]


_SOME: Final = ["--part", "store", "--part", "cache", "--part", "latency"]
_FEW: Final = ["--store", "SQLite", "--store", "Redis"]
PLANS: Final = {
    "hot_path": Plan([], ["--rounds", "2"]),
    "cold_path": Plan(["--servers"], ["--rounds", "1", *_FEW]),
    "whole_server": Plan(
        [], ["--server", "uvicorn", "--no-peers", "--no-workers", "--rounds", "50"]
    ),
    "scale": Plan([], ["--quick", "--rounds", "2", *_SOME]),
    "issuing": Plan(["--servers"], ["--rounds", "1"]),
    "revocation_lag": Plan([], ["--rounds", "10", *_FEW]),
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(PLANS)))
@click.option("--quick", is_flag=True, help="A minute's worth.")
def main(names: Sequence[str], *, quick: bool) -> None:
    """Run benchmarks: those that are named, or all."""
    begun, failed = time.monotonic(), []
    for name in names or PLANS:
        options = PLANS[name].quick if quick else PLANS[name].whole
        out = (QUICK_RESULTS if quick else RESULTS) / f"{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *options, "--out", str(out)]
        since = time.monotonic()
        done = subprocess.run(command, cwd=_ROOT, check=False)
        click.secho(f"-- {name}: {time.monotonic() - since:.0f} s\n", dim=True)
        if done.returncode:
            failed.append(name)
    click.echo(f"{time.monotonic() - begun:.0f} s in all")
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
