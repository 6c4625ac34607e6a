"""The table product by attack by verdict: measured, and written to ``docs/proxy-verdicts.md``.

python -m tests.proxies.verdicts
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.proxies.attacks import ATTACKS, Attack, Outcome, refused
from tests.proxies.products import ROOT, proxy
from tests.proxies.world import world

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.proxies.world import World

FILE: Final = ROOT / "docs" / "proxy-verdicts.md"
PRODUCTS: Final = ("nginx", "caddy", "haproxy", "traefik", "envoy")
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


def measure(name: str, around: World) -> dict[str, Outcome]:
    """What a product makes of every attack, by the attack's name."""
    service = around.backend.port
    with proxy(name, guard=around.guard, service=service) as (port, _):
        outcomes = {attack.name: attack.make(around, port) for attack in ATTACKS}
    with proxy(name, guard=around.storeless, service=service) as (port, _):
        outcomes[STOPPED.name] = STOPPED.make(around, port)
    with proxy(name, guard=around.nowhere, service=service) as (port, _):
        outcomes[DOWN.name] = DOWN.make(around, port)
    return outcomes


def render(columns: dict[str, dict[str, str]]) -> str:
    """The page."""
    lines = [_line(["", *columns]), _line(["---"] * (len(columns) + 1))]
    lines += [_line([f"`{row}`", *(columns[name][row] for name in columns)]) for row in ROWS]
    return _HEAD + "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def read() -> dict[str, dict[str, str]]:
    """The columns of the page that is checked in."""
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    rows = {row[0].strip("`"): row[1:] for row in cells[2:]}
    names = [name for name in cells[0] if name]
    return {
        name: {row: verdicts[index] for row, verdicts in rows.items()}
        for index, name in enumerate(names)
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as around:
        columns = {
            name: {row: str(outcome) for row, outcome in measure(name, around).items()}
            for name in PRODUCTS
        }
    FILE.write_text(render(columns))


if __name__ == "__main__":
    main()
