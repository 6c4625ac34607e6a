"""Prometheus metrics. What is scraped is read where it lies; nobody counts on the hit path.

    metrics = Metrics()
    store = metrics.watch(open_store(url))                          # calls of the store are timed
    app = BearerGuard(app, store=store, keyring=keyring, listeners=[log_event, metrics.count])
    metrics.follow(app.verifier)
    routes = [metrics.route()]                                      # /metrics

Requests that pass are the application's to count: a cache's hits are those less
``bearer_guard_cache_misses_total``. Each process has its own figures.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.responses import Response
from starlette.routing import Route

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.store import TokenReader
from bearer_guard.verdict import Reason

from ._watch import watched

try:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    message = "metrics need a package more: pip install 'bearer-guard[metrics]'"
    raise ConfigurationError(message) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric
    from starlette.requests import Request

    from bearer_guard.clock import Clock
    from bearer_guard.events import Event
    from bearer_guard.verify import Verifier

__all__ = ["Metrics"]

S = TypeVar("S", bound=TokenReader)
_READS: Final = frozenset({"fetch", "fetch_now"})
_CALLS: Final = _READS | {
    *("add", "changes", "end", "end_all", "page", "policy", "purge", "set_policy", "touch"),
}
# Seconds. A row of an embedded store is read in microseconds; after 0.8 the answer is 503.
_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Metrics(Collector):
    """The metrics of one process.

    Args:
        registry: Where they go; ``None``: one of their own.
        clock: Times the calls.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.registry: Final = CollectorRegistry() if registry is None else registry
        self._elapsed: Final = clock.elapsed
        self._verifiers: Final[list[Verifier]] = []
        self._seconds: Final = Histogram(
            "bearer_guard_store_seconds",
            "How long calls of the store took.",
            ["call"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._failures: Final = Counter(
            "bearer_guard_store_failures",
            "Calls that the store gave no answer to.",
            ["call"],
            registry=self.registry,
        )
        self._misses: Final = Counter(
            "bearer_guard_cache_misses",
            "Tokens that the store was asked for.",
            registry=self.registry,
        )
        self._events: Final = Counter(
            "bearer_guard_events",
            "What the audit was told of.",
            ["event"],
            registry=self.registry,
        )
        self.registry.register(self)

    def watch(self, store: S) -> S:
        """The same store, its calls timed. Whoever uses it uses this one."""
        return watched(store, self._timed, _CALLS)

    def follow(self, verifier: Verifier) -> None:
        """Tell of this verifier too; of several, together."""
        self._verifiers.append(verifier)

    def count(self, event: Event, /) -> None:
        """Count what the audit is told of: a listener."""
        self._events.labels(event.name).inc()

    def route(self, path: str = "/metrics") -> Route:
        """Where they are scraped. It needs no credentials: let nobody in from outside."""
        return Route(path, self._scrape)

    def collect(self) -> Iterator[Metric]:
        """Read what the verifiers keep anyway."""
        refusals = CounterMetricFamily(
            "bearer_guard_refusals", "Requests that were turned away.", labels=["reason"]
        )
        for reason in Reason:
            count = sum(verifier.refusals.counts[reason] for verifier in self._verifiers)
            refusals.add_metric([reason.value], count)
        yield refusals
        yield GaugeMetricFamily(
            "bearer_guard_cached_tokens",
            "Tokens that are remembered.",
            sum(verifier.remembered for verifier in self._verifiers),
        )
        yield GaugeMetricFamily(
            "bearer_guard_last_uses_pending",
            "Tokens whose last use the store is yet to be told.",
            sum(len(verifier.last_used.uses) for verifier in self._verifiers),
        )
        ages = [verifier.feed.age for verifier in self._verifiers]
        ages = [age for age in ages if age > -math.inf]  # that: no polls, by its settings
        if ages:
            yield GaugeMetricFamily(
                "bearer_guard_feed_age_seconds",
                "Since the last good poll for revocations was sent. Polls pause while idle.",
                max(ages),
            )

    def describe(self) -> Iterator[Metric]:
        """Names only, for the registry to see that they are free."""
        return self.collect()

    @contextmanager
    def _timed(self, call: str, args: tuple[Any, ...]) -> Iterator[None]:
        if call in _READS:
            self._misses.inc(len(args[0]))
        began = self._elapsed()
        try:
            yield
        except StoreUnavailable:
            self._failures.labels(call).inc()
            raise
        finally:
            self._seconds.labels(call).observe(self._elapsed() - began)

    async def _scrape(self, request: Request) -> Response:
        encode, media = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self.registry), headers={"content-type": media})
