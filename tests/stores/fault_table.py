"""The table fault by store: seen, and written to ``docs/store-faults.md``.

python -m tests.stores.fault_table
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.stores.fault_cases import FAULTS, STORES, groups
from tests.stores.fault_watch import Case, Row, observe
from tests.stores.servers import Mariadb, Postgresql, a_mariadb, a_postgresql

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "store-faults.md"
_AT_ONCE: Final = 4  # faults; with more, each would be seen to be slow
_HEAD: Final = """\
# What was seen when stores fail

Seen: `python -m tests.stores.fault_table` writes this page, and a test fails when it is no longer
so. Between a guard and a real server something breaks; the guard is asked all the time. *Passes*,
*401* and *503*, which is that there is no answer, are what it answers, each within a second.
*Within the bound* is no later than `staleness` after the fault; so long, at most, a deleted token
passes too, where no hint tells of it. *Meanwhile*, while the fault lasts, an issuer meets it too:
*done* was acknowledged, *404* is for what is not there. *Afterwards* begins when the server can be
reached again, or another has taken over; tokens can be created again by then, too. A disk is made
full by a limit on the size of the server's files, with no room left in any page of the tables.

"""
_COLUMNS: Final = (
    "fault",
    "store",
    "a token not asked for before",
    "a token in use",
    "a token deleted then",
    "creating and deleting meanwhile",
    "afterwards",
)


async def measure(postgresql: Postgresql, mariadb: Mariadb) -> list[Row]:
    """All of it."""

    room, turn, rows = asyncio.Semaphore(_AT_ONCE), asyncio.Lock(), list[Row]()

    async def one_by_one(cases: Sequence[Case]) -> None:
        for case in cases:
            async with room:
                rows.append(await observe(case, turn))

    async with groups(postgresql, mariadb) as found, asyncio.TaskGroup() as side_by_side:
        for group in found:
            side_by_side.create_task(one_by_one(group))
    return sorted(rows, key=lambda row: (FAULTS.index(row.fault), STORES.index(row.store)))


def render(rows: Sequence[Row]) -> str:
    """It, whole."""
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *map(_line, rows)]
    return _HEAD + "\n".join(lines) + "\n"


def read() -> list[Row]:
    """The rows of the page that is checked in."""
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("| ")]
    return [Row(*(cell.strip() for cell in line[1:-1].split("|"))) for line in lines[2:]]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    with a_postgresql() as one, a_mariadb() as other:
        FILE.write_text(render(asyncio.run(measure(one, other))))
