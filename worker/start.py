"""The composition root: makes every part from one config, in the order of a start, and runs them in one TaskGroup.

Parts are imported when their turn comes: a start takes as long as its imports, and the first pull waits for half of them
only. This module opens no socket and judges nothing itself. `run` serves a location; `check` runs tests once, here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from worker import __version__
from worker.agent.signals import caught
from worker.clock import Clock, SystemClock
from worker.config.load import Config, LocalConfig
from worker.egress.policy import Policy
from worker.egress.proxy import Proxy
from worker.errors import ConfigError, ExitCode
from worker.net.trust import TrustStore, intake_context
from worker.program.heap import give_back, keep_heap_small
from worker.program.loading import without_collections
from worker.telemetry.vitals import Vitals
from worker.text import printable

if TYPE_CHECKING:
    from worker.agent.journal.journal import Journal
    from worker.agent.work import Work
    from worker.agent.worker import Worker
    from worker.apitest.definition import APITest
    from worker.apitest.given import GivenVariables
    from worker.apitest.result import Result
    from worker.evaluators.pool import Evaluators
    from worker.intake.client import Intake
    from worker.net.dns.resolver import Resolver
    from worker.net.door import Door
    from worker.telemetry.health import Health
    from worker.telemetry.metrics import Metrics
    from worker.work.runner import Runner

log = logging.getLogger(__name__)

AGENT = f"synthetics-worker/{__version__}"
MOST_VERBOSE = 4
"""The `verbosity` that tells of each step of a run."""


async def run(config: Config, warnings: Sequence[str] = ()) -> ExitCode:
    """Serve a location until a signal. Raises ConfigError for what only a start can show."""
    keep_heap_small()
    clock = SystemClock()
    vitals = Vitals(clock)
    with caught() as signals:
        # OpenSSL reads authorities without the interpreter's lock, so imports go on meanwhile.
        loop = asyncio.get_running_loop()
        reading = asyncio.gather(
            loop.run_in_executor(None, trust_of, config), loop.run_in_executor(None, intake_tls_of, config)
        )
        import_agent()
        trust, intake_tls = await reading
        egress = egress_of(config, trust)
        async with _journal_of(config, clock) as journal:
            worker_id = str(uuid.uuid4()) if journal is None else journal.worker
            _announce(config, worker_id, (*warnings, *egress.warnings()))
            metrics = _metrics_of(config)
            work: asyncio.Future[Work] = loop.create_future()
            async with intake_of(config, intake_tls, clock, worker_id=worker_id) as intake:
                try:
                    async with asyncio.TaskGroup() as group:
                        serving = serving_of(
                            config,
                            clock,
                            group,
                            intake=intake,
                            vitals=vitals,
                            metrics=metrics,
                            work=work,
                            journal=journal,
                        )
                        async with _status_server(config, serving.health, metrics):
                            served = group.create_task(serving.worker.serve(signals), name="serving")
                            async with _running_tests(config, egress, clock, vitals, worker_id=worker_id) as tests:
                                work.set_result(_tests_of(tests, metrics))
                                give_back()
                                return await served
                finally:
                    log.info("stopped", extra={"action": "stopped", "worker": worker_id})


async def check(
    config: LocalConfig, tests: Sequence[APITest], *, given: GivenVariables | None = None
) -> AsyncGenerator[tuple[int, Result], None]:
    """Run each test once, here, under the same options and policy as a worker would; indexes and results as they come."""
    clock = SystemClock()
    vitals = Vitals(clock)
    slots = asyncio.Semaphore(config.concurrency)
    egress = egress_of(config, trust_of(config))
    async with _running_tests(config, egress, clock, vitals, worker_id="") as made:
        from worker.work.runner import Occasion

        occasion = Occasion(given=given)

        async def one(index: int, test: APITest) -> tuple[int, Result]:
            async with slots:
                return index, await made.runner.run(test, occasion)

        watching = asyncio.create_task(vitals.run())
        running = [asyncio.create_task(one(index, test)) for index, test in enumerate(tests)]
        try:
            for done in asyncio.as_completed(running):
                yield await done
        finally:
            watching.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(watching, *running, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """The policy, the proxy for test requests, and the authorities that are believed."""

    policy: Policy
    proxy: Proxy | None
    trust: TrustStore

    def warnings(self) -> tuple[str, ...]:
        """Sentences that an operator should read before anything goes wrong."""
        return (*self.policy.warnings(), *_boundary(self.proxy))


def egress_of(config: LocalConfig, trust: TrustStore) -> Egress:
    return Egress(policy=policy_of(config), proxy=_proxy_of(config), trust=trust)


def policy_of(config: LocalConfig) -> Policy:
    return Policy.build(
        allow=config.allow_ranges,
        deny=config.deny_ranges,
        allow_names=config.allowed_domain_names,
        deny_names=config.blocked_domain_names,
        block_special_purpose=config.enable_default_blocked_ip_ranges,
        nat64_prefixes=config.nat64_prefixes,
    )


def resolver_of(config: LocalConfig) -> Resolver:
    """The host's resolver and the named servers; imported only where names are looked up."""
    from worker.net.dns.resolver import Resolver

    return Resolver(config.dns_servers, use_host=config.dns_use_host, ipv6=config.enable_ipv6)


def trust_of(config: LocalConfig) -> TrustStore:
    """Read every authority's certificate, the system's too: tens of milliseconds. Raises ConfigError."""
    try:
        return TrustStore(config.ca_files)
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(error) from error


def intake_tls_of(config: Config) -> ssl.SSLContext:
    """TLS to the control plane and to the proxy before it; takes as long as `trust_of`. Raises ConfigError."""
    try:
        return intake_context(config.ca_files, verify=not (config.proxy and config.proxy_ignore_ssl_errors))
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> ConfigError:
    return ConfigError(f"cannot be read as certificates: {error}", option="caFile")


def _proxy_of(config: LocalConfig) -> Proxy | None:
    """The proxy for test requests."""
    if config.proxy_test_requests is None:
        return None
    return replace(
        config.proxy_test_requests,
        bypass=config.proxy_test_requests_bypass_list,
        hands_over_names=config.proxy_resolve == "proxy",
        verify=not config.proxy_ignore_ssl_errors,
    )


def _boundary(proxy: Proxy | None) -> tuple[str, ...]:
    if proxy is None or not proxy.hands_over_names:
        return ()
    return (f"proxyResolve=proxy: {proxy} looks names up and is the boundary now; addresses are not judged here",)


def intake_of(config: Config, tls: ssl.SSLContext, clock: Clock, *, worker_id: str) -> Intake:
    """The way to the control plane, not yet open."""
    from worker.intake.client import Identity, Intake
    from worker.intake.transport import Peer
    from worker.wire.signing import Credentials

    identity = Identity(
        credentials=Credentials(config.access_key, config.secret_access_key, config.location_id),
        worker=worker_id,
        private_keys=config.private_keys,
        public_key=config.public_key,
    )
    return Intake(Peer(url=config.intake_url, tls=tls, proxy=config.proxy), identity, clock, agent=AGENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A worker ready to serve, and its health for whoever asks."""

    worker: Worker
    health: Health


def serving_of(
    config: Config,
    clock: Clock,
    group: asyncio.TaskGroup,
    *,
    intake: Intake,
    vitals: Vitals,
    metrics: Metrics | None,
    work: asyncio.Future[Work],
    journal: Journal | None = None,
) -> Serving:
    """Slots, outbox, jobs in flight, poller and health, wired to each other. Jobs wait for *work*, pulls do not."""
    from worker.agent import readings
    from worker.agent.inflight import InFlight
    from worker.agent.outbox import Outbox
    from worker.agent.poller import LONGEST_WAIT, Cadence, Poller
    from worker.agent.slots import Slots
    from worker.agent.worker import Worker
    from worker.intake.backoff import Backoff
    from worker.telemetry.health import Health, check_liveness_file

    slots = Slots(config.concurrency)
    outbox = Outbox(
        intake,
        clock,
        Backoff(random.uniform),
        shrink=lambda outcome: work.result().shrink(outcome),  # an outcome exists, and so does what made it
        set_aside=None if journal is None else journal.set_aside,
        journal=journal,
        on_delivery=lambda delivery: None if metrics is None else metrics.count_delivery(delivery.outcome),
    )
    if journal is not None:
        outbox.restore(journal.inherited)
    inflight = InFlight(work, slots=slots, outbox=outbox, clock=clock, group=group)
    poller = Poller(
        intake,
        inflight,
        outbox,
        slots,
        clock,
        cadence=Cadence(interval=config.poll_interval, at_most=config.max_number_messages_to_fetch),
        keys=tuple(key.kid for key in config.private_keys),
        agent=AGENT,
        host=printable(socket.gethostname()),
        backoff=Backoff(random.uniform, longest=LONGEST_WAIT, longest_asked=LONGEST_WAIT),
        unreadable=Backoff(random.uniform),
        trouble=lambda: (None if journal is None else journal.trouble) or vitals.shortage,
    )
    health = Health(
        clock,
        quiet_until_ns=lambda: poller.quiet_until_ns,
        last_signed_reply_ns=lambda: intake.last_signed_reply_ns,
    )
    if metrics is not None:
        readings.show(metrics, slots=slots, inflight=inflight, poller=poller, outbox=outbox)
        metrics.watch(
            "event_loop_lag_seconds", "Worst lateness of the event loop in ten seconds.", lambda: vitals.worst_lag
        )
        metrics.watch(
            "clock_offset_seconds",
            "What the control plane's clock is ahead, by its last signed reply.",
            lambda: intake.clock_offset.total_seconds(),  # noqa: PLW0108  # the offset is replaced, not changed
        )
        if journal is not None:
            readings.show_journal(metrics, journal)
    loops = {"vitals": vitals.run}
    if journal is not None:
        loops |= {"journal": journal.run, "spool": partial(journal.tend, outbox)}
    liveness_file = config.liveness_file
    if liveness_file is not None:
        check_liveness_file(liveness_file)
        loops["liveness"] = lambda: health.keep_liveness_file(liveness_file)
    worker = Worker(
        poller=poller,
        inflight=inflight,
        outbox=outbox,
        group=group,
        loops=loops,
        drain_timeout=config.drain_timeout,
    )
    return Serving(worker=worker, health=health)


def _journal_of(config: Config, clock: Clock) -> AbstractAsyncContextManager[Journal | None]:
    """None where no `spoolDirectory` is set: then nothing of it is imported."""
    if config.spool_directory is None:
        return nullcontext()
    with without_collections():
        from worker.agent.journal.journal import Journal
    return Journal.of(config.spool_directory, config.location_id, config.private_keys, clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTests:
    """The runner of tests and the evaluators that it needs."""

    runner: Runner
    evaluators: Evaluators


def running_tests_of(
    config: LocalConfig,
    egress: Egress,
    clock: Clock,
    vitals: Vitals,
    *,
    worker_id: str,
    make_door: Callable[..., Door] | None = None,
) -> RunningTests:
    """The door, the evaluators and the runner over both. Opens and starts nothing, and may be called in any thread.

    *make_door* takes the parts of a `Door`, and is that where it is not given.

    Its imports are half of what a start takes.
    """
    with without_collections():
        from worker.checks.evidence import AssertionLimits
        from worker.evaluators.pool import Evaluators
        from worker.net.door import Door
        from worker.net.http.response import HTTPLimits
        from worker.probers.identification import USER_AGENT, Identification
        from worker.probers.limits import ProbeLimits
        from worker.work.runner import RunLimits, Runner

    resolver, make_door = resolver_of(config), make_door or Door
    door = make_door(policy=egress.policy, resolver=resolver, trust=egress.trust, proxy=egress.proxy)
    checks = AssertionLimits(max_body_bytes=config.max_body_size_if_processed, pattern_seconds=config.regex_timeout)
    evaluators = Evaluators(config.evaluators, checks, clock, memory_bytes=_memory_of_evaluators(config))
    runner = Runner(
        door=door,
        evaluators=evaluators,
        clock=clock,
        limits=RunLimits(
            max_timeout=config.max_timeout,
            probes=ProbeLimits(
                http=HTTPLimits(
                    max_body_bytes=config.max_body_size, headers_to_all_hosts=config.redirect_headers == "all"
                ),
                identification=Identification(config.user_agent or USER_AGENT, config.identification_headers),
            ),
            checks=checks,
        ),
        vitals=vitals,
        worker_id=worker_id,
        version=__version__,
    )
    return RunningTests(runner=runner, evaluators=evaluators)


def _memory_of_evaluators(config: LocalConfig) -> int:
    """Bytes for each evaluator: what the control group has, less the worker's own and each slot's body, raw and decompressed."""
    from worker.evaluators.bounds import MIN_MEMORY_BYTES, share_of_memory
    from worker.evaluators.pool import SPARES
    from worker.sandbox.memory import memory_limit

    limit = memory_limit()
    bodies = config.concurrency * 2 * config.max_body_size
    share = share_of_memory(limit, config.evaluators + SPARES, bodies)
    if share == MIN_MEMORY_BYTES:
        log.warning(
            "%d MiB of memory are too few for the worker, %d evaluators and a spare: the kernel may end some of them",
            (limit or 0) // 1024**2,
            config.evaluators,
            extra={"action": "memory_short", "limit_bytes": limit},
        )
    return share


def _logging_door() -> Callable[..., Door]:
    """Make doors that tell the log of each step; their import is for this alone."""
    from worker.net.trace import DoorLog, WatchedDoor

    return partial(WatchedDoor, DoorLog())


@asynccontextmanager
async def _running_tests(
    config: LocalConfig, egress: Egress, clock: Clock, vitals: Vitals, *, worker_id: str
) -> AsyncIterator[RunningTests]:
    """The runner of tests, made in a thread: the loop goes on, and with it the first pull."""
    make = partial(running_tests_of, config, egress, clock, vitals, worker_id=worker_id)
    made = await asyncio.to_thread(make, make_door=_logging_door() if config.verbosity == MOST_VERBOSE else None)
    async with made.evaluators:
        yield made


def _tests_of(made: RunningTests, metrics: Metrics | None) -> Work:
    from worker.work.tests import Tests, count_in, show_evaluators

    if metrics is None:
        return Tests(made.runner)
    show_evaluators(metrics, made.evaluators)
    return Tests(made.runner, on_result=count_in(metrics))


def import_agent() -> None:
    """Import what the first pull needs, while the authorities are read in a thread."""
    with without_collections():
        import worker.agent.worker
        import worker.intake.client  # noqa: F401


def _metrics_of(config: Config) -> Metrics | None:
    """None where nobody can ask for them."""
    if not config.enable_status_probes:
        return None
    with without_collections():
        from worker.telemetry.metrics import Metrics
    return Metrics(__version__, location=config.location_id)


def _status_server(config: Config, health: Health, metrics: Metrics | None) -> AbstractAsyncContextManager[object]:
    if metrics is None:
        return nullcontext()
    with without_collections():
        from worker.telemetry.status import status_application, status_server
    application = status_application(health, metrics)
    host, port = config.status_probes_host, config.status_probes_port
    return status_server(application, host, port, option="statusProbesPort")


def _announce(config: Config, worker_id: str, warnings: Sequence[str]) -> None:
    for warning in warnings:
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
