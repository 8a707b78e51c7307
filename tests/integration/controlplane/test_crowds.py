"""One location's crowd, of processes or of leases, beside others: bounded, and not in their way."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from controlplane.store import dispatch, triggered
from controlplane.store.tables import jobs, workers
from controlplane.store.triggered import TriggeredRun
from controlplane.store.workers import MOST_WORKERS, REPLAYABLE
from tests.integration.controlplane.plane import Plane, traced
from tests.support.protocol import PULL, RESULTS, ProtocolWorker, item

JSON = "application/json"


async def crowd(plane: Plane, worker: ProtocolWorker, count: int) -> None:
    """Processes as *count* starts would have left them."""
    row = {
        "location_id": worker.location,
        "pull_seq": 1,
        "push_seq": 0,
        "first_seen": plane.now(),
        "last_seen": plane.now(),
        "agent": "",
        "concurrency": 1,
        "free_slots": 1,
        "running": 0,
        "draining": False,
    }
    async with plane.database.write() as connection:
        await connection.execute(workers.insert(), [row | {"id": f"w{number}"} for number in range(count)])


async def test_a_location_has_so_many_processes_and_no_more(plane: Plane, session: aiohttp.ClientSession) -> None:
    worker, other = await plane.add_location(), await plane.add_location("branch")
    await worker.pull(session)
    await crowd(plane, worker, MOST_WORKERS - 1)
    late = worker.another()
    for path, body, kind in (
        (PULL, late.pull_body(), JSON),
        (RESULTS, late.results_body(), "application/jose"),
    ):
        reply = await late.post(session, path, body, kind)
        assert (reply.status, reply.refusal.error) == (429, "workers")
    assert (await worker.post(session, PULL, worker.pull_body(), JSON)).status == 204
    assert (await other.post(session, PULL, other.pull_body(), JSON)).status == 204
    rows = (await plane.rows(workers))[0]
    assert len(rows) == MOST_WORKERS + 1


async def test_processes_of_long_ago_make_room_but_for_those_that_a_job_waits_for(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location, period=3600)
    job = (await worker.pull(session)).jobs[0]
    await crowd(plane, worker, MOST_WORKERS - 1)
    plane.clock.stall(REPLAYABLE // 1000 + 1)
    late = worker.another()
    assert (await late.post(session, PULL, late.pull_body(free_slots=0), JSON)).status == 204
    rows = (await plane.rows(workers))[0]
    assert {row.id for row in rows} == {worker.id, late.id}
    assert (await worker.push(session, item(job))).accepted


async def plans(plane: Plane, query: Any) -> str:
    """SQLite's own words on how it looks for what *query* asks."""
    text = str(query.compile(plane.database._pool.sync_engine, compile_kwargs={"literal_binds": True}))
    async with plane.database.read() as connection:
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
        return "\n".join(row["detail"] for row in rows.mappings())


@pytest.mark.parametrize("everywhere", [True, False])
async def test_what_nobody_holds_is_found_without_reading_what_somebody_holds(plane: Plane, everywhere: bool) -> None:
    query = select(jobs.c.id)
    if not everywhere:
        query = query.where(jobs.c.location_id == "pl:a")
    for part in dispatch.unheld(query):
        plan = await plans(plane, part.params(expiry=5))
        assert re.search(r"SEARCH jobs USING (COVERING )?INDEX jobs_open \(worker=\?", plan), plan
        assert "SCAN" not in plan, plan


async def test_a_pull_looks_for_its_workers_jobs_by_an_index_alone(
    plane: Plane, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every statement of a pull, as it was sent: none reads a table from end to end."""
    worker = await plane.add_location()
    await plane.add_test(worker.location, period=3600)
    await plane.let_pass(20)  # a time of grace, in which nobody asks how long nothing will be due
    asked: list[str] = []
    await traced(plane, monkeypatch, asked.append)
    job = (await worker.pull(session)).jobs[0]
    await worker.pull(session, holding=(job.lease, "unknown.1"))
    await worker.pull(session)
    asked = [one for one in asked if one.lstrip().upper().startswith(("SELECT", "UPDATE"))]
    assert len(asked) > 10
    async with plane.database.read() as connection:
        for statement in asked:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
            scans = {row["detail"] for row in rows.mappings() if row["detail"].startswith("SCAN")}
            assert scans <= {"SCAN CONSTANT ROW"}, statement


async def test_leases_that_are_none_cost_a_pull_a_bounded_number_of_questions(
    plane: Plane, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are wanted no more are told of in turn, as many as one pull asks about."""
    monkeypatch.setattr(dispatch, "MOST_UNKNOWN", 2)
    worker = await plane.add_location()
    for letter in "abc":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa")
    held = tuple(job.lease for job in (await worker.pull(session)).jobs)
    async with plane.database.write() as connection:
        await connection.execute(jobs.update().values(closed="cancelled", closed_at=plane.now()))
    first = (await worker.pull(session, holding=held, free_slots=0)).cancel
    assert len(first) == 2
    rest = tuple(lease for lease in held if lease not in first)
    assert (await worker.pull(session, holding=rest, free_slots=0)).cancel == rest


async def test_of_runs_on_demand_that_wait_a_pull_reads_the_definitions_that_it_gives(
    plane: Plane, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text that a pull's statements find, asked again beside it."""
    worker, now = await plane.add_location(), plane.now()
    waiting = [
        TriggeredRun(
            result_id=number,
            job=f"job-{number}",
            batch=None,
            position=0,
            test_id=f"{number:011}",
            test_name="t",
            subtype="http",
            location=worker.location,
            execution_rule="blocking",
            definition=json.dumps({"name": "t", "message": "x" * 1000}),
            triggered_at=now,
            deadline=now + 60_000,
        )
        for number in range(100)
    ]
    async with plane.database.write() as connection:
        await triggered.add(connection, waiting)
    found = 0

    def ask(statement: str) -> None:
        nonlocal found
        if statement.lstrip().upper().startswith("SELECT"):
            rows = beside.execute(statement).fetchall()
            found += sum(len(value) for row in rows for value in row if isinstance(value, str) and len(value) > 500)

    with closing(sqlite3.connect(plane.folder / "controlplane.db", check_same_thread=False)) as beside:
        await traced(plane, monkeypatch, ask)
        given = await worker.pull(session, free_slots=3)
    assert (len(given.jobs), given.more) == (3, True)
    assert 3000 < found < 4000
