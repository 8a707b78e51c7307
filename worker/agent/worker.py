"""The parts that serve a location, wired to each other, and the sequence in which they stop.

Pulling begins before what runs tests stands (`equip`): a job that comes earlier waits for it, unmeasured.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from worker import __version__
from worker.agent.inflight import InFlight
from worker.agent.outbox import Fate, Outbox
from worker.agent.poller import Cadence, Poller
from worker.agent.signals import Signals
from worker.agent.slots import Slots
from worker.clock import Clock
from worker.config.load import Config
from worker.intake.backoff import Backoff
from worker.intake.client import Identity, Intake, IntakeError, Peer
from worker.loading import without_collections
from worker.net.trust import TrustStore
from worker.telemetry.health import Health
from worker.telemetry.vitals import Vitals
from worker.wire.messages import Job, ResultItem
from worker.wire.signing import Credentials

if TYPE_CHECKING:
    from worker.apitest.result import Result
    from worker.assembly import Assembly
    from worker.evaluators.pool import Evaluators
    from worker.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

AGENT = f"synthetics-worker/{__version__}"
FLUSH = 10.0
"""Seconds for pushing what waits when the worker stops; an outage then loses it to the lease of the next worker."""
INTERRUPTED = 130
"""Exit code after a second Ctrl-C, as shells have it."""


def intake_of(config: Config, trust: TrustStore, clock: Clock, *, worker_id: str) -> Intake:
    """The way to the control plane, not yet open."""
    tls = trust.context(verify=not (config.proxy and config.proxy_ignore_ssl_errors))
    identity = Identity(
        credentials=Credentials(config.access_key, config.secret_access_key, config.location_id),
        worker=worker_id,
        private_keys=config.private_keys,
        public_key=config.public_key,
    )
    return Intake(Peer(url=config.intake_url, tls=tls, proxy=config.proxy), identity, clock, agent=AGENT)


class Worker:
    """Serves until a signal. Jobs run as tasks of *group*."""

    def __init__(
        self, config: Config, clock: Clock, group: asyncio.TaskGroup, *, intake: Intake, vitals: Vitals
    ) -> None:
        self._config = config
        self._clock = clock
        self._group = group
        self._intake = intake
        self._vitals = vitals
        self._metrics = _metrics_of(config)
        self._slots = Slots(config.concurrency)
        self._outbox = Outbox(
            intake,
            clock,
            Backoff(random.uniform),
            set_aside=config.spool_directory,
            on_fate=self._count_fate,
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
        self._assembly: Assembly | None = None
        self._equipped = asyncio.Event()
        if self._metrics is not None:
            self._show_parts(self._metrics)

    def equip(self, assembly: Assembly) -> None:
        """Let jobs begin. The evaluators have been entered, and stay so for as long as this serves."""
        self._assembly = assembly
        self._equipped.set()
        if self._metrics is not None:
            _show_evaluators(self._metrics, assembly.evaluators)

    def _show_parts(self, metrics: Metrics) -> None:
        """Show the state of the parts in `/metrics`."""
        watch, count, counts = metrics.watch, metrics.watch_count, self._poller.counts
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

    def _clock_offset(self) -> float:
        return self._intake.clock_offset.total_seconds()

    async def serve(self, signals: Signals) -> int:
        """Run until a signal, then stop in order; a second interrupt ends at once. Returns the exit code."""
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
        await self._equipped.wait()
        assert self._assembly is not None
        if delay:
            await self._clock.sleep(delay)
        result = await self._assembly.runner.carry_out(job, received_ns)
        if self._metrics is not None:
            self._metrics.count_result(result)
        _log_result(result, job)
        outcome = msgspec.Raw(orjson.dumps(result.as_json()))
        return ResultItem(result=str(uuid.uuid4()), job=job.job, lease=job.lease, outcome=outcome)

    def _count_fate(self, fate: Fate) -> None:
        if self._metrics is not None:
            self._metrics.count_fate(fate.outcome)

    def _status_server(self) -> AbstractAsyncContextManager[object]:
        if self._metrics is None:
            return nullcontext()
        with without_collections():
            from worker.telemetry.status import status_server
        host, port = self._config.status_probes_host, self._config.status_probes_port
        return status_server(self._health, self._metrics, host, port)


def _metrics_of(config: Config) -> Metrics | None:
    """None where nobody can ask for them."""
    if not config.enable_status_probes:
        return None
    with without_collections():
        from worker.telemetry.metrics import Metrics
    return Metrics(__version__)


def _show_evaluators(metrics: Metrics, evaluators: Evaluators) -> None:
    watch, count = metrics.watch, metrics.watch_count
    watch("evaluator_queue", "Evaluations that wait for a process.", lambda: evaluators.waiting)
    count("evaluators_killed", "Evaluators ended with an assertion in hand.", lambda: evaluators.killed)
    count("evaluators_recycled", "Evaluators replaced for their size.", lambda: evaluators.recycled)
    count("evaluators_crashed", "Evaluators ended without any work in hand.", lambda: evaluators.crashed)


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
