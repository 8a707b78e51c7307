"""`check --trace`: run tests one after the other behind a watched door, so that each timeline stands before its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from worker import start
from worker.net.trace import Timeline, WatchedDoor
from worker.telemetry.vitals import Vitals
from worker.work.runner import Occasion

if TYPE_CHECKING:
    from worker.apitest.definition import APITest
    from worker.apitest.given import GivenVariables
    from worker.apitest.result import Result
    from worker.clock import Clock
    from worker.config.load import LocalConfig


async def trace(
    config: LocalConfig,
    clock: Clock,
    timeline: Timeline,
    tests: Sequence[APITest],
    *,
    given: GivenVariables | None = None,
) -> AsyncGenerator[tuple[int, Result], None]:
    """Run each test once under the same options and policy as a worker would; *timeline* hears what goes through the door."""
    vitals = Vitals(clock)
    egress = start.egress_of(config, start.trust_of(config))
    made = start.running_tests_of(config, egress, clock, vitals, worker_id="", make_door=partial(WatchedDoor, timeline))
    async with made.evaluators:
        occasion = Occasion(given=given)
        watching = asyncio.create_task(vitals.run())
        try:
            for index, test in enumerate(tests):
                timeline.begin(test.name)
                yield index, await made.runner.run(test, occasion)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
