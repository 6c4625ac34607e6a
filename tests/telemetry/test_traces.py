"""Spans, made by OpenTelemetry's own SDK: for what is not remembered, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from bearer_guard import StoreUnavailable, Verifier
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.telemetry.traces import traced
from tests.integrations.support import Setting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.sdk.trace import ReadableSpan


class World:
    """A verifier over a traced store."""

    def __init__(self) -> None:
        self.setting = Setting()
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        options = {**self.setting.options, "store": traced(self.setting.store, self.provider)}
        self.verifier = Verifier(**options)

    async def ask(self, *names: str) -> None:
        for name in names:
            await self.verifier.verify(self.setting.tokens[name])

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.setting.store.broken = None
    await world.verifier.close()
    world.provider.shutdown()


async def test_a_token_that_is_not_remembered_makes_one_span(world: World) -> None:
    await world.ask("good", "good", "forged", "good")
    (span,) = world.spans()
    assert (span.name, span.kind) == ("bearer_guard.store.fetch", SpanKind.CLIENT)
    assert span.attributes == {"db.operation.name": "fetch", "bearer_guard.tokens": 1}
    assert span.status.status_code is StatusCode.UNSET


async def test_the_short_cut_of_an_embedded_store_makes_one_too(world: World) -> None:
    traced(MemoryStore(), world.provider).fetch_now(())
    assert [span.name for span in world.spans()] == ["bearer_guard.store.fetch"]


async def test_a_read_belongs_to_the_trace_of_its_request(world: World) -> None:
    with world.provider.get_tracer("app").start_as_current_span("GET /reports") as request:
        await world.ask("good")
    read = next(span for span in world.spans() if span.name == "bearer_guard.store.fetch")
    assert read.parent is not None
    assert read.parent.span_id == request.get_span_context().span_id


async def test_no_answer_is_an_error_that_tells_nothing_of_the_store(world: World) -> None:
    await world.verifier.open()
    world.setting.store.broken = StoreUnavailable("postgresql://bg:secret@db.internal refused")
    with pytest.raises(StoreUnavailable):
        await world.ask("good")
    (span,) = world.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "StoreUnavailable"
    assert "secret" not in span.to_json()


async def test_no_span_names_a_token_or_its_owner(world: World) -> None:
    await world.ask("good", "expired", "deleted", "unknown", "forged", "narrow")
    told = "".join(span.to_json() for span in world.spans())
    assert len(world.spans()) == 5
    assert not [name for name, token in world.setting.tokens.items() if token in told]
    assert not [
        record.id
        for record in world.setting.store._records.values()
        if str(record.id) in told or record.owner in told
    ]


def test_without_the_library_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None\nimport bearer_guard.telemetry.traces"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ConfigurationError: traces need a package more: pip install" in done.stderr
