"""The composition root: makes every part from one config in the order of a start, and runs them in one TaskGroup.

Parts are imported when their turn comes: a start takes as long as its imports do, and the first pull waits for half of them
only. Opens no socket and judges nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from worker import __version__
from worker.agent.signals import caught
from worker.clock import Clock, SystemClock
from worker.config.load import Config, LocalConfig
from worker.loading import without_collections
from worker.reach import Egress, egress_of, trust_of
from worker.telemetry.vitals import Vitals

if TYPE_CHECKING:
    from worker.apitest.definition import APITest
    from worker.apitest.result import Result
    from worker.assembly import Assembly

log = logging.getLogger(__name__)


async def run(config: Config, warnings: Sequence[str] = ()) -> int:
    """Serve a location until a signal; returns the exit code. Raises ConfigError for what only a start can show."""
    clock = SystemClock()
    worker_id = str(uuid.uuid4())
    vitals = Vitals(clock)
    with caught() as signals:
        # OpenSSL reads authorities without the interpreter's lock, so imports go on meanwhile.
        reading = asyncio.get_running_loop().run_in_executor(None, trust_of, config)
        with without_collections():
            from worker.agent import worker as serving
        egress = egress_of(config, await reading)
        _announce(config, worker_id, (*warnings, *egress.warnings()))
        async with serving.intake_of(config, egress.trust, clock, worker_id=worker_id) as intake:
            try:
                async with asyncio.TaskGroup() as group:
                    worker = serving.Worker(config, clock, group, intake=intake, vitals=vitals)
                    served = group.create_task(worker.serve(signals), name="serving")
                    async with _assembled(config, egress, clock, vitals, worker_id=worker_id) as assembly:
                        worker.equip(assembly)
                        return await served
            finally:
                log.info("stopped", extra={"action": "stopped", "worker": worker_id})


async def check(config: LocalConfig, tests: Sequence[APITest]) -> AsyncIterator[Result]:
    """Run each test once, here, under the same options and policy as a worker would; results in the order of *tests*."""
    clock = SystemClock()
    vitals = Vitals(clock)
    slots = asyncio.Semaphore(config.concurrency)
    egress = egress_of(config, trust_of(config))
    async with _assembled(config, egress, clock, vitals, worker_id="") as assembly:

        async def one(test: APITest) -> Result:
            async with slots:
                return await assembly.runner.run(test)

        watching = asyncio.create_task(vitals.run())
        running = [asyncio.create_task(one(test)) for test in tests]
        try:
            for task in running:
                yield await task
        finally:
            watching.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(watching, *running, return_exceptions=True)


@asynccontextmanager
async def _assembled(
    config: LocalConfig, egress: Egress, clock: Clock, vitals: Vitals, *, worker_id: str
) -> AsyncIterator[Assembly]:
    """What runs tests, imported and made in a thread: the loop goes on, and with it the first pull."""

    def assembled() -> Assembly:
        with without_collections():
            from worker.assembly import assemble
        return assemble(config, egress, clock, vitals, worker_id=worker_id)

    assembly = await asyncio.to_thread(assembled)
    async with assembly.evaluators:
        yield assembly


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
