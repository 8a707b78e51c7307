"""The promises of the leases and the schedule, kept under random events on a real store.

A simulation drives the two endpoints as workers would: replies get lost, workers die and are replaced, results come late or
twice, tests are edited and paused, the control plane is away. What it believes is kept in plain dictionaries and compared with
the database. Histories are long and drawn from a seed: the interesting states lie deeper than a shrinking search goes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controlplane.leases import LEASE_TTL, MAX_FAILED
from controlplane.rest.worker.endpoints import pull, push
from controlplane.rest.worker.exchange import Asked
from controlplane.schedule import Timetable
from controlplane.service import triggers
from controlplane.service.callers import Caller
from controlplane.service.principal import operator
from controlplane.store import locations, tests
from controlplane.store.locations import Access
from controlplane.store.tables import assignments, jobs, results
from controlplane.store.workers import Origin
from tests.integration.controlplane.plane import Plane, opened
from tests.support.protocol import ProtocolWorker, Reply, item
from worker.wire import messages
from worker.wire.messages import Job, Jobs, ResultItem, ResultsReply

PERIODS = {f"{name}-aaa-aaa": 30 for name in ("aaa", "ccc", "ddd", "eee", "fff", "ggg")} | {"bbb-aaa-aaa": 100}
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Thousands of commits: where they need not reach a disk, they should not."""
ORIGIN = Origin(address="127.0.0.1", access_key="key")
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


class Simulation:
    """Three workers of one location and seven tests."""

    def __init__(self, plane: Plane, file: ProtocolWorker, access: Access) -> None:
        self.plane = plane
        self.access = access
        self.file = file
        self.workers = [Model(), Model(), Model()]
        self.born = self.started = plane.now()
        self.last_seen: dict[str, int] = {}
        self.owner: dict[str, tuple[str, str]] = {}
        """Job → (worker, lease) as of the last pull that the control plane answered, whether or not the reply arrived."""
        self.released: Counter[str] = Counter()
        """The number of times that its holder gave a job back by name, or lived and had never got it."""
        self.ended: set[str] = set()
        """Jobs whose runs have ended, as the control plane was told, whether or not their results came."""
        self.accepted: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.pushed: list[ResultItem] = []

    @classmethod
    async def begin(cls, plane: Plane) -> Simulation:
        file = await plane.add_location()
        for public_id, period in PERIODS.items():
            await plane.add_test(file.location, public_id, period=period)
        sealer, access_key = plane.database.sealer, file.credentials.access_key
        async with plane.database.read() as connection:
            access = await locations.access(connection, sealer, access_key, now=plane.now())
        assert access is not None
        return cls(plane, file, access)

    async def play(self, events: Sequence[Event]) -> None:
        for number, event in enumerate(events):
            match event:
                case "pull", who, nth:
                    await self.pull(self.workers[who], free=nth % 4, reply_lost=nth % 5 == 4, gives_back=nth % 7 == 6)
                case "pull without appetite", who, nth:
                    await self.pull_without_appetite(self.workers[who], _SATED[nth % 2])
                case "finish", who, _:
                    self.finish(self.workers[who])
                case "push", who, nth:
                    await self.push(self.workers[who], reply_lost=nth % 5 == 4)
                case "push again", who, nth if self.pushed:
                    await self.send_push(self.workers[who], [self.pushed[-1 - nth % len(self.pushed)]])
                case "die", who, _:
                    self.workers[who] = Model()
                case "time", _, nth:
                    await self.plane.let_pass((1, 1, 2, 5, 16)[nth % 5])
                case "away", _, nth:
                    await self.be_away((6, 20, 50, 400)[nth % 4])
                case "change", _, nth:
                    await self.change(("edit", "pause", "resume", "run", "delete")[nth % 5])
            if number % 20 == 0:
                await self.check_the_books()
        await self.check_the_books()

    # what workers do

    def asked(self, worker: Model, seq: int, body: bytes) -> Asked:
        caller = Caller(access=self.access, origin=ORIGIN, worker=worker.id, seq=seq)
        return Asked(caller=caller, body=body, sign=lambda reply: reply)

    async def send_pull(self, worker: Model, release: list[str], **changes: Any) -> Jobs:
        worker.pulls += 1
        holding = (*worker.running, *worker.outbox)
        self.ended |= {one.job for one in worker.outbox.values()}
        body = self.file.pull_body(holding=holding, finished=tuple(worker.outbox), release=tuple(release), **changes)
        answer = await pull(self.plane.context, self.asked(worker, worker.pulls, body))
        self.last_seen[worker.id] = self.plane.now()
        for job, (owner, lease) in list(self.owner.items()):
            if owner == worker.id and (lease not in holding or lease in release):
                self.released[job] += 1
                del self.owner[job]
        return self.file.read_jobs(Reply(answer.status, True, {}, answer.body))

    def check_leases(self, worker: Model, given: Jobs) -> None:
        now = self.plane.now()
        for job in given.jobs:
            if job.job in self.owner:
                owner, _ = self.owner[job.job]
                assert now - self.last_seen[owner] > LEASE_TTL, "a job that is held was given out again"
                assert now - self.started >= LEASE_TTL, "a lease expired too soon after a start"
            assert job.delivery <= MAX_FAILED + self.released[job.job]
            assert job.start_by > 0
            assert job.job not in self.accepted.values()
            self.owner[job.job] = (worker.id, job.lease)

    async def pull(self, worker: Model, *, free: int, reply_lost: bool, gives_back: bool) -> None:
        release = list(worker.running)[:1] if gives_back else []
        for lease in release:
            del worker.running[lease]
        given = await self.send_pull(worker, release, free_slots=free)
        assert len(given.jobs) <= free
        self.check_leases(worker, given)
        for lease in given.cancel:
            worker.running.pop(lease, None)
        if not reply_lost:
            worker.running |= {job.lease: job for job in given.jobs}

    async def pull_without_appetite(self, worker: Model, how: dict[str, Any]) -> None:
        assert (await self.send_pull(worker, [], free_slots=3, **how)).jobs == ()

    def finish(self, worker: Model) -> None:
        worker.outbox |= {lease: item(job) for lease, job in worker.running.items()}
        worker.running.clear()

    async def push(self, worker: Model, *, reply_lost: bool) -> None:
        items = list(worker.outbox.values())
        if items:
            await self.send_push(worker, items)
            if not reply_lost:
                worker.outbox.clear()

    async def send_push(self, worker: Model, items: list[ResultItem]) -> None:
        worker.pushes += 1
        asked = self.asked(worker, worker.pushes, self.file.results_body(*items))
        reply = messages.decode(ResultsReply, (await push(self.plane.context, asked)).body)
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

    # what people and time do

    async def be_away(self, seconds: int) -> None:
        self.plane.clock.stall(seconds)
        self.started = self.plane.now()
        self.plane.restart()
        await self.plane.sweep(mend=True)

    async def change(self, how: str) -> None:
        public_id, now = "ccc-aaa-aaa" if how == "delete" else "bbb-aaa-aaa", self.plane.now()
        (given,) = await self.plane.rows(jobs)
        open_jobs = {row.id for row in given if row.test_id == public_id and row.closed is None}
        if how == "run":
            by = operator("somebody")
            assert await triggers.trigger_one(self.plane.database, self.plane.clock, by, public_id) == ("office",)
            return
        async with self.plane.database.write() as connection:
            test = await tests.get(connection, public_id)
            match how:
                case "edit":
                    await tests.replace(connection, [test], now=now)
                case "pause" | "resume":
                    await tests.set_paused(connection, test, paused=how == "pause", now=now)
                case "delete":
                    await tests.remove(connection, test, now=now)
                    self.deleted |= open_jobs
                    for job in open_jobs:
                        self.owner.pop(job, None)

        if how == "delete":
            await self.plane.add_test(self.file.location, public_id, period=PERIODS[public_id])

    # what must always hold

    async def check_the_books(self) -> None:
        kept, given, due = await self.plane.rows(results, jobs, assignments)
        check_that_every_job_ends_once(kept, given, self.ended)
        stored = {row.id: row for row in kept}
        for result, job in self.accepted.items():
            assert (stored[result].job_id, stored[result].origin) == (job, "worker")
        for row in kept:
            if row.origin == "lost":
                self.check_that_its_worker_was_silent(row)
        (next_due,) = [row.due_at for row in due if row.test_id == UNTOUCHED]
        ran = [job.scheduled_at for job in given if job.test_id == UNTOUCHED]
        missed = [(row.scheduled_at, row.runs) for row in kept if row.test_id == UNTOUCHED and row.job_id is None]
        self.check_that_every_run_is_accounted_for(next_due, ran, missed)

    def check_that_its_worker_was_silent(self, lost: Any) -> None:
        """At the moment of the note. It may have been seen again since."""
        seen = self.last_seen[lost.worker]
        assert seen < lost.stored_at - LEASE_TTL or seen >= lost.stored_at, "a run is lost though its worker lived"

    async def check_that_nothing_is_stuck(self) -> None:
        """After every worker has gone, every open job comes to an end; and a new worker gets a run of every live test."""
        await self.plane.let_pass(320)
        _, given, _ = await self.plane.rows(results, jobs, assignments)
        still = [job for job in given if job.closed is None]
        assert [job.id for job in still if job.test_name is None or job.until <= self.plane.now()] == []
        await self.check_the_books()
        await self.change("resume")
        await self.change("edit")
        newcomer = Model()
        given_out = await self.send_pull(newcomer, [], free_slots=100)
        self.check_leases(newcomer, given_out)
        assert {json.loads(bytes(job.test))["public_id"] for job in given_out.jobs} == set(PERIODS)

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


def check_that_every_job_ends_once(kept: Sequence[Any], given: Sequence[Any], over: Collection[str]) -> None:
    written = Counter(row.job_id for row in kept if row.job_id)
    scheduled = [job for job in given if job.test_name is None]
    running = Counter(job.test_id for job in scheduled if job.closed is None and job.id not in over)
    for job in given:
        ended = job.closed in ("result", "missed", "lost")
        assert written[job.id] == (1 if ended else 0), job
    assert not running or max(running.values()) == 1, "a test runs beside itself"


_SATED: list[dict[str, Any]] = [{"draining": True}, {"degraded": "outbox"}]

Event = tuple[str, int, int]
"""An event, the worker that it happens to, and a number that decides the details."""
_OFTEN = ["pull"] * 8 + ["finish"] * 4 + ["push"] * 4 + ["time"] * 6
_SELDOM = ["pull without appetite", "push again", "die", "away", "change", "change"]


def history(seed: int, length: int = 300) -> list[Event]:
    chance = random.Random(seed)
    return [(chance.choice(_OFTEN + _SELDOM), chance.randrange(3), chance.randrange(420)) for _ in range(length)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated once."""
    folder = tmp_path_factory.mktemp("template")

    async def make() -> None:
        async with opened(folder):
            pass

    asyncio.run(make())
    return folder


@pytest.mark.parametrize("seed", range(4))
def test_no_job_has_two_holders_no_result_is_lost_and_every_run_ends_once(template: Path, seed: int) -> None:
    async def play(folder: Path) -> None:
        async with opened(folder) as plane:
            simulation = await Simulation.begin(plane)
            await simulation.play(history(seed))
            await simulation.check_that_nothing_is_stuck()

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        asyncio.run(play(Path(folder)))
