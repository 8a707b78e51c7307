"""The border between the agent and what it runs: a kind of work, given a job, returns the bytes of its outcome.

The agent never looks into a job's payload or an outcome. A new kind of work implements `Work` and needs no change here.
"""

from __future__ import annotations

from typing import Protocol

from worker.wire.messages import Job


class Work(Protocol):
    """One kind of work. Calls of `run` are independent of one another and go on at the same time."""

    async def run(self, job: Job, received_ns: int) -> bytes:
        """Run *job* and return its outcome as JSON. *received_ns* is the monotonic time at which its batch arrived.

        Raises nothing that a job or a target can cause: a failure is an outcome.
        """
        ...

    def shrink(self, outcome: bytes) -> bytes | None:
        """Return a smaller outcome that says the same, or None if there is none: the control plane refused its size."""
        ...
