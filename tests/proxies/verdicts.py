"""The table product by attack by verdict: measured, and written to ``docs/proxy-verdicts.md``.

python -m tests.proxies.verdicts
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.proxies.attacks import ATTACKS, Attack, Outcome, refused
from tests.proxies.corpus import CUT, GOT_THROUGH, REFUSED, TAKEN, tally
from tests.proxies.products import ROOT, proxy
from tests.proxies.world import world

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from tests.proxies.wire import Answered
    from tests.proxies.world import World

FILE: Final = ROOT / "docs" / "proxy-verdicts.md"
PRODUCTS: Final = ("nginx", "caddy", "haproxy", "traefik", "envoy")
APACHE: Final = "apache"  # it can't ask: it stands in front of the guarded application
STOPPED: Final = Attack(name="valid token, the store does not answer", must=refused)
DOWN: Final = Attack(name="valid token, the endpoint does not answer", must=refused)
ROWS: Final = [attack.name for attack in (*ATTACKS, STOPPED, DOWN)]
_HEAD: Final = """\
# What proxies make of attacks

Measured: `python -m tests.proxies.verdicts` writes this page, and a test fails when it is no
longer so. Each proxy runs the configuration of `examples/`, in front of a plain service that notes
what reaches it. A number alone is a refusal: nothing has reached the service. `200 alice` has
passed, and the service could take it for nobody's but alice's. The requests without a word about
their token carry alice's valid one; `/admin` needs a scope that it has not.

"""
_SPELT: Final = """
## Every identity header, and every near miss

The {identities} identity headers of the project's own list (`tests/vectors/proxy_sso.json`), each
as its product spells it and in one of its other spellings, beside a good token; and {misses}
headers that are easily taken for one. *Taken away*: the proxy itself drops the header, as nginx
does with underscores, so that nobody is told of that identity. *Another refusal*: the proxy itself
refuses the request. None has got through. Apache httpd stands in front of a guarded application.

"""
_COLUMNS: Final = (REFUSED, CUT, TAKEN, GOT_THROUGH)
_SPELT_HEAD: Final = [
    *("", *(f"identities: {column}" for column in _COLUMNS)),
    *(f"near misses: {column}" for column in _COLUMNS),
]


class Spelt(NamedTuple):
    """What became of identities, and of near misses."""

    found: Counter[str]
    missed: Counter[str]

    def cells(self) -> list[str]:
        """As the page has them."""
        return [str(counts[column]) for counts in self for column in _COLUMNS]


class Measured(NamedTuple):
    """What a product makes of every attack, by the attack's name; and of every identity."""

    outcomes: dict[str, Outcome]
    spelt: Spelt


def spell_to_apache(around: World) -> Spelt:
    """Every identity through Apache httpd; the application tells what it was sent."""

    def reached(answer: Answered) -> str | None:
        return answer.body.decode() if answer.status == 200 else None

    with proxy(APACHE, guard=0, service=around.guarded) as (port, _):
        return Spelt(*tally(port, around.bearer("valid"), len(PRODUCTS), reached))


def _spell(port: int, around: World, turn: int) -> Spelt:
    def reached(_: Answered) -> str | None:
        seen = [*around.backend.seen]
        around.backend.seen.clear()
        return str(seen) if seen else None

    around.backend.seen.clear()
    return Spelt(*tally(port, around.bearer("valid"), turn, reached))


def measure(name: str, around: World) -> Measured:
    """Try everything on a product."""
    service = around.backend.port
    with proxy(name, guard=around.guard, service=service) as (port, _):
        outcomes = {attack.name: attack.make(around, port) for attack in ATTACKS}
        spelt = _spell(port, around, PRODUCTS.index(name))
    with proxy(name, guard=around.storeless, service=service) as (port, _):
        outcomes[STOPPED.name] = STOPPED.make(around, port)
    with proxy(name, guard=around.nowhere, service=service) as (port, _):
        outcomes[DOWN.name] = DOWN.make(around, port)
    return Measured(outcomes, spelt)


def render(columns: dict[str, dict[str, str]], spelt: dict[str, Spelt]) -> str:
    """The page."""
    first = _table(
        ["", *columns],
        [[f"`{row}`", *(columns[name][row] for name in columns)] for row in ROWS],
    )
    second = _table(_SPELT_HEAD, [[name, *one.cells()] for name, one in spelt.items()])
    found, missed = next(iter(spelt.values()))
    text = _SPELT.format(identities=found.total() // 2, misses=missed.total())
    return f"{_HEAD}{first}{text}{second}"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def read() -> dict[str, dict[str, str]]:
    """The columns of the page that is checked in."""
    head, rows = _rows(FILE.read_text().partition("\n## ")[0])
    names = [name for name in head if name]
    return {
        name: {row: verdicts[index] for row, verdicts in rows.items()}
        for index, name in enumerate(names)
    }


def read_spelt() -> dict[str, list[str]]:
    """Likewise, the rows of its second table."""
    return _rows(FILE.read_text().partition("\n## ")[2])[1]


def _rows(text: str) -> tuple[list[str], dict[str, list[str]]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return cells[0], {row[0].strip("`"): row[1:] for row in cells[2:]}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as around:
        measured = {name: measure(name, around) for name in PRODUCTS}
        spelt = {name: one.spelt for name, one in measured.items()}
        spelt[APACHE] = spell_to_apache(around)
    columns = {
        name: {row: str(outcome) for row, outcome in one.outcomes.items()}
        for name, one in measured.items()
    }
    FILE.write_text(render(columns, spelt))


if __name__ == "__main__":
    main()
