"""`/metrics` of the control plane, for Prometheus. Anybody who reaches it may read it: names of tests and locations.

One scrape is made at a time, and what it reads is good for a second: askers may be anybody. It reads by indices, writes at most
the row of the health check, and holds up no pull for longer than a page of tests takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from controlplane import epoch
from controlplane.counters import Counters
from controlplane.errors import DatabaseError
from controlplane.rest.series import RunSeries, SeriesChoice
from controlplane.service import gauges
from controlplane.service.health import WriteHealth
from controlplane.steady import SteadyClock
from controlplane.store.database import Database
from controlplane.store.gauges import LocationGauges
from controlplane.store.rungauges import RunGauges
from worker.clock import Clock
from worker.web.certificate import ServedCertificate

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH_NS = 1_000_000_000
"""Nanoseconds for which what was read is good: no scraper asks more often than each few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The parts that a scrape reads. *certificate* is None without TLS, *steady* where the clock is not ours to watch."""

    database: Database
    clock: Clock
    health: WriteHealth
    counters: Counters
    steady: SteadyClock | None
    certificate: ServedCertificate | None
    series: SeriesChoice


class Scrapes:
    """Makes the text that is served. What is read for it is kept for `FRESH_NS`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._turn = asyncio.Lock()
        self._read_ns: int | None = None
        self._locations: Sequence[LocationGauges] = ()
        self._runs: RunGauges | None = None
        self._single = b""
        self._full = False

    async def text(self) -> bytes:
        """The figures in Prometheus' text format; those of the process alone while the database cannot be read."""
        async with self._turn:
            now = self._sources.clock.monotonic_ns()
            if self._read_ns is None or now - self._read_ns >= FRESH_NS:
                await self._read()
                self._read_ns = now
            registry = CollectorRegistry()
            writable = not await self._sources.health.trouble()
            registry.register(Figures(self._sources, writable=writable, locations=self._locations, runs=self._runs))
            return generate_latest(registry) + self._single

    async def _read(self) -> None:
        sources = self._sources
        self._locations, self._runs, self._single = (), None, b""
        try:
            self._locations = await gauges.of_locations(sources.database, sources.clock)
            self._runs = await gauges.of_runs(sources.database)
            sources.counters.forget(one.id for one in self._locations)
            if sources.series.most > 0:
                self._single = await self._single_tests()
        except DatabaseError as error:
            log.error("cannot read the figures: %s", error, extra={"action": "database_failed"})  # noqa: TRY400

    async def _single_tests(self) -> bytes:
        sources = self._sources
        lines, shown, last = RunSeries(sources.series), 0, gauges.FIRST
        async for page in gauges.of_tests(sources.database, most=sources.series.most):
            lines.add(page)
            shown, last = shown + len(page), (page[-1].test, page[-1].location)
        beyond = await gauges.count_behind(sources.database, last) if shown >= sources.series.most else 0
        if beyond and not self._full:
            log.warning(
                "only %d tests have series of their own in /metrics, %d have none: raise --metric-tests",
                shown,
                beyond,
                extra={"action": "series_left_out", "tests": beyond},
            )
        self._full = beyond > 0
        name = "synthetics_controlplane_tests_without_series"
        count = (
            f"# HELP {name} Tests, each at one location, beyond --metric-tests.\n# TYPE {name} gauge\n{name} {beyond}\n"
        )
        return "".join((count, *lines.text())).encode()


class Figures(Collector):
    """Everything but the single tests."""

    def __init__(
        self, sources: Sources, *, writable: bool, locations: Sequence[LocationGauges], runs: RunGauges | None
    ) -> None:
        self._sources = sources
        self._writable = writable
        self._locations = locations
        self._runs = runs

    def collect(self) -> Iterator[Metric]:
        yield _gauge("database_writable", "1 while a row could be written just now.", self._writable)
        yield _gauge("database_bytes", "Size of the database, its log included.", self._sources.database.size())
        yield from self._of_clock()
        yield from self._of_certificate()
        yield from _of_locations(self._locations)
        if self._runs is not None and self._runs.oldest:  # somebody has made a runner
            yield from _of_runs(self._runs, epoch.milliseconds(self._sources.clock))
        yield from _of_counters(self._sources.counters, {one.id: one.name for one in self._locations})

    def _of_clock(self) -> Iterator[Metric]:
        if (steady := self._sources.steady) is not None:
            ignored = steady.ignored_seconds
            yield _gauge("clock_step_seconds", "Difference of the machine's clock that is not followed.", ignored)
            counted = "Steps of the machine's clock that were noticed."
            yield CounterMetricFamily("synthetics_controlplane_clock_steps", counted, value=steady.steps)

    def _of_certificate(self) -> Iterator[Metric]:
        if (certificate := self._sources.certificate) is not None:
            end = certificate.not_after.timestamp()
            yield _gauge("tls_certificate_not_after_timestamp_seconds", "End of the certificate that is shown.", end)
            current = certificate.current
            yield _gauge("tls_certificate_current", "0 while the certificate's files cannot be used.", current)


_OF_LOCATION: tuple[tuple[str, str, Callable[[LocationGauges], float]], ...] = (
    ("location_up", "1 while a worker of the location pulled within five seconds.", lambda one: one.workers > 0),
    ("location_enabled", "0 while the location is disabled.", lambda one: one.enabled),
    ("location_workers", "Workers that pulled within five seconds.", lambda one: one.workers),
    ("location_degraded_workers", "Of these, those in trouble.", lambda one: one.degraded),
    ("location_slots", "Slots of these workers.", lambda one: one.slots),
    ("location_free_slots", "Slots that are free.", lambda one: one.free_slots),
    ("due_runs", "Runs whose time has come and that nobody has.", lambda one: one.due),
    ("waiting_jobs", "Jobs that nobody has: asked for, or given back.", lambda one: one.waiting),
    ("leased_jobs", "Jobs that workers have.", lambda one: one.leased),
)


def _of_locations(locations: Sequence[LocationGauges]) -> Iterator[Metric]:
    for name, help_text, read in _OF_LOCATION:
        yield _by_location(name, help_text, ((one.name, read(one)) for one in locations))
    pulled = ((one.name, one.last_seen / 1000) for one in locations if one.last_seen is not None)
    yield _by_location("location_last_pull_timestamp_seconds", "Moment of the newest pull.", pulled)
    info = GaugeMetricFamily(
        "synthetics_controlplane_location_info", "Constant 1; name and id of a location.", labels=("location", "id")
    )
    for one in locations:
        info.add_metric((one.name, one.id), 1)
    yield info


def _of_runs(runs: RunGauges, now: int) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "synthetics_controlplane_runs", "Runs of private actions that nobody has finished with.", labels=("state",)
    )
    for state, count in runs.states.items():
        states.add_metric((state.value,), count)
    yield states
    waiting = GaugeMetricFamily(
        "synthetics_controlplane_queue_oldest_seconds",
        "Time for which a runner's oldest queued task has waited, 0 without one.",
        labels=("runner",),
    )
    for name, since in runs.oldest.items():
        waiting.add_metric((name,), 0 if since is None else max(0, now - since) / 1000)
    yield waiting


def _of_counters(counters: Counters, names: dict[str, str]) -> Iterator[Metric]:
    lateness = HistogramMetricFamily(
        "synthetics_controlplane_lease_lateness_seconds",
        "Time from a run's due moment to its first lease.",
        labels=("location",),
    )
    for location, seen in counters.lateness.items():
        if location in names:
            lateness.add_metric((names[location],), list(seen.cumulative()), seen.total_seconds)
    yield lateness
    yield _counter("results", "Results that were stored.", "status", counters.results, names)
    yield _counter("missed_runs", "Runs that did not take place.", "reason", counters.missed, names)
    pushed = CounterMetricFamily(
        "synthetics_controlplane_pushed_results", "Results by what was said of them.", labels=("outcome",)
    )
    for outcome, count in counters.pushed.items():
        pushed.add_metric((outcome,), count)
    yield pushed
    yield _gauge("waiting_notifications", "Notifications of alerts that wait.", counters.waiting_notifications)
    told = CounterMetricFamily(
        "synthetics_controlplane_notifications",
        "Notifications of alerts by what became of an attempt.",
        labels=("outcome",),
    )
    for outcome, count in counters.notifications.items():
        told.add_metric((outcome,), count)
    yield told
    hooks = CounterMetricFamily(
        "synthetics_controlplane_hooks", "Requests to hooks by what came of them.", labels=("workflow", "result")
    )
    for (workflow, result), count in counters.hooks.items():
        hooks.add_metric((workflow, result), count)
    yield hooks


def _counter(
    name: str, help_text: str, label: str, counted: dict[tuple[str, str], int], names: dict[str, str]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"synthetics_controlplane_{name}", help_text, labels=("location", label))
    for (location, value), count in counted.items():
        if location in names:
            family.add_metric((names[location], value), count)
    return family


def _by_location(name: str, help_text: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"synthetics_controlplane_{name}", help_text, labels=("location",))
    for location, value in values:
        family.add_metric((location,), value)
    return family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"synthetics_controlplane_{name}", help_text, value=float(value))
