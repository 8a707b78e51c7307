"""API tests as a kind of work: a leased job is read, run once, logged, counted, and becomes the JSON of its result.

How one test is run is the subject of `runner`; when and under which lease, that of the agent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from worker.apitest import bounds
from worker.apitest.parse import MULTISTEP
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.result import Result
from worker.outcome import underway
from worker.wire.messages import Job
from worker.work.runner import Runner

if TYPE_CHECKING:
    from worker.evaluators.pool import Evaluators
    from worker.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

_KINDS = frozenset((*PROTOCOLS, MULTISTEP))
"""Subtypes that are labels of metrics."""


class Tests:
    """The agent's `Work` whose jobs are API tests. *on_result* is told of each finished run."""

    def __init__(self, runner: Runner, *, on_result: Callable[[Result], None] = lambda _: None) -> None:
        self._runner = runner
        self._on_result = on_result

    async def run(self, job: Job, received_ns: int) -> bytes:
        """Run *job* and return its result as JSON."""
        if log.isEnabledFor(logging.DEBUG):
            underway.JOB.set(job.job)
        result = await self._runner.carry_out(job, received_ns)
        self._on_result(result)
        _log_result(result, job)
        return bounds.encode(result.as_json())

    def shrink(self, outcome: bytes) -> bytes | None:
        """Return the result without its response body, or, where it has none, its verdict alone."""
        return bounds.shrink(outcome)


def count_in(metrics: Metrics) -> Callable[[Result], None]:
    """Return a function that counts each finished run in *metrics*."""

    def count(result: Result) -> None:
        metrics.count_run(
            kind=result.test_subtype if result.test_subtype in _KINDS else "other",
            status=result.status.value,
            code=result.failure.code.value if result.failure else "",
            seconds=result.timings.total_tenths / 10_000,
            unhealthy=result.unhealthy is not None,
        )

    return count


def show_evaluators(metrics: Metrics, evaluators: Evaluators) -> None:
    """Show the state of *evaluators* in `/metrics`."""
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
