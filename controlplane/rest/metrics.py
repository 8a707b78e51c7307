"""`/metrics` of the control plane, for Prometheus. Anybody may read it: a handshake and a health check say as much."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controlplane.steady import SteadyClock
from controlplane.tls import ServedCertificate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(*, writable: bool, certificate: ServedCertificate | None, clock: SteadyClock | None) -> bytes:
    """The figures of this moment in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(writable=writable, certificate=certificate, clock=clock))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, *, writable: bool, certificate: ServedCertificate | None, clock: SteadyClock | None) -> None:
        self._writable = writable
        self._certificate = certificate
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        yield _gauge("database_writable", "1 while a row could be written just now.", self._writable)
        if self._clock is not None:
            ignored = self._clock.ignored_seconds
            yield _gauge("clock_step_seconds", "Difference of the machine's clock that is not followed.", ignored)
            counted = "Steps of the machine's clock that were noticed."
            yield CounterMetricFamily("synthetics_controlplane_clock_steps", counted, value=self._clock.steps)
        if self._certificate is not None:
            end = self._certificate.not_after.timestamp()
            yield _gauge("tls_certificate_not_after_timestamp_seconds", "End of the certificate that is shown.", end)
            current = self._certificate.current
            yield _gauge("tls_certificate_current", "0 while the certificate's files cannot be used.", current)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"synthetics_controlplane_{name}", help_text, value=float(value))
