"""The runner of API tests for `checks.run`: the worker's own, made at the first test, so that others pay nothing for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from worker.actions.tools import ActionRoute, Doors
from worker.clock import Clock

if TYPE_CHECKING:
    from worker.work.runner import Runner

EVALUATORS: Final = 1
PATTERN_SECONDS: Final = 0.5
MAX_BODY_BYTES: Final = 5 * 1024 * 1024


class InsideTests:
    """Runs tests under the policy `free`; *max_seconds* caps each. `async with` ends its processes."""

    def __init__(self, doors: Doors, clock: Clock, max_seconds: float) -> None:
        self._doors = doors
        self._clock = clock
        self._max_seconds = max_seconds
        self._making = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, definition: Any) -> dict[str, Any]:
        """The outcome of one run, as a worker would push it. Raises TestError."""
        async with self._making:
            if self._runner is None:
                self._runner = await self._made()
        from worker.apitest import bounds  # noqa: PLC0415 - most runners run no test
        from worker.apitest.parse import parse  # noqa: PLC0415 - as above

        result = await self._runner.run(parse(definition))
        outcome: dict[str, Any] = orjson.loads(bounds.encode(result.as_json()))
        return outcome

    async def _made(self) -> Runner:
        from worker import __version__  # noqa: PLC0415 - as above, like all that follow
        from worker.checks.evidence import AssertionLimits  # noqa: PLC0415
        from worker.evaluators.pool import Evaluators  # noqa: PLC0415
        from worker.net.http.response import HTTPLimits  # noqa: PLC0415
        from worker.probers.limits import ProbeLimits  # noqa: PLC0415
        from worker.telemetry.vitals import Vitals  # noqa: PLC0415
        from worker.work.runner import RunLimits, Runner  # noqa: PLC0415

        checks = AssertionLimits(max_body_bytes=MAX_BODY_BYTES, pattern_seconds=PATTERN_SECONDS)
        evaluators = await self._stack.enter_async_context(Evaluators(EVALUATORS, checks, self._clock))
        return Runner(
            door=await self._doors.to(ActionRoute()),
            evaluators=evaluators,
            clock=self._clock,
            limits=RunLimits(
                max_timeout=self._max_seconds,
                probes=ProbeLimits(http=HTTPLimits(max_body_bytes=MAX_BODY_BYTES)),
                checks=checks,
            ),
            vitals=Vitals(self._clock),
            worker_id="",
            version=__version__,
        )
