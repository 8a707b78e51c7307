"""The worker's metrics in Prometheus' terms, all of them with the location as a label: one scrape may see several.

No test names and no hosts as labels: their number is the users', not ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RUN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts what happens, and reads what merely is (slots, queues, lags) at the moment of the scrape."""

    def __init__(self, version: str, *, location: str) -> None:
        self._location = location
        self.registry = CollectorRegistry()
        self._results = Counter(
            "synthetics_worker_results",
            "Finished runs by outcome and failure code (empty for a run that passed).",
            ("status", "code"),
            registry=self.registry,
        )
        self._unhealthy = Counter(
            "synthetics_worker_unhealthy_results",
            "Runs during which the worker itself was in trouble.",
            registry=self.registry,
        )
        # Looking a child up costs more than counting in it.
        self._finished = cache(self._results.labels)
        self._deliveries = Counter(
            "synthetics_worker_reported_results",
            "Results by what the control plane said of them.",
            ("outcome",),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "synthetics_worker_run_seconds",
            "Duration of runs, the sum of their phases.",
            ("subtype",),
            buckets=_RUN_SECONDS,
            registry=self.registry,
        )
        self._taken = cache(self._seconds.labels)
        info = Gauge(
            "synthetics_worker_info", "Constant 1; the version as a label.", ("version",), registry=self.registry
        )
        info.labels(version).set(1)

    def count_run(self, *, kind: str, status: str, code: str, seconds: float, unhealthy: bool) -> None:
        """Count one finished run. *kind* becomes a label: the caller bounds its values. *code* is empty for a success."""
        self._finished(status, code).inc()
        if unhealthy:
            self._unhealthy.inc()
        self._taken(kind).observe(seconds)

    def count_delivery(self, outcome: str) -> None:
        self._deliveries.labels(outcome).inc()

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show what *read* returns at each scrape as gauge `synthetics_worker_NAME`."""
        self.registry.register(Reading(GaugeMetricFamily, f"synthetics_worker_{name}", help_text, read))

    def watch_count(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show what *read*, which never falls, returns at each scrape as counter `synthetics_worker_NAME_total`."""
        self.registry.register(Reading(CounterMetricFamily, f"synthetics_worker_{name}", help_text, read))

    def text(self) -> bytes:
        return generate_latest(_Labelled(self.registry, {"location": self._location}))


class _Labelled(CollectorRegistry):
    """The content of *registry*, each sample with *labels* besides its own."""

    def __init__(self, registry: CollectorRegistry, labels: Mapping[str, str]) -> None:
        super().__init__()
        self._registry = registry
        self._added = dict(labels)

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample._replace(labels=self._added | sample.labels) for sample in metric.samples]
            yield metric


class Reading(Collector):
    """A metric that is read at the moment of a scrape. *name* is the whole of its name."""

    def __init__(
        self,
        family: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        help_text: str,
        read: Callable[[], float],
    ) -> None:
        self._family = family
        self._name = name
        self._help = help_text
        self._read = read

    def collect(self) -> Iterable[Metric]:
        yield self._family(self._name, self._help, value=self._read())
