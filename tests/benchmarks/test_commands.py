"""Each benchmark runs, in its smallest form, and tells what it says it tells."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks import whole_server
from benchmarks._asgi import bare, floor, request, status_of
from benchmarks.peers import MODULES, gather
from tests.support import require

ROOT: Final = Path(__file__).parents[2]


def run(name: str, *options: str) -> list[dict[str, Any]]:
    """The tables of a benchmark."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", "--rounds", "1", *options]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    tables: list[dict[str, Any]] = json.loads(done.stdout)["tables"]
    return tables


async def test_peers_that_are_there_are_checked_and_the_others_named() -> None:
    async with AsyncExitStack() as stack:
        found, remarks = await gather(stack)
        assert any(peer.name.startswith("starlette ") for peer in found)
        assert await found[0].guarded() > await found[0].bare() > 0
    left_out = {remark.partition(":")[0] for remark in remarks if "left out" in remark}
    assert left_out <= set(MODULES.values())
    assert len(remarks) == len(found) + len(left_out)


def test_the_cold_path_compares_with_the_adapter_alone() -> None:
    (table,) = run("cold_path")
    ratios = {row["name"]: row["ratio"] for row in table["rows"]}
    assert ratios["raw, alone"] == ratios["raw, fifty at once"] == 1
    assert ratios["guard, alone"] > 0


def test_the_cache_takes_less_than_600_bytes_a_token() -> None:
    (table,) = run("scale", "--quick", "--part", "cache")
    assert [row["tokens"] for row in table["rows"]] == [100, 1_000]
    assert all(row["entry_bytes"] < 600 for row in table["rows"][1:]), table["rows"]


def test_issuing_compares_with_the_limit_of_each() -> None:
    (table,) = run("issuing")
    names = {row["name"] for row in table["rows"]}
    assert {"create by token", "create by password", "page of 50"} <= names


def test_an_end_is_noticed_by_another_process_within_the_bound() -> None:
    (table,) = run("revocation_lag", "--store", "SQLite")
    (row,) = table["rows"]
    assert row["store"] == "SQLite"
    assert row["worst_ms"] < 5_000


def test_a_whole_server_is_measured_with_and_without() -> None:
    require("wrk", "wrk")
    bare, floor = whole_server.measure("uvicorn", ("bare", "floor"), 2)
    assert (bare.name, bare.share) == ("bare", 1)
    assert (floor.name, floor.of_floor) == ("floor", 1)
    assert min(bare.requests_s, floor.requests_s, bare.cpu_us, floor.share) > 0


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_the_floor_refuses_what_it_does_not_know(token: str) -> None:
    assert await status_of(floor(bare, {}), request(token)) == 401
