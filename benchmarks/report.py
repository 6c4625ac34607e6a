"""Plots and tables of the results that were kept: ``python -m benchmarks.report``.

Draws ``docs/images/bench-*.svg``, and writes the tables of ``docs/performance.md`` anew, each
between its two marks.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from ._markdown import fill, markdown, names_in, table_of
from ._plots import PLOTS
from ._report import load
from ._targets import targets

_DOCS: Final = Path(__file__).parents[1] / "docs"


@click.command()
def main() -> None:
    """Draw and write down what was measured last."""
    page = _DOCS / "performance.md"
    text = page.read_text()
    found = {name: results for name in names_in(text) if (results := load(name)) is not None}
    tables = {name: markdown(results) for name, results in found.items()}
    tables["targets"] = table_of(asdict(targets(found)))
    page.write_text(fill(text, tables))
    for name, plot in PLOTS.items():
        if name in found:
            path = _DOCS / "images" / f"bench-{name.replace('_', '-')}.svg"
            path.parent.mkdir(exist_ok=True)
            path.write_text(plot(found[name]))
    click.echo(f"docs/performance.md: {', '.join(found)}")


if __name__ == "__main__":
    main()
