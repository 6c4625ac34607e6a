"""Results as tables in documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ._report import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["fill", "markdown", "names_in", "table_of"]

_MARKED: Final = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_LONG: Final = "sorted_ms"


def names_in(text: str) -> list[str]:
    """The benchmarks whose tables a document has room for."""
    return [name for _, name, _ in _MARKED.findall(text)]


def markdown(results: Mapping[str, Any]) -> str:
    """All tables of a benchmark, and where they were measured."""
    about = (
        f"Measured on {results['date']}: {results['cpu']}, {results['cores']} cores, of which"
        f" others used {results.get('others', '?')}; Python {results['python']},"
        f" {', '.join(f'{name} {found}' for name, found in results['versions'].items())};"
        f" {results['rounds']} rounds.\n"
    )
    return "\n".join([about, *(table_of(table) for table in results["tables"])])


def table_of(table: Mapping[str, Any]) -> str:
    """One of them, with its remarks."""
    lines = [f"*{table['title']}*", ""]
    if table["rows"]:
        names = [name for name in table["rows"][0] if name != _LONG]
        lines += [_line(names), _line(["---", *["--:"] * (len(names) - 1)])]
        lines += [_line([cell(row[name]) for name in names]) for row in table["rows"]]
        lines.append("")
    lines += [f"- {remark}" for remark in table["remarks"]]
    return "\n".join(lines) + ("\n" if table["remarks"] else "")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fill(text: str, found: Mapping[str, str]) -> str:
    """A document with these tables between its marks."""

    def tables(match: re.Match[str]) -> str:
        own = found.get(match[2])
        return match[0] if own is None else match[1] + "\n" + own + match[3]

    return _MARKED.sub(tables, text)
