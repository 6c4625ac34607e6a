"""The client that does not wait: against a real server, at a rate that it can bear."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks._asgi import request
from benchmarks._client import Client, on_core
from benchmarks._open_loop import fire
from benchmarks._served import environment, prepare
from benchmarks._serving import cpu_ns, family, serve

if TYPE_CHECKING:
    from pathlib import Path


async def test_every_request_is_answered_and_none_counts_from_before_it_was_due(
    tmp_path: Path,
) -> None:
    known = await prepare(tmp_path)
    cores = os.sched_getaffinity(0)
    with (
        serve("uvicorn", environment("guard", tmp_path)) as (port, pid),
        Client(port, request(known["token"]), connections=8) as client,
        on_core(),
    ):
        before = cpu_ns(*family(pid))
        client.ask(20)
        assert len(client.latencies) == 20
        latencies = fire(client, rate=200, seconds=0.5)
        assert cpu_ns(*family(pid)) > before
    assert 60 < len(latencies) < 140
    assert min(latencies) > 0
    assert os.sched_getaffinity(0) == cores
