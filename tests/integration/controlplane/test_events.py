"""The promises of the leases and the schedule, kept under random events on a real store.

A machine drives the two endpoints as workers would: replies get lost, workers die and are replaced, results come late or
twice, tests are edited and paused, the control plane is away. What it believes is kept in plain dictionaries and compared with
the database.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from controlplane.leases import LEASE_TTL, MAX_DELIVERIES
from controlplane.rest.exchange import Asked
from controlplane.rest.worker import pull, push
from controlplane.schedule import Timetable
from controlplane.store import locations, tests
from controlplane.store.tables import assignments, jobs, results
from tests.fakes.protocol import ProtocolWorker, Reply, item
from tests.integration.controlplane.plane import Plane, opened
from worker.wire import messages
from worker.wire.messages import Job, Jobs, ResultItem, ResultsReply

PERIODS = {"aaa-aaa-aaa": 30, "bbb-bbb-bbb": 45, "ccc-ccc-ccc": 60}
UNTOUCHED = "aaa-aaa-aaa"
"""Never edited, paused or run by hand, so that every one of its runs can be accounted for."""


@dataclass(slots=True)
class Model:
    """A worker process as it sees itself. *running* by lease, *outbox* by lease."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    pulls: int = 0
    pushes: int = 0
    running: dict[str, Job] = field(default_factory=dict)
    outbox: dict[str, ResultItem] = field(default_factory=dict)


class Events(RuleBasedStateMachine):
    """Three workers of one location and three tests."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="controlplane-events-"))
        for file in self.template.iterdir():
            shutil.copy(file, self.folder)
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.plane: Plane = self.runner.run(self.stack.enter_async_context(opened(self.folder)))
        self.file: ProtocolWorker = self.runner.run(self.plane.add_location())
        self.workers = [Model(), Model(), Model()]
        self.started = self.plane.now()
        self.last_seen: dict[str, int] = {}
        self.owner: dict[str, tuple[str, str]] = {}
        """Job → (worker, lease) as of the last pull that the control plane answered, whether or not the reply arrived."""
        self.accepted: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.pushed: list[ResultItem] = []

    @initialize()
    def make_tests(self) -> None:
        self.born = self.plane.now()
        for public_id, period in PERIODS.items():
            self.runner.run(self.plane.add_test(self.file.location, public_id, period=period))

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    # what workers do

    def asked(self, worker: Model, seq: int, body: bytes) -> Asked:
        place = self.runner.run(self.location())
        return Asked(location=place, worker=worker.id, seq=seq, body=body)

    async def location(self) -> locations.Location:
        async with self.plane.database.read() as connection:
            return await locations.find(connection, self.file.location)

    def send_pull(self, worker: Model, release: list[str], **changes: Any) -> Jobs:
        worker.pulls += 1
        holding = (*worker.running, *worker.outbox)
        body = self.file.pull_body(holding=holding, release=tuple(release), **changes)
        answer = self.runner.run(pull(self.plane.service, self.asked(worker, worker.pulls, body)))
        self.last_seen[worker.id] = self.plane.now()
        for job, (owner, lease) in list(self.owner.items()):
            if owner == worker.id and (lease not in holding or lease in release):
                del self.owner[job]
        return self.file.read_jobs(Reply(answer.status, True, {}, answer.body))

    def check_leases(self, worker: Model, given: Jobs) -> None:
        now = self.plane.now()
        for job in given.jobs:
            if job.job in self.owner:
                owner, _ = self.owner[job.job]
                assert now - self.last_seen[owner] > LEASE_TTL, "a job that is held was given out again"
                assert now - self.started >= LEASE_TTL, "a lease expired too soon after a start"
            assert job.delivery <= MAX_DELIVERIES
            assert job.start_by > 0
            assert job.job not in self.accepted.values()
            self.owner[job.job] = (worker.id, job.lease)

    @rule(who=st.integers(0, 2), free=st.integers(0, 3), reply_lost=st.booleans(), gives_back=st.booleans())
    def pull(self, who: int, free: int, reply_lost: bool, gives_back: bool) -> None:
        worker = self.workers[who]
        release = list(worker.running)[:1] if gives_back else []
        for lease in release:
            del worker.running[lease]
        given = self.send_pull(worker, release, free_slots=free)
        assert len(given.jobs) <= free
        self.check_leases(worker, given)
        for lease in given.cancel:
            worker.running.pop(lease, None)
        if not reply_lost:
            worker.running |= {job.lease: job for job in given.jobs}

    @rule(who=st.integers(0, 2), how=st.sampled_from([{"draining": True}, {"degraded": "outbox"}]))
    def pull_without_appetite(self, who: int, how: dict[str, Any]) -> None:
        assert self.send_pull(self.workers[who], [], free_slots=3, **how).jobs == ()

    @rule(who=st.integers(0, 2))
    def finish(self, who: int) -> None:
        worker = self.workers[who]
        for lease, job in worker.running.items():
            worker.outbox[lease] = item(job)
        worker.running.clear()

    @rule(who=st.integers(0, 2), reply_lost=st.booleans())
    def push(self, who: int, reply_lost: bool) -> None:
        worker = self.workers[who]
        items = list(worker.outbox.values())
        if items:
            self.send_push(worker, items)
            if not reply_lost:
                worker.outbox.clear()

    @precondition(lambda self: self.pushed)
    @rule(data=st.data(), who=st.integers(0, 2))
    def push_what_was_pushed_before(self, data: st.DataObject, who: int) -> None:
        self.send_push(self.workers[who], [data.draw(st.sampled_from(self.pushed))])

    def send_push(self, worker: Model, items: list[ResultItem]) -> None:
        worker.pushes += 1
        asked = self.asked(worker, worker.pushes, self.file.results_body(*items))
        reply = messages.decode(ResultsReply, self.runner.run(push(self.plane.service, asked)).body)
        accepted, duplicate, superseded = [], [], []
        for one in items:
            if one.result in self.accepted:
                duplicate.append(one.result)
            elif one.job in self.accepted.values() or one.job in self.deleted:
                superseded.append(one.result)
            else:
                accepted.append(one.result)
                self.accepted[one.result] = one.job
                self.owner.pop(one.job, None)
        assert (list(reply.accepted), list(reply.duplicate), list(reply.superseded)) == (
            accepted,
            duplicate,
            superseded,
        )
        assert reply.rejected == ()
        self.pushed += items

    @rule(who=st.integers(0, 2))
    def die(self, who: int) -> None:
        """With everything in memory; another process takes its place."""
        self.workers[who] = Model()

    # what people and time do

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.runner.run(self.plane.let_pass(seconds))

    @rule(seconds=st.integers(6, 400))
    def the_control_plane_is_away(self, seconds: int) -> None:
        self.plane.clock.stall(seconds)
        self.started = self.plane.now()
        self.plane.restart()
        self.runner.run(self.plane.sweep(mend=True))

    @rule(how=st.sampled_from(["edit", "pause", "resume", "run"]))
    def somebody_changes_a_test(self, how: str) -> None:
        self.runner.run(self.change("bbb-bbb-bbb", how))

    @rule()
    def somebody_deletes_a_test_and_makes_it_again(self) -> None:
        self.runner.run(self.change("ccc-ccc-ccc", "delete"))
        self.runner.run(self.plane.add_test(self.file.location, "ccc-ccc-ccc", period=60))

    async def change(self, public_id: str, how: str) -> None:
        now = self.plane.now()
        (given,) = await self.plane.rows(jobs)
        open_jobs = {row.id for row in given if row.test_id == public_id and row.closed is None}
        async with self.plane.database.write() as connection:
            test = await tests.get(connection, public_id)
            match how:
                case "edit":
                    await tests.put(connection, test, now=now)
                case "pause" | "resume":
                    await tests.set_paused(connection, test, paused=how == "pause", now=now)
                case "run":
                    assert await tests.run_now(connection, test, now=now) == ["office"]
                case "delete":
                    await tests.remove(connection, test, now=now)
                    self.deleted |= open_jobs
                    for job in open_jobs:
                        self.owner.pop(job, None)

    # what must always hold

    @invariant()
    def the_books_balance(self) -> None:
        kept, given, due = self.runner.run(self.plane.rows(results, jobs, assignments))
        check_that_every_job_ends_once(kept, given)
        stored = {row.id: row for row in kept}
        for result, job in self.accepted.items():
            assert (stored[result].job_id, stored[result].origin) == (job, "worker")
        if hasattr(self, "born"):
            (next_due,) = [row.due_at for row in due if row.test_id == UNTOUCHED]
            ran = [job.scheduled_at for job in given if job.test_id == UNTOUCHED]
            missed = [(row.scheduled_at, row.runs) for row in kept if row.test_id == UNTOUCHED and row.job_id is None]
            self.check_that_every_run_is_accounted_for(next_due, ran, missed)

    def check_that_every_run_is_accounted_for(
        self, next_due: int, ran: list[int], missed: list[tuple[int, int]]
    ) -> None:
        period = PERIODS[UNTOUCHED] * 1000
        offset = Timetable.of(UNTOUCHED, self.file.location, period).offset
        second = self.born + (period + 1) // 2
        second += (offset - second) % period
        expected = [self.born, *range(second, next_due, period)] if next_due > self.born else []
        for first, runs in missed:
            at = expected.index(first)
            ran += expected[at : at + runs]
        assert sorted(ran) == expected


def check_that_every_job_ends_once(kept: Sequence[Any], given: Sequence[Any]) -> None:
    written = Counter(row.job_id for row in kept if row.job_id)
    running = Counter(job.test_id for job in given if job.closed is None)
    for job in given:
        ended = job.closed in ("result", "missed", "lost")
        assert written[job.id] == (1 if ended else 0), job
    assert not running or max(running.values()) == 1, "a test runs beside itself"


def test_no_job_has_two_holders_no_result_is_lost_and_every_run_ends_once(tmp_path: Path) -> None:
    async def make_template() -> None:
        async with opened(tmp_path):
            pass

    asyncio.run(make_template())
    machine = type("OnATemplate", (Events,), {"template": tmp_path})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None))
