"""Private actions as the agent's kind of work: a job's payload is a signed task, its outcome what the wire calls one.

A task that is cancelled, by the control plane or by a drain, has an outcome all the same: somebody waits for it.
"""

from __future__ import annotations

import logging

import msgspec

from worker.actionrunner.executor import TaskExecutor
from worker.clock import Clock
from worker.errors import MessageError
from worker.wire import messages
from worker.wire.messages import Job
from worker.wire.runner_messages import OutcomeError, TaskOutcome

log = logging.getLogger(__name__)


class ActionWork:
    """Runs each job through *executor*."""

    def __init__(self, executor: TaskExecutor, clock: Clock) -> None:
        self._executor = executor
        self._clock = clock

    async def run(self, job: Job, received_ns: int) -> bytes:
        """Carry out a task and return its outcome as JSON."""
        token = msgspec.json.decode(bytes(job.test), type=str)
        outcome = await self._executor.run(job.job, token, start_by_ns=received_ns + job.start_by * 1_000_000)
        log.info(
            "a task ended: %s%s",
            outcome.status,
            "" if outcome.error is None else f" ({outcome.error.code} {outcome.error.detail})",
            extra={
                "action": "task_ended",
                "status": outcome.status,
                "code": "" if outcome.error is None else outcome.error.code,
                "order_sha256": outcome.order_sha256,
                "milliseconds": outcome.duration_ms,
            },
        )
        return messages.encode(outcome)

    def shrink(self, outcome: bytes) -> bytes | None:
        """The outcome without its outputs, a success as a failure: a cut output would be a lie. None where it has none."""
        try:
            whole = messages.decode(TaskOutcome, outcome)
        except MessageError:
            return None
        if whole.outputs is None:
            return None
        if whole.error is not None:
            return messages.encode(msgspec.structs.replace(whole, outputs=None))
        error = OutcomeError(
            code="OUTPUT_TOO_LARGE",
            message="the control plane refused the size of the outputs; the action itself was carried out",
            may_have_run=True,
        )
        return messages.encode(msgspec.structs.replace(whole, status="failed", outputs=None, error=error))
