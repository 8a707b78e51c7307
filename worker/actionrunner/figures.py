"""The runner's metrics in Prometheus' terms. Labels are names that we or the operator gave, never a target's."""

from __future__ import annotations

from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from worker.actionrunner.execution import Executed
from worker.telemetry.metrics import Reading

PREFIX = "private_action_runner_"
OTHER = "other"
"""The label of an action that the catalogue has not, or that was not read: the number of names is bounded by this."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_WRITE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2)
"""Up to the time after which a disk is in trouble."""


class RunnerMetrics:
    """Counts what ends, and reads what merely is at the moment of a scrape. *actions* are the names of the catalogue."""

    def __init__(self, version: str, *, runner: str, actions: Collection[str], isolation: str) -> None:
        """*isolation* are words for what keeps scripts apart on this system."""
        self._actions = frozenset(actions)
        self.registry = CollectorRegistry()
        self._tasks = Counter(
            f"{PREFIX}tasks",
            "Orders that ended, by what was asked and how it went.",
            ("action", "client", "channel", "status", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            f"{PREFIX}task_seconds",
            "Duration of orders, from their checks to their outcome.",
            ("action",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._waits = Histogram(
            f"{PREFIX}queue_seconds",
            "Time from an order's signature to its checks, by the control plane's clock.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._replays = Counter(
            f"{PREFIX}replays", "Orders that had been taken before.", ("channel",), registry=self.registry
        )
        self._replays.labels("pull")
        self._replays.labels("push")
        self._writes = Histogram(
            f"{PREFIX}journal_seconds",
            "Time for the start of an action to be on disk.",
            buckets=_WRITE_SECONDS,
            registry=self.registry,
        )
        self._denied = Counter(
            f"{PREFIX}denied", "Orders that the local policy refused, by its rule.", ("rule",), registry=self.registry
        )
        self._redactions = Counter(
            f"{PREFIX}redactions", "Secrets that were taken out of outcomes.", registry=self.registry
        )
        self._results = Counter(
            f"{PREFIX}results", "Outcomes by what the control plane said of them.", ("outcome",), registry=self.registry
        )
        self._requests = Counter(
            f"{PREFIX}push_requests",
            "Answers to pages, by status and code.",
            ("status", "code"),
            registry=self.registry,
        )
        info = Gauge(
            f"{PREFIX}info",
            "Constant 1; name, version and the isolation of scripts as labels.",
            ("runner", "version", "isolation"),
            registry=self.registry,
        )
        info.labels(runner, version, isolation).set(1)

    def count(self, executed: Executed) -> None:
        """Count one order that ended."""
        order, outcome = executed.order, executed.outcome
        action = order.action if order.action in self._actions else OTHER
        self._tasks.labels(action, order.client, executed.channel, outcome.status.value, executed.code).inc()
        self._seconds.labels(action).observe(executed.seconds)
        self._redactions.inc(outcome.redactions)
        if executed.code == "DENIED":
            self._denied.labels(executed.rule).inc()

    def count_refusal(self, code: str, *, channel: str) -> None:
        """Count one order that failed a check before its action was looked at."""
        self._tasks.labels(OTHER, "", channel, "failed", code).inc()
        if code == "REPLAYED":
            self._replays.labels(channel).inc()

    def count_wait(self, seconds: float) -> None:
        self._waits.observe(seconds)

    def count_write(self, seconds: float) -> None:
        """Count a start that was put on disk."""
        self._writes.observe(seconds)

    def count_delivery(self, outcome: str) -> None:
        self._results.labels(outcome).inc()

    def count_request(self, status: int, code: str) -> None:
        """Count one answer on the port for pages. Codes are ours."""
        self._requests.labels(str(status), code).inc()
        if code == "used":
            self._replays.labels("push").inc()

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show what *read* returns at each scrape as gauge `private_action_runner_NAME`."""
        self.registry.register(Reading(GaugeMetricFamily, PREFIX + name, help_text, read))

    def watch_count(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show what *read*, which never falls, returns at each scrape as counter `private_action_runner_NAME_total`."""
        self.registry.register(Reading(CounterMetricFamily, PREFIX + name, help_text, read))

    def text(self) -> bytes:
        return generate_latest(self.registry)
