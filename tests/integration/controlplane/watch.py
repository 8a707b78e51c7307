"""A test that is watched: it runs as a test here says, and what is told of it is read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from controlplane.counters import Counters
from controlplane.leases import LEASE_TTL
from controlplane.service import definitions, tests
from controlplane.service.principal import operator
from controlplane.service.upkeep import Retention, Upkeep
from controlplane.steady import SteadyClock
from controlplane.store.alerttables import monitor_locations, monitors, notifications, transitions
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item

ID = "abc-def-ghi"
PERIOD = 60
BY = operator("somebody")
FAILED: dict[str, Any] = {"status": "failed", "failure": {"code": "CONNECT", "message": "connection refused"}}
MESSAGE = "@slack-ops broke {{#is_alert}}@oncall@example.com{{/is_alert}}{{#is_recovery}}@boss{{/is_recovery}}"
TURN = 4
"""Seconds between two turns of the upkeep: less than would be an absence."""


@dataclass
class Watch:
    """A test that is watched at one location, *worker*'s, whose runs end as the test here says."""

    plane: Plane
    session: aiohttp.ClientSession
    worker: ProtocolWorker
    upkeep: Upkeep

    async def push(
        self, *places: str, message: str = MESSAGE, tags: Sequence[str] = ("env:prod",), **options: Any
    ) -> None:
        content = http_test(
            "shop", public_id=ID, options={"tick_every": PERIOD} | options, message=message, tags=list(tags)
        )
        checked = definitions.check("test", content)
        await tests.push(self.plane.database, self.plane.clock, BY, [checked], places=places or ["office"])

    async def run(self, worker: ProtocolWorker | None = None, **outcome: Any) -> None:
        """Run what is due, as soon as it is, and say how it went."""
        worker = worker or self.worker
        for _ in range(200):
            given = (await worker.pull(self.session)).jobs
            if given:
                assert (await worker.push(self.session, *(item(job, **outcome) for job in given))).accepted
                return
            await self.let_pass(TURN)
        raise AssertionError("nothing was due")

    async def let_pass(self, seconds: int) -> None:
        """Time in which nothing is run and no worker is seen."""
        for _ in range(seconds // TURN):
            self.plane.clock.stall(TURN)
            await self.upkeep.turn()

    async def told(self) -> list[str]:
        """The kinds of transitions that somebody is told of, in their order."""
        (rows,) = await self.plane.rows(transitions)
        return [row.kind for row in rows if not row.muted_by]

    async def addresses(self) -> list[tuple[str, str]]:
        """Each notification: the kind of its transition, and its address."""
        decided, queued = await self.plane.rows(transitions, notifications)
        kinds = {row.id: row.kind for row in decided}
        assert len({row.key for row in queued}) == len(queued)
        return sorted((kinds[row.transition_id], row.address) for row in queued)

    async def summaries(self) -> list[str]:
        (rows,) = await self.plane.rows(transitions)
        return [row.summary for row in rows]

    async def rests(self) -> bool:
        """Tell if nothing is remembered of any test."""
        left = await self.plane.rows(monitors, monitor_locations)
        return not any(left)


def kept_up(plane: Plane) -> Upkeep:
    assert isinstance(plane.context.clock, SteadyClock)
    return Upkeep(
        plane.database,
        plane.context.clock,
        plane.context.grace,
        retention=Retention(age_ms=30 * 86_400_000),
        counters=Counters(),
    )


async def watching(plane: Plane, session: aiohttp.ClientSession) -> Watch:
    """A test-to-be at the location `office`, after the time in which nobody could have been seen."""
    worker = await plane.add_location()
    worker.clock = plane.context.clock
    watch = Watch(plane, session, worker, kept_up(plane))
    await watch.let_pass(LEASE_TTL // 1000)
    return watch
