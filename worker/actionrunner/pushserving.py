"""The parts of push mode, wired: admission, runs, listener, and their port. `app` imports it only where the mode is wanted."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web

from worker.actionrunner.executor import Executing, InstanceIdentity
from worker.actionrunner.figures import RunnerMetrics
from worker.actionrunner.hangup import Hangup
from worker.actionrunner.identity import Enrolment
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.listener import LIMITS, PageAccess, PushListener, origin_of
from worker.actionrunner.options import RunnerConfig
from worker.actionrunner.pushing import ClaimToken, PushRuns, PushSlots
from worker.actionrunner.pushorder import PushAdmission
from worker.agent.first import first_of
from worker.agent.signals import Signals
from worker.clock import Clock
from worker.errors import ConfigError
from worker.telemetry.status import Probed
from worker.web.address import listen
from worker.web.certificate import CertificateError, CertificateFiles, ServedCertificate
from worker.web.connections import serving

log = logging.getLogger(__name__)

LINGER_SECONDS = 1.0
"""For which the rest of a refused body is read and dropped, so that its sender can read the refusal."""


class AwayProbed(Probed, Protocol):
    """The health of the runner, and the reason why it takes no requests now."""

    @property
    def away(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMode:
    """Requests of pages, and who may send them. *drain_timeout* is how many seconds they may go on after a signal."""

    runs: PushRuns
    access: PageAccess
    host: str
    port: int
    certificate: ServedCertificate | None
    drain_timeout: float

    @asynccontextmanager
    async def serving(
        self, signals: Signals, hangup: Hangup, probed: AwayProbed, metrics: RunnerMetrics
    ) -> AsyncIterator[int]:
        """Take requests until a signal; then let those that run end, or end them. Yields the port. Raises ConfigError."""
        listener = PushListener(self.access, self.runs, away=lambda: probed.away, count=metrics.count_request)
        tls = None
        if self.certificate is not None:
            tls = self.certificate.context
            _show(metrics, self.certificate)
        async with push_port(listener, probed, host=self.host, port=self.port, tls=tls) as bound:
            finishing = asyncio.create_task(_finish(self.runs, signals, self.drain_timeout), name="push drain")
            try:
                with _followed(self.certificate, hangup):
                    yield bound
                    await asyncio.wait({finishing})
            finally:
                finishing.cancel()
                await self.runs.cut_short()


def push_mode(
    config: RunnerConfig,
    enrolment: Enrolment,
    identity: InstanceIdentity,
    keys: ChannelKeys,
    *,
    clock: Clock,
    now: Callable[[], datetime],
    slots: PushSlots,
    claim: ClaimToken,
    execution: Executing,
) -> PushMode:
    """Raises ConfigError."""
    runs = PushRuns(
        PushAdmission(identity, keys, now, several=enrolment.instances > 1),
        execution,
        slots,
        key=lambda: keys.signing,
        claim=claim,
        now=now,
        clock=clock,
        write_seconds=config.write_timeout,
    )
    return PushMode(
        runs=runs,
        access=_access(config, enrolment, keys.audience),
        host=config.push_host or config.host,
        port=config.port,
        certificate=served_certificate(config.tls_cert, config.tls_key, clock),
        drain_timeout=config.drain_timeout,
    )


async def _finish(runs: PushRuns, signals: Signals, seconds: float) -> None:
    """Let requests go on after a signal, *seconds* at most, and no longer than until a second interrupt."""
    await signals.stop.wait()
    await first_of(runs.finish(seconds), signals.hurry.wait())


def _access(config: RunnerConfig, enrolment: Enrolment, base_url: str) -> PageAccess:
    """Pages of the control plane, unless the operator names others, at the hosts of this runner. Raises ConfigError."""
    for origin in config.allowed_origins:
        if origin_of(origin) != origin:
            raise ConfigError(
                f"{origin!r} is not a valid origin: expected {origin_of(origin)}", option="allowedOrigins"
            )
    access = PageAccess.of(enrolment.host, config.public_hosts, config.allowed_origins or [origin_of(base_url)])
    if not access.hosts:
        reason = "is missing: the runner takes requests of pages, and was made without --host"
        raise ConfigError(reason, option="publicHosts")
    return access


@asynccontextmanager
async def push_port(
    listener: PushListener, probed: Probed, *, host: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve for as long as the context lasts, at the port that it yields. Raises ConfigError."""
    runner = web.AppRunner(
        listener.application(probed),
        access_log=None,
        auto_decompress=False,  # what is counted is what was sent
        lingering_time=LINGER_SECONDS,
    )
    try:
        listening = listen(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", option="port") from error
    async with serving(runner, listening, LIMITS, tls=tls) as sockets:
        bound: int = sockets[0].getsockname()[1]
        extra = {"action": "push_port", "host": host, "port": bound}
        log.info("requests of pages on %s, port %d%s", host, bound, "" if tls is None else " (TLS)", extra=extra)
        yield bound


def served_certificate(cert: Path | None, key: Path | None, clock: Clock) -> ServedCertificate | None:
    """The operator's certificate; None without one. Raises ConfigError."""
    if cert is None:
        if key is not None:
            raise ConfigError("is missing: tlsKey is nothing without it", option="tlsCert")
        return None
    files = CertificateFiles(cert=cert, key=key, cert_option="tlsCert", key_option="tlsKey")
    try:
        return ServedCertificate(files, clock)
    except CertificateError as error:
        raise ConfigError(f"{error.path}: {error.reason}", option=error.option) from error


def _show(metrics: RunnerMetrics, certificate: ServedCertificate) -> None:
    metrics.watch(
        "tls_certificate_not_after_timestamp_seconds",
        "End of the certificate that is shown.",
        lambda: certificate.not_after.timestamp(),  # noqa: PLW0108  # a renewed one has another end
    )
    metrics.watch(
        "tls_certificate_current", "0 while the certificate's files cannot be used.", lambda: certificate.current
    )


@contextmanager
def _followed(certificate: ServedCertificate | None, hangup: Hangup) -> Iterator[None]:
    """Look at the files of a certificate again and again, and on SIGHUP, for as long as the context lasts."""
    if certificate is None:
        yield
        return
    following = asyncio.get_running_loop().create_task(certificate.follow(), name="certificate")
    try:
        with hangup.following(certificate.look):
            yield
    finally:
        following.cancel()
