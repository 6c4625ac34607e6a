"""From a thousand tokens in SQLite to a million: what does each call cost, as the table grows?

In processor time, that of SQLite's threads included: nothing waits for a disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from bearer_guard import open_store
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import a_record
from bearer_guard.testing.records import DAY_MS
from benchmarks._measure import interleave, ratios
from benchmarks._servers import folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from bearer_guard import Store

__all__ = ["Growth", "bytes_a_row", "grow", "measure"]

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
_FIRST: Final = 1_000
_OWNED: Final = 100  # tokens of one owner
_PAGE: Final = 50
_PURGED: Final = 20  # in a round: the smallest store must last for all rounds
_CALLS: Final = {"look-up": 200, "page of one owner": 20, "page of all": 20, "end": 30}
_PURGE: Final = f"purge of {_PURGED}"


@dataclass(frozen=True, slots=True)
class Growth:
    """What a call costs among so many tokens, and how many times what it costs among the fewest."""

    call: str
    tokens: int
    us: float
    ratio: float
    low: float
    high: float


def grow(path: Path, size: int) -> None:
    """Make the tokens of a store that has ``_FIRST`` into ``size``, by copying them in SQL.

    Their ids are new and their seals those of others, which no call looks at here.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(tokens)")]
    month = 30 * DAY_MS
    new = {
        "id": "new_id",
        "family": "new_id",
        "owner": f"'user' || (abs(random()) % {max(1, size // _OWNED)})",
        "created_ms": f"created_ms - abs(random()) % {month}",
    }
    values = ", ".join(new.get(column, column) for column in columns)
    count = _FIRST
    while count < size:
        more = min(count, size - count)
        connection.execute(
            "WITH old AS MATERIALIZED (SELECT randomblob(16) AS new_id, * FROM tokens LIMIT ?)"  # noqa: S608
            f" INSERT INTO tokens ({', '.join(columns)}) SELECT {values} FROM old",
            (more,),
        )
        count += more
    connection.execute("ANALYZE")
    connection.close()


def bytes_a_row(path: Path, size: int) -> float:
    """How much of the file a token takes, indexes included."""
    return path.stat().st_size / size


class Bench:
    """A store of one size."""

    def __init__(self, path: Path, store: Store, size: int) -> None:
        self.path: Final = path
        self.store: Final = store
        self.size: Final = size
        self._sample: Iterator[UUID] = iter(())

    async def fill(self) -> None:
        """Make the tokens, and take a sample of their ids."""
        await self.store.open()
        now_ms = SYSTEM_CLOCK.now_ms()
        for n in range(_FIRST):
            owner = f"user{n % max(1, self.size // _OWNED)}"
            one = a_record(owner=owner, created_ms=now_ms - n, expires_ms=now_ms + 365 * DAY_MS)
            await self.store.add(one)
        await asyncio.to_thread(grow, self.path, self.size)

    def _ids(self, count: int) -> list[UUID]:
        """Random ids, those that come first left out: they are purged."""
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute(
                "SELECT id FROM tokens WHERE id > x'40' AND ended_ms IS NULL"
                " ORDER BY random() LIMIT ?"
                if self.size <= _FIRST
                else "SELECT t.id FROM (SELECT randomblob(16) AS near FROM tokens LIMIT ?) r"
                " CROSS JOIN tokens t ON t.id = (SELECT id FROM tokens"
                " WHERE id > max(r.near, x'40') AND ended_ms IS NULL ORDER BY id LIMIT 1)",
                (count,),
            ).fetchall()
        return [UUID(bytes=row[0]) for row in rows]

    async def _time(self, calls: Sequence[Callable[[], Awaitable[object]]]) -> float:
        begun = time.process_time_ns()
        for call in calls:
            await call()
        return (time.process_time_ns() - begun) / len(calls)

    async def look_up(self) -> float:
        ids = self._ids(_CALLS["look-up"])
        return await self._time([partial(self.store.fetch, (one,)) for one in ids])

    async def page_of_owner(self) -> float:
        return await self._page("user7", "page of one owner")

    async def page_of_all(self) -> float:
        return await self._page(None, "page of all")

    async def _page(self, owner: str | None, name: str) -> float:
        now = SYSTEM_CLOCK.now_ms()
        call = partial(self.store.page, owner, None, _PAGE, now_ms=now)
        return await self._time([call] * _CALLS[name])

    async def end(self) -> float:
        now = SYSTEM_CLOCK.now_ms()
        ids = self._ids(_CALLS["end"])
        return await self._time([partial(self.store.end, one, now) for one in ids])

    async def purge(self) -> float:
        with sqlite3.connect(self.path) as connection:
            connection.execute(
                "UPDATE tokens SET expires_ms = 1"
                " WHERE id IN (SELECT id FROM tokens ORDER BY id LIMIT ?)",
                (_PURGED,),
            )
        begun = time.process_time_ns()
        gone = await self.store.purge(1000)
        assert gone == _PURGED, gone
        return (time.process_time_ns() - begun) / _PURGED


async def measure(rounds: int, sizes: Sequence[int] = SIZES) -> tuple[list[Growth], float]:
    """All calls on stores of all sizes, interleaved; and the bytes of a row in the largest."""
    with ExitStack() as stack:
        benches = []
        for size in sizes:
            path = stack.enter_context(folder()) / "tokens.db"
            bench = Bench(path, open_store(f"sqlite:///{path}"), size)
            await bench.fill()
            benches.append(bench)
        rows = [row for name in (*_CALLS, _PURGE) for row in await _rows(name, benches, rounds)]
        for bench in benches:
            await bench.store.close()
        return rows, bytes_a_row(benches[-1].path, sizes[-1])


async def _rows(name: str, benches: Sequence[Bench], rounds: int) -> list[Growth]:
    method = {
        "look-up": Bench.look_up,
        "page of one owner": Bench.page_of_owner,
        "page of all": Bench.page_of_all,
        "end": Bench.end,
        _PURGE: Bench.purge,
    }[name]
    forms = {str(bench.size): partial(method, bench) for bench in benches}
    measured = ratios(await interleave(forms, rounds), limit=str(benches[0].size))
    return [
        Growth(name, int(row.name), round(row.ns / 1000, 1), row.ratio, row.low, row.high)
        for row in measured
    ]
