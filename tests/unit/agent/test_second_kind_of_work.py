"""A second kind of work runs through real slots, poller and outbox, and nothing of the agent knows of it.

The kind here is not an API test: its payload is a word, its outcome the word in capitals.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid

import msgspec

from tests.support.clock import FakeClock
from tests.support.intake import FakeIntake
from tests.support.jobs import job
from worker.agent.inflight import InFlight
from worker.agent.outbox import GATHER, Delivery, Outbox
from worker.agent.poller import Cadence, Poller
from worker.agent.slots import Slots
from worker.agent.work import Work
from worker.intake.backoff import Backoff
from worker.intake.replies import Reaction
from worker.intake.transport import IntakeError
from worker.wire.messages import Job, Jobs


class Shout:
    """A kind of work: the payload in capitals. A shorter outcome is its first letter."""

    async def run(self, job: Job, received_ns: int) -> bytes:
        word: str = msgspec.json.decode(job.test)
        return msgspec.json.encode(word.upper())

    def shrink(self, outcome: bytes) -> bytes | None:
        word: str = msgspec.json.decode(outcome)
        return msgspec.json.encode(word[:1]) if len(word) > 1 else None


class Agent:
    """The real parts on a fake intake and a fake clock, running one kind of work."""

    def __init__(self, kind: Work, group: asyncio.TaskGroup) -> None:
        work: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        work.set_result(kind)
        backoff = Backoff(lambda _, high: high)
        self.clock = FakeClock()
        self.intake = FakeIntake()
        self.slots = Slots(2)
        self.deliveries: list[Delivery] = []
        self.outbox = Outbox(self.intake, self.clock, backoff, shrink=kind.shrink, on_delivery=self.deliveries.append)
        self.inflight = InFlight(work, slots=self.slots, outbox=self.outbox, clock=self.clock, group=group)
        self.poller = Poller(
            self.intake,
            self.inflight,
            self.outbox,
            self.slots,
            self.clock,
            cadence=Cadence(interval=1.0, at_most=10),
            keys=("kid",),
            agent="shouting",
            backoff=Backoff(lambda _, high: high),
            unreadable=Backoff(lambda _, high: high),
        )
        self.loops = [group.create_task(loop) for loop in (self.poller.run(), self.outbox.run())]

    def outcomes(self) -> list[tuple[str, object]]:
        return [(item.lease, msgspec.json.decode(item.outcome)) for push in self.intake.pushes for item in push]

    def stop(self) -> None:
        for loop in self.loops:
            loop.cancel()


async def test_its_jobs_take_slots_and_their_outcomes_are_pushed() -> None:
    async with asyncio.TaskGroup() as group:
        agent = Agent(Shout(), group)
        agent.intake.jobs.append(Jobs(jobs=(job("a", test="hush"), job("b", test="now"))))
        await agent.clock.advance(1)
        assert agent.outcomes() == [("lease-a", "HUSH"), ("lease-b", "NOW")]
        results = [uuid.UUID(item.result) for push in agent.intake.pushes for item in push]
        assert [result.version for result in results] == [7, 7]
        assert len(set(results)) == 2
        assert [delivery.outcome for delivery in agent.deliveries] == ["accepted", "accepted"]
        assert (agent.slots.free, agent.outbox.waiting) == (2, 0)
        agent.stop()


async def test_an_outcome_that_is_too_large_is_shrunk_by_its_own_kind() -> None:
    async with asyncio.TaskGroup() as group:
        agent = Agent(Shout(), group)
        agent.intake.jobs.append(Jobs(jobs=(job("a", test="hush"),)))
        agent.intake.replies.append(IntakeError("too large", reaction=Reaction.SPLIT))
        await agent.clock.advance(GATHER + 1)
        assert agent.outcomes() == [("lease-a", "HUSH"), ("lease-a", "H")]
        agent.stop()


def test_the_agent_imports_nothing_of_any_kind_of_work() -> None:
    code = "import sys; from worker.agent import readings, worker; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    kinds = ("worker.apitest", "worker.checks", "worker.probers", "worker.work", "worker.evaluators")
    assert [name for name in modules if name.startswith(kinds)] == []
