"""A control plane that a test programs reply by reply. Its own tests are in tests/unit/support/test_fakes.py."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from worker.wire.messages import Jobs, Pull, ResultItem, ResultsReply


class FakeIntake:
    """Answers pulls and pushes from queues; an empty queue means no jobs, or everything accepted.

    An exception in a queue is raised. *gate*, when set, holds every exchange until the test opens it.
    """

    def __init__(self) -> None:
        self.pulls: list[Pull] = []
        self.pushes: list[list[ResultItem]] = []
        self.jobs: deque[Jobs | Exception] = deque()
        self.replies: deque[ResultsReply | Exception] = deque()
        self.gate: asyncio.Event | None = None

    async def pull(self, message: Pull) -> Jobs:
        self.pulls.append(message)
        await self._pass_gate()
        answer = self.jobs.popleft() if self.jobs else Jobs()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def push(self, items: Sequence[ResultItem]) -> ResultsReply:
        self.pushes.append(list(items))
        await self._pass_gate()
        if not self.replies:
            return ResultsReply(accepted=tuple(item.result for item in items))
        answer = self.replies.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def seal(self, payload: bytes) -> bytes:
        return b"sealed " + payload

    async def _pass_gate(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
