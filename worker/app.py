"""The composition root: builds every part from one Config, runs them in one TaskGroup, and stops them in one sequence.

The only module that knows all the others. It opens no socket and judges nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import signal
import ssl
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import orjson
from aiohttp import web

from worker import __version__
from worker.apitest.definition import APITest
from worker.apitest.result import Result
from worker.checks.evidence import Limits
from worker.clock import Clock, SystemClock
from worker.config import Config, LocalConfig
from worker.errors import ConfigError, PolicyError
from worker.health import Health, status_application
from worker.inflight import InFlight
from worker.intake.backoff import Backoff
from worker.intake.client import Identity, Intake, IntakeError, Peer
from worker.metrics import Metrics
from worker.net.door import Door
from worker.net.exchange import Nameserver
from worker.net.proxy import Proxy
from worker.net.resolver import Resolver
from worker.net.trust import TrustStore
from worker.outbox import Outbox
from worker.policy import Policy
from worker.poller import Cadence, Poller
from worker.probers import HTTPLimits
from worker.runner import RunLimits, Runner
from worker.sandbox.pool import Evaluators
from worker.slots import Slots
from worker.vitals import Vitals
from worker.wire.messages import Job, ResultItem
from worker.wire.signing import Credentials

log = logging.getLogger(__name__)

AGENT = f"synthetics-worker/{__version__}"
FLUSH = 10.0
"""Seconds for pushing what waits when the worker stops; an outage then loses it to the lease of the next worker."""
INTERRUPTED = 130
"""Exit code after a second Ctrl-C, as shells have it."""


async def run(config: Config, warnings: Sequence[str] = ()) -> int:
    """Serve a location until a signal; returns the exit code. Raises ConfigError for what only a start can show."""
    clock = SystemClock()
    worker_id = str(uuid.uuid4())
    metrics = Metrics(__version__)
    vitals = Vitals(clock)
    trust = _trust(config.ca_files)
    with _signals() as signals:
        async with (
            _runner(config, trust, clock, vitals, worker_id) as (runner, evaluators),
            Intake(_peer(config, trust), _identity(config, worker_id), clock, agent=AGENT) as intake,
        ):
            # What lives now lives on: a full collection would stop every run under way by 20 ms to find that out again.
            gc.freeze()
            _announce(config, worker_id, warnings)
            try:
                async with asyncio.TaskGroup() as group:
                    worker = _Worker(config, clock, group, runner=runner, intake=intake, metrics=metrics, vitals=vitals)
                    worker.watch(evaluators)
                    return await worker.serve(signals)
            finally:
                log.info("stopped", extra={"action": "stopped", "worker": worker_id})


async def check(config: LocalConfig, tests: Sequence[APITest]) -> AsyncIterator[Result]:
    """Run each test once, here, under the same options and policy as a worker would; results in the order of *tests*."""
    clock = SystemClock()
    vitals = Vitals(clock)
    slots = asyncio.Semaphore(config.concurrency)

    async def one(runner: Runner, test: APITest) -> Result:
        async with slots:
            return await runner.run(test)

    async with _runner(config, _trust(config.ca_files), clock, vitals, worker_id="") as (runner, _):
        watching = asyncio.create_task(vitals.run())
        running = [asyncio.create_task(one(runner, test)) for test in tests]
        try:
            for task in running:
                yield await task
        finally:
            watching.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(watching, *running, return_exceptions=True)


def policy_of(config: LocalConfig) -> Policy:
    """The egress policy that *config* asks for. Raises ConfigError."""
    try:
        return Policy.build(
            allow=map(str, config.allow_ranges),
            deny=map(str, config.deny_ranges),
            allow_names=config.allowed_domain_names,
            deny_names=config.blocked_domain_names,
            block_special_purpose=config.enable_default_blocked_ip_ranges,
            nat64_prefixes=map(str, config.nat64_prefixes),
        )
    except PolicyError as error:
        raise ConfigError(str(error), option="egress policy") from error


def resolver_of(config: LocalConfig) -> Resolver:
    servers = [Nameserver(ip_address(address), port) for address, port in config.dns_servers]
    return Resolver(servers, use_host=config.dns_use_host, ipv6=config.enable_ipv6)


class _Worker:
    """The parts of a serving worker, wired to each other, and the sequence in which they stop."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        group: asyncio.TaskGroup,
        *,
        runner: Runner,
        intake: Intake,
        metrics: Metrics,
        vitals: Vitals,
    ) -> None:
        self._config = config
        self._clock = clock
        self._group = group
        self._runner = runner
        self._intake = intake
        self._metrics = metrics
        self._vitals = vitals
        self._slots = Slots(config.concurrency)
        self._outbox = Outbox(
            intake,
            clock,
            Backoff(random.uniform),
            set_aside=config.spool_directory,
            on_fate=lambda fate: metrics.count_fate(fate.outcome),
        )
        self._inflight = InFlight(self._carry_out, slots=self._slots, outbox=self._outbox, group=group)
        self._poller = Poller(
            intake,
            self._inflight,
            self._outbox,
            self._slots,
            clock,
            cadence=Cadence(interval=config.poll_interval, at_most=config.max_number_messages_to_fetch),
            keys=tuple(key.kid for key in config.private_keys),
            agent=AGENT,
            backoff=Backoff(random.uniform),
            distrust=Backoff(random.uniform),
            trouble=lambda: self._vitals.shortage,
        )
        self._health = Health(
            clock,
            quiet_until_ns=lambda: self._poller.quiet_until_ns,
            last_signed_reply_ns=lambda: intake.last_signed_reply_ns,
        )

    def watch(self, evaluators: Evaluators) -> None:
        """Show the state of the parts in `/metrics`."""
        watch, count, counts = self._metrics.watch, self._metrics.watch_count, self._poller.counts
        watch("slots", "Slots in all, the option concurrency.", lambda: self._slots.size)
        watch("free_slots", "Slots in which a job could run now.", lambda: self._slots.free)
        watch("running", "Jobs under way.", lambda: self._inflight.running)
        count("pulls_answered", "Pulls with a signed reply.", lambda: counts.answered)
        count("pulls_failed", "Pulls without a usable reply.", lambda: counts.failed)
        count("unreadable_batches", "Signed batches that could not be opened or read.", lambda: counts.unreadable)
        watch("outbox_results", "Results that wait for a signed reply.", lambda: self._outbox.waiting)
        watch("outbox_bytes", "Size of the results that wait.", lambda: self._outbox.waiting_bytes)
        watch(
            "event_loop_lag_seconds", "Worst lateness of the event loop in ten seconds.", lambda: self._vitals.worst_lag
        )
        watch(
            "clock_offset_seconds",
            "What the control plane's clock is ahead, by its last signed reply.",
            self._clock_offset,
        )
        watch("evaluator_queue", "Evaluations that wait for a process.", lambda: evaluators.waiting)
        count("evaluators_killed", "Evaluators ended with an assertion in hand.", lambda: evaluators.killed)
        count("evaluators_recycled", "Evaluators replaced for their size.", lambda: evaluators.recycled)
        count("evaluators_crashed", "Evaluators ended without any work in hand.", lambda: evaluators.crashed)

    def _clock_offset(self) -> float:
        return self._intake.clock_offset.total_seconds()

    async def serve(self, signals: _Signals) -> int:
        """Run until a signal, then stop in order; a second interrupt ends at once."""
        async with self._status_server():
            sides = [self._group.create_task(self._poller.run(), name="poller")]
            sides.append(self._group.create_task(self._outbox.run(), name="outbox"))
            sides.append(self._group.create_task(self._vitals.run(), name="vitals"))
            if self._config.liveness_file is not None:
                ticker = self._health.keep_liveness_file(self._config.liveness_file)
                sides.append(self._group.create_task(ticker, name="liveness"))
            await signals.stop.wait()
            stopping = asyncio.ensure_future(self._stop(sides[0]))
            hurry = asyncio.ensure_future(signals.hurry.wait())
            await asyncio.wait((stopping, hurry), return_when=asyncio.FIRST_COMPLETED)
            for task in (*sides, stopping, hurry):
                task.cancel()
            await self._inflight.cut_short()
            await asyncio.gather(stopping, hurry, return_exceptions=True)
            return INTERRUPTED if signals.hurry.is_set() else 0

    async def _stop(self, polling: asyncio.Task[None]) -> None:
        log.info(
            "draining: %d jobs run on for up to %.0f s",
            self._inflight.running,
            self._config.drain_timeout,
            extra={"action": "draining", "running": self._inflight.running},
        )
        self._poller.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.drain_timeout):
                await self._inflight.wait_idle()
        cut = await self._inflight.cut_short()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                await self._outbox.flush()
        polling.cancel()
        # The last word: what was cut short is given back now, and not only when its lease is over.
        with contextlib.suppress(IntakeError):
            await self._poller.pull_once()
        log.info(
            "drained: %d jobs given back, %d results not delivered",
            cut,
            self._outbox.waiting,
            extra={"action": "drained", "given_back": cut, "undelivered": self._outbox.waiting},
        )

    def _carry_out(self, job: Job, delay: float) -> Coroutine[Any, Any, ResultItem]:
        return self._run_job(job, delay, received_ns=self._clock.monotonic_ns())

    async def _run_job(self, job: Job, delay: float, *, received_ns: int) -> ResultItem:
        if delay:
            await self._clock.sleep(delay)
        result = await self._runner.carry_out(job, received_ns)
        self._metrics.count_result(result)
        _log_result(result, job)
        outcome = msgspec.Raw(orjson.dumps(result.as_json()))
        return ResultItem(result=str(uuid.uuid4()), job=job.job, lease=job.lease, outcome=outcome)

    @asynccontextmanager
    async def _status_server(self) -> AsyncIterator[None]:
        if not self._config.enable_status_probes:
            yield
            return
        runner = web.AppRunner(status_application(self._health, self._metrics), access_log=None)
        await runner.setup()
        try:
            await _listen(runner, self._config.status_probes_host, self._config.status_probes_port)
            yield
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", option="statusProbesPort") from error
    bound = runner.addresses[0][1]
    log.info(
        "status probes on %s, port %d", host, bound, extra={"action": "status_probes", "host": host, "port": bound}
    )


@asynccontextmanager
async def _runner(
    config: LocalConfig, trust: TrustStore, clock: Clock, vitals: Vitals, worker_id: str
) -> AsyncIterator[tuple[Runner, Evaluators]]:
    door = Door(policy=policy_of(config), resolver=resolver_of(config), trust=trust, proxy=_proxy_of(config))
    checks = Limits(max_body_bytes=config.max_body_size_if_processed, pattern_seconds=config.regex_timeout)
    limits = RunLimits(
        max_timeout=config.max_timeout, http=HTTPLimits(max_body_bytes=config.max_body_size), checks=checks
    )
    async with Evaluators(config.evaluators, checks, clock) as evaluators:
        yield (
            Runner(
                door=door,
                evaluators=evaluators,
                clock=clock,
                limits=limits,
                vitals=vitals,
                worker_id=worker_id,
                version=__version__,
            ),
            evaluators,
        )


def _proxy_of(config: LocalConfig) -> Proxy | None:
    """The operator's proxy for test requests."""
    if config.proxy_test_requests is None:
        return None
    try:
        return Proxy.parse(
            config.proxy_test_requests,
            bypass=config.proxy_test_requests_bypass_list,
            hands_over_names=config.proxy_resolve == "proxy",
            verify=not config.proxy_ignore_ssl_errors,
        )
    except (ValueError, PolicyError) as error:
        raise ConfigError(str(error), option="proxyTestRequests") from error


def _trust(ca_files: Sequence[Path]) -> TrustStore:
    try:
        return TrustStore(ca_files)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot be read as certificates: {error}", option="caFile") from error


def _peer(config: Config, trust: TrustStore) -> Peer:
    tls = trust.context(verify=not (config.proxy and config.proxy_ignore_ssl_errors))
    return Peer(url=config.intake_url, tls=tls, proxy=config.proxy)


def _identity(config: Config, worker_id: str) -> Identity:
    return Identity(
        credentials=Credentials(config.access_key, config.secret_access_key, config.location_id),
        worker=worker_id,
        private_keys=config.private_keys,
        public_key=config.public_key,
    )


def _announce(config: Config, worker_id: str, warnings: Sequence[str]) -> None:
    for warning in (*warnings, *policy_of(config).warnings(), *_boundary(config)):
        log.warning("%s", warning, extra={"action": "config_warning"})
    log.info(
        "worker %s serves %s from %s with %d slots",
        __version__,
        config.location_id,
        config.intake_url,
        config.concurrency,
        extra={
            "action": "started",
            "worker": worker_id,
            "location": config.location_id,
            "concurrency": config.concurrency,
        },
    )


def _boundary(config: LocalConfig) -> tuple[str, ...]:
    proxy = _proxy_of(config)
    if proxy is None or not proxy.hands_over_names:
        return ()
    return (f"proxyResolve=proxy: {proxy} looks names up and is the boundary now; addresses are not judged here",)


def _log_result(result: Result, job: Job) -> None:
    level = logging.DEBUG if result.failure is None else logging.INFO
    if not log.isEnabledFor(level):
        return
    log.log(
        level,
        "%s %s%s",
        result.test_name or job.job,
        result.status.value,
        f": {result.failure.code.value}" if result.failure else "",
        extra={
            "action": "run_" + result.status.value,
            "job": job.job,
            "test": result.test_public_id,
            "duration_ms": result.timings.total_tenths / 10,
        },
    )


class _Signals:
    """The first SIGTERM or SIGINT stops in order; a second SIGINT hurries."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    def interrupt(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()


@contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signals.stop.set)
    loop.add_signal_handler(signal.SIGINT, signals.interrupt)
    try:
        yield signals
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)
