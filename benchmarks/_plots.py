"""The plots of the results, as SVG that reads well on white and on black."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

__all__ = ["PLOTS"]

_FONT: Final = "DejaVu Sans"  # comes with matplotlib; readers without it have others as wide
_INK: Final = "#1f2328"  # replaced by a lighter one where the reader's screen is dark
_LIGHT_INK: Final = "#e6edf3"
_OURS: Final = "#2f81f7"
_LIMIT: Final = "#8b949e"
_THEIRS: Final = "#d29922"
_COLOURS: Final = (_OURS, "#3fb950", _THEIRS, "#db6d28", "#a371f7")
_LEAST: Final = 0.1  # of what is shown on the hot path
_THOUSAND: Final = 1000
_WIDTH: Final = 7.5  # inches
_DARK: Final = (
    "<style>@media (prefers-color-scheme: dark) {"
    f' [style*="fill: {_INK}"] {{ fill: {_LIGHT_INK} !important }}'
    f' [style*="stroke: {_INK}"] {{ stroke: {_LIGHT_INK} !important }} }}</style>'
)

_Results = dict[str, Any]


def _figure(height: float) -> tuple[Figure, Axes]:
    mpl.rcParams.update(
        {
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "font.size": 9,
            "svg.hashsalt": "bearer-guard",  # the same results make the same file
            "svg.fonttype": "none",  # letters and not their outlines: a third of the size
            "font.family": [_FONT],
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    head, tag, rest = file.getvalue().partition("<defs>")
    rest = rest.replace(f"'{_FONT}'", f"'{_FONT}', Verdana, sans-serif")
    lines = (head + _DARK + "\n " + tag + rest).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _bars(axes: Axes, labels: Sequence[str], values: Sequence[float], colours: list[str]) -> None:
    axes.barh(range(len(labels)), values, color=colours, height=0.7)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()


def _plain(value: float, _: object = None) -> str:
    """Three figures, and no powers of ten."""
    return f"{value:,.0f}" if value >= _THOUSAND else f"{value:.3g}"


def _rows(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in table["rows"]}


def _hot_path(results: _Results) -> str:
    """What each form adds, over what the floor adds."""
    rows = [
        row
        for row in results["tables"][0]["rows"]
        if row["ratio"] > _LEAST and "WebSocket" not in row["name"]
    ]
    rows.sort(key=lambda row: float(row["ratio"]))
    figure, axes = _figure(0.22 * len(rows) + 0.7)
    colours = [
        _OURS if row["name"].startswith("guard") else _LIMIT if " " not in row["name"] else _THEIRS
        for row in rows
    ]
    values = [row["ratio"] for row in rows]
    _bars(axes, [row["name"] for row in rows], values, colours)
    axes.set_xscale("log")
    for i, value in enumerate(values):
        axes.annotate(
            _plain(value), (value, i), xytext=(3, 0), textcoords="offset points", va="center"
        )
    axes.set_xlim(_LEAST, max(values) * 2.5)
    axes.margins(y=0.01)
    axes.xaxis.set_major_formatter(_plain)
    axes.set_xlabel("time added to a request, over what the hand-written floor adds (log scale)")
    return _svg(figure)


def _cold_path(results: _Results) -> str:
    """What a look-up by the guard takes, over the adapter's own."""
    tables = [
        table
        for table in results["tables"]
        if table["rows"] and not table["title"].startswith("memory")  # a dictionary's look-up
    ]
    figure, axes = _figure(2.6)
    words = ("alone", "fifty at once", "a thousand at once")
    for i, word in enumerate(words):
        places = [n + (i - 1) * 0.26 for n in range(len(tables))]
        shares = [_rows(table)[f"guard, {word}"]["ratio"] for table in tables]
        over = [share - 1 for share in shares]
        axes.bar(places, over, 0.24, bottom=1, color=_COLOURS[i], label=word)
    axes.axhline(1, color=_INK, linewidth=0.8)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_plain)
    axes.set_xticks(range(len(tables)), [table["title"].partition(":")[0] for table in tables])
    axes.set_ylabel("guard ÷ adapter (log scale)")
    figure.legend(frameon=False, ncols=3, loc="outside upper center")
    return _svg(figure)


def _whole_server(results: _Results) -> str:
    """The share of the bare application's requests that is left."""
    tables = results["tables"]
    names = [name for name in _rows(tables[0]) if name != "bare"]
    figure, axes = _figure(2.8)
    for n, table in enumerate(tables):
        rows = _rows(table)
        here = [name for name in names if name in rows]
        width = 0.8 / len(names)
        for i, name in enumerate(here):
            row, place = rows[name], n + (i - (len(here) - 1) / 2) * width
            axes.bar(place, row["share"], width * 0.9, color=_colour(name, names))
            axes.plot([place, place], [row["low"], row["high"]], color=_INK, linewidth=0.8)
    axes.axhline(1, color=_INK, linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(tables)), [table["title"].partition(":")[0] for table in tables])
    axes.set_ylabel("share of the bare server")
    axes.set_ylim(0, 1.15)
    keys = [Patch(color=_colour(name, names), label=name) for name in names]
    figure.legend(handles=keys, frameon=False, ncols=4, loc="outside upper center")
    return _svg(figure)


def _colour(name: str, names: Sequence[str]) -> str:
    known = {"floor": _LIMIT, "guard": _OURS}
    return known.get(name) or _COLOURS[names.index(name) % len(_COLOURS)]


def _revocation_lag(results: _Results) -> str:
    """Of the tokens that ended, how many another process refused by when."""
    figure, axes = _figure(2.8)
    rows = results["tables"][0]["rows"]
    stores = list(dict.fromkeys(row["store"] for row in rows))
    for row in rows:
        values = [max(0.1, value) for value in row["sorted_ms"]]
        axes.step(
            values,
            [(i + 1) / len(values) * 100 for i in range(len(values))],
            where="post",
            color=_COLOURS[stores.index(row["store"])],
            linestyle="-" if row["hints"] else "--",
            label=f"{row['store']}, {'with hints' if row['hints'] else 'polls alone'}",
        )
    axes.axvline(5000, color=_INK, linewidth=0.8, linestyle=":")
    axes.annotate(
        "the bound: 5 s", (5000, 4), xytext=(-3, 0), textcoords="offset points", ha="right"
    )
    axes.set_xscale("log")
    axes.set_ylim(0, 101)
    axes.xaxis.set_major_formatter(_plain)
    axes.set_xlabel("milliseconds after the end (log scale)")
    axes.set_ylabel("% refused elsewhere")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def _scale(results: _Results) -> str:
    """What calls cost in a growing store."""
    growth = next(t for t in results["tables"] if t["title"].startswith("SQLite"))["rows"]
    figure, axes = _figure(2.6)
    for i, call in enumerate(dict.fromkeys(row["call"] for row in growth)):
        rows = [row for row in growth if row["call"] == call]
        sizes, values = [row["tokens"] for row in rows], [row["ratio"] for row in rows]
        axes.plot(sizes, values, marker="o", color=_COLOURS[i], label=call)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_plain)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tokens in the store (log scale)")
    axes.set_ylabel("cost ÷ cost among 1,000")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


PLOTS: Final = {
    "hot_path": _hot_path,
    "cold_path": _cold_path,
    "whole_server": _whole_server,
    "scale": _scale,
    "revocation_lag": _revocation_lag,
}
