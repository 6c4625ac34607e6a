"""OpenTelemetry spans where a token is not remembered, and nowhere else.

    store = traced(open_store(url))
    app = BearerGuard(app, store=store, keyring=keyring)

A read is shared by all who wait for it: its span belongs to the trace of the first.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.store import TokenReader

from ._watch import watched

try:
    from opentelemetry.trace import SpanKind, StatusCode, get_tracer
except ModuleNotFoundError as error:
    message = "traces need a package more: pip install 'bearer-guard[metrics]'"
    raise ConfigurationError(message) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import TracerProvider

__all__ = ["traced"]

S = TypeVar("S", bound=TokenReader)
_READS: Final = frozenset({"fetch", "fetch_now"})


def traced(store: S, tracer_provider: TracerProvider | None = None) -> S:
    """The same store, with a span around each read of tokens.

    Spans say how many tokens were read and whether the store answered; never which, nor why not:
    a driver's message may hold an address or a name.

    Args:
        store: Where records are.
        tracer_provider: ``None``: the process's own.
    """
    tracer = get_tracer("bearer_guard", tracer_provider=tracer_provider)

    @contextmanager
    def span_of(call: str, args: tuple[Any, ...]) -> Iterator[None]:
        with tracer.start_as_current_span(
            "bearer_guard.store.fetch",
            kind=SpanKind.CLIENT,
            attributes={"db.operation.name": call, "bearer_guard.tokens": len(args[0])},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except StoreUnavailable as error:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__qualname__)
                raise

    return watched(store, span_of, _READS)
