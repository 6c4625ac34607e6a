"""Metrics, as Prometheus' own parser reads them, and the dashboard that shows them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from bearer_guard import BearerGuard, Verifier
from bearer_guard.events import TokenCreated
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.telemetry.metrics import Metrics
from bearer_guard.testing import ManualClock
from tests.integrations.support import CASES, Setting, ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

DASHBOARD: Final = Path(__file__).parents[2] / "grafana" / "bearer-guard.json"
NAME: Final = re.compile(r"\bbearer_guard_\w+")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"alice"})


class World:
    """A guard whose every figure is watched."""

    def __init__(self, **options: Any) -> None:
        self.setting = Setting()
        self.metrics = Metrics(clock=self.setting.clock)
        settings = {**self.setting.options, "listeners": [self.metrics.count], **options}
        settings["store"] = self.metrics.watch(self.setting.store)
        self.store = settings["store"]
        self.guard = BearerGuard(app, **settings)
        self.metrics.follow(self.guard.verifier)

    async def ask(self, *names: str) -> None:
        for name in names:
            await ask(self.guard, self.setting.headers(CASES[name]))

    async def scrape(self, accept: str = "text/plain") -> httpx2.Response:
        transport = httpx2.ASGITransport(Starlette(routes=[self.metrics.route()]))
        async with httpx2.AsyncClient(transport=transport) as client:
            return await client.get("http://testserver/metrics", headers={"accept": accept})

    async def samples(self) -> dict[str, float]:
        """What is scraped: the name, with the labels' values, to the value."""
        text = (await self.scrape()).text
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.setting.store.broken = None
    await world.guard.verifier.close()


async def test_refusals_are_told_by_reason(world: World) -> None:
    await world.ask("nothing", "expired", "expired", "proxy identity and a token", "good")
    samples = await world.samples()
    counts = {name: n for name, n in samples.items() if name.startswith("bearer_guard_refusals")}
    assert {name.split()[-1]: n for name, n in counts.items() if n} == {
        "missing": 1,
        "expired": 2,
        "proxy-identity": 1,
    }


async def test_reads_of_tokens_are_the_caches_misses(world: World) -> None:
    await world.ask("good", "good", "good", "unknown", "forged")
    samples = await world.samples()
    assert samples["bearer_guard_cache_misses_total"] == 2
    assert samples["bearer_guard_cached_tokens"] == 2
    assert samples["bearer_guard_last_uses_pending"] == 1


async def test_calls_of_the_store_are_timed(world: World) -> None:
    world.setting.store.gate = gate = asyncio.Event()
    asking = asyncio.create_task(world.store.fetch([]))
    await asyncio.sleep(0)
    world.setting.clock.advance(0.2)
    gate.set()
    await asking
    samples = await world.samples()
    assert samples["bearer_guard_store_seconds_sum fetch"] == pytest.approx(0.2)
    assert samples["bearer_guard_store_seconds_bucket fetch 0.1"] == 0
    assert samples["bearer_guard_store_seconds_bucket fetch 0.25"] == 1


async def test_the_short_cut_of_an_embedded_store_is_timed_too() -> None:
    store, metrics = MemoryStore(), Metrics()
    watched = metrics.watch(store)
    watched.fetch_now(())
    assert b'store_seconds_count{call="fetch_now"} 1.0' in await exposition(metrics)


async def exposition(metrics: Metrics) -> bytes:
    transport = httpx2.ASGITransport(Starlette(routes=[metrics.route("/m")]))
    async with httpx2.AsyncClient(transport=transport) as client:
        return (await client.get("http://testserver/m")).content


async def test_calls_without_an_answer_are_failures(world: World) -> None:
    await world.ask("nothing", "good")
    await world.ask("store down")
    with pytest.raises(Exception, match="down"):
        await world.store.policy()
    samples = await world.samples()
    assert samples["bearer_guard_store_failures_total policy"] == 1
    assert "bearer_guard_store_failures_total fetch" not in samples


async def test_a_request_that_is_answered_503_is_told_as_unavailable(world: World) -> None:
    await world.ask("store down")
    assert (await world.samples())["bearer_guard_refusals_total unavailable"] == 1


async def test_the_feeds_age_is_that_of_the_last_good_poll(world: World) -> None:
    await world.guard.verifier.open()
    world.setting.clock.advance(3)
    assert (await world.samples())["bearer_guard_feed_age_seconds"] == pytest.approx(3)


async def test_before_the_first_poll_the_age_has_no_end(world: World) -> None:
    assert (await world.samples())["bearer_guard_feed_age_seconds"] == float("inf")


async def test_without_polls_there_is_no_age() -> None:
    assert "bearer_guard_feed_age_seconds" not in await World(staleness=0).samples()


async def test_the_audits_events_are_counted(world: World) -> None:
    setting = world.setting
    issuer = Issuer(setting.store, setting.keyring, listeners=[world.metrics.count])
    await issuer.change_settings(Principal("root", admin=True), users_may_generate=True)
    await world.ask("deleted")
    samples = await world.samples()
    assert samples["bearer_guard_events_total settings.changed"] == 1
    assert samples["bearer_guard_events_total request.refused"] == 1


async def test_several_verifiers_are_told_together(world: World) -> None:
    other = Verifier(world.store, world.setting.keyring, clock=world.setting.clock)
    world.metrics.follow(other)
    await world.ask("good", "expired")
    await other.verify(world.setting.tokens["good"])
    await other.verify(world.setting.tokens["expired"])
    samples = await world.samples()
    assert samples["bearer_guard_refusals_total expired"] == 2
    assert samples["bearer_guard_cached_tokens"] == 4
    await other.close()


async def test_the_hit_path_pays_nothing(world: World) -> None:
    await world.ask("good")
    before = await world.samples()
    await world.ask("good", "good")
    assert await world.samples() == before


async def test_prometheus_gets_the_format_that_it_asks_for(world: World) -> None:
    await world.ask("expired", "good")
    answer = await world.scrape("application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in read_openmetrics(answer.text)} > {"bearer_guard_refusals"}
    assert (await world.scrape()).headers["content-type"].startswith("text/plain")


async def test_no_figure_names_anybody(world: World) -> None:
    await world.ask(*(name for name in CASES if name != "store down"))
    text = (await world.scrape()).text
    assert "alice" not in text
    assert "bg_" not in text
    assert "mallory" not in text


def test_a_registry_of_ones_own_may_be_used_once() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(registry)


def test_a_listener_takes_any_event() -> None:
    metrics = Metrics(clock=ManualClock())
    metrics.count(
        TokenCreated(
            at_ms=0,
            token_id=None,
            owner="alice",
            proven_by="x",
            expires_ms=None,  # type: ignore[arg-type]
        )
    )
    assert metrics.registry.get_sample_value(
        "bearer_guard_events_total", {"event": "token.created"}
    )


def test_without_the_library_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\nimport bearer_guard.telemetry.metrics"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ConfigurationError: metrics need a package more: pip install" in done.stderr


# The dashboard


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


async def test_the_dashboard_shows_what_there_is_and_all_of_it(world: World) -> None:
    await world.ask("deleted", "good")
    shown = {name for expression in expressions() for name in NAME.findall(expression)}
    families = list(world.metrics.registry.collect())
    names = {sample.name for family in families for sample in family.samples}
    names |= {f"{family.name}_total" for family in families if family.type == "counter"}
    assert shown <= names
    for family in families:
        assert any(name.startswith(family.name) for name in shown), family.name


def test_the_dashboards_panels_stand_side_by_side() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    taken = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    assert all(panel["title"] and panel["description"] for panel in panels)
