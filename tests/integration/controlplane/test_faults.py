"""Faults between a worker that lives and its control plane: none of them makes a lost run, and none holds up a test."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import text

from controlplane import site
from controlplane.leases import LEASE_TTL, MAX_FAILED, STALL
from controlplane.rest.context import CONTEXT, Context
from controlplane.rest.replies import HandlerReply
from controlplane.rest.worker.exchange import Asked, EndpointHandler, exchange
from controlplane.service import locations, pulls, upkeep
from controlplane.service.principal import operator
from controlplane.store.tables import jobs, results, workers
from tests.integration.controlplane.plane import Plane
from tests.support.protocol import PULL, ProtocolWorker, item
from tests.support.waiting import until
from worker.web.connections import ClientLimits, serving
from worker.wire import messages
from worker.wire.messages import Job, Pull


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    worker = await plane.add_location()
    await plane.let_pass(LEASE_TTL // 1000)
    return worker


def leases(*jobs: Job) -> tuple[str, ...]:
    return tuple(job.lease for job in jobs)


async def notes(plane: Plane) -> list[Any]:
    (rows,) = await plane.rows(results)
    return [row for row in rows if row.origin != "worker"]


async def settle(plane: Plane) -> None:
    await upkeep.settle(plane.database, plane.clock, plane.context.grace, look_ahead=False)


@pytest.mark.parametrize("lost", [1, MAX_FAILED, 10])
async def test_however_many_replies_are_lost_in_a_row_a_living_workers_run_is_not(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, lost: int
) -> None:
    for letter in "abcdefghij":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", period=300)
    for _ in range(lost):
        assert len((await worker.pull(session, holding=())).jobs) == 10
        await plane.sweep()

    given = (await worker.pull(session, holding=())).jobs
    mine = [item(job) for job in given]

    assert {job.delivery for job in given} == {lost + 1}
    assert set((await worker.push(session, *mine)).accepted) == {one.result for one in mine}
    assert await notes(plane) == []


@pytest.mark.parametrize("how", [{"degraded": "decryption"}, {"restarted": True}], ids=["cannot open", "died"])
async def test_a_job_that_workers_cannot_open_or_die_of_is_lost_after_three_deliveries(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, how: dict[str, Any]
) -> None:
    await plane.add_test(worker.location, period=300)
    for expected in range(1, MAX_FAILED + 1):
        (job,) = (await worker.pull(session)).jobs
        assert job.delivery == expected
        await worker.pull(session, free_slots=0, **how)
    assert (await worker.pull(session)).jobs == ()
    await plane.sweep()
    (note,) = await notes(plane)
    assert note.origin == "lost"


async def test_a_run_that_never_arrives_in_its_period_is_missed_and_not_lost(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    for _ in range(job.start_by // 4_000 + 1):
        await worker.pull(session, free_slots=0)
        await plane.let_pass(4)
    origins = {(note.job_id, note.origin): json.loads(note.outcome)["unhealthy"] for note in await notes(plane)}
    assert origins[job.job, "missed"] == (
        "given back by its worker or never received, and nobody took it again before its period ended"
    )
    assert "lost" not in {origin for _, origin in origins}


@pytest.mark.parametrize("present", [True, False])
async def test_nothing_is_given_to_a_client_that_has_gone_and_its_heartbeat_counts(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, present: bool
) -> None:
    await plane.add_test(worker.location, period=300)
    asked: list[Asked] = []

    async def remember(_: Context, one: Asked) -> HandlerReply:
        asked.append(one)
        return HandlerReply(status=204)

    async with with_endpoint(plane, remember) as url:
        await replace(worker, url=url).post(session, PULL, worker.pull_body(), "application/json")
    pull = messages.decode(Pull, asked[0].body)
    async with pulls.pull(
        plane.database, plane.clock, plane.context.grace, asked[0].caller, pull, present=lambda: present
    ) as given:
        pass
    assert given is not None
    assert (len(given.leases), given.more) == ((1, False) if present else (0, False))
    (seen,) = await plane.rows(workers)
    assert [(row.id, row.last_seen) for row in seen] == [(worker.id, plane.now())]


async def test_a_handler_knows_if_its_client_still_waits(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    asked: list[Asked] = []

    async def wait(_: Context, one: Asked) -> HandlerReply:
        asked.append(one)
        begun.set()
        await go_on.wait()
        return HandlerReply(status=204)

    async with with_endpoint(plane, wait) as url:
        client = replace(worker, url=url)
        asking = asyncio.create_task(client.post(session, PULL, worker.pull_body(), "application/json"))
        await begun.wait()
        assert asked[0].present()
        asking.cancel()
        await until(lambda: not asked[0].present())
        go_on.set()
        await asyncio.gather(asking, return_exceptions=True)


@asynccontextmanager
async def with_endpoint(plane: Plane, endpoint: EndpointHandler) -> AsyncIterator[str]:
    """The URL of a server with *endpoint* for pulls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        application = web.Application()
        application[CONTEXT] = replace(plane.context, hosts=(address,))
        application.add_routes([web.post(PULL, exchange(endpoint, max_bytes=10_000, content_type="application/json"))])
        runner = site.runner(application)
        async with serving(runner, listener, ClientLimits(connections=100)):
            yield f"http://{address}"


async def test_a_database_that_made_everybody_wait_makes_nobody_silent(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=300)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    async with plane.database.write():
        waiting = asyncio.create_task(settle(plane))
        plane.clock.stall(LEASE_TTL // 1000 + 5)
    await waiting

    assert (await other.pull(session)).jobs == ()
    assert (await worker.pull(session, holding=leases(job))).cancel == ()
    await plane.let_pass(STALL // 1000)
    assert (await other.pull(session)).jobs == ()


async def test_a_database_that_refused_heartbeats_makes_nobody_silent(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=300)
    (job,) = (await worker.pull(session)).jobs
    async with plane.database.write() as connection:
        await connection.execute(
            text("CREATE TRIGGER full BEFORE UPDATE ON workers BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    for _ in range(LEASE_TTL // 4_000 + 2):
        reply = await worker.post(session, PULL, worker.pull_body(holding=leases(job)), "application/json")
        assert (reply.status, reply.refusal.error) == (503, "database")
        await plane.let_pass(4)  # the sweep has nothing to write, and fails at nothing
    async with plane.database.write() as connection:
        await connection.execute(text("DROP TRIGGER full"))

    assert (await worker.another().pull(session)).jobs == ()
    assert (await worker.pull(session, holding=leases(job))).cancel == ()


async def end_of_period(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, job: Job) -> None:
    for _ in range(job.start_by // 4_000 + 1):
        await plane.let_pass(4)
        await worker.pull(session, holding=leases(job), finished=leases(job), free_slots=0, degraded="outbox")


async def test_a_finished_run_that_cannot_be_delivered_holds_up_no_other_beyond_its_period(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    await worker.pull(session, holding=leases(job), finished=leases(job))
    assert (await other.pull(session)).jobs == ()

    await end_of_period(plane, worker, session, job)
    (after,) = (await other.pull(session)).jobs
    mine, theirs = item(job), item(after)
    assert (await other.push(session, theirs)).accepted == (theirs.result,)
    assert (await worker.push(session, mine)).accepted == (mine.result,)

    assert after.job != job.job
    assert after.scheduled_at > job.scheduled_at
    (given,) = await plane.rows(jobs)
    assert [row.closed for row in given] == ["result", "result"]


async def test_a_finished_run_whose_worker_dies_is_lost_once_and_its_test_goes_on(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    await end_of_period(plane, worker, session, job)
    other = worker.another()
    (after,) = (await other.pull(session)).jobs
    for _ in range(LEASE_TTL // 4_000 + 1):
        await plane.let_pass(4)
        await other.pull(session, holding=leases(after), free_slots=0)

    assert [(note.job_id, note.origin) for note in await notes(plane) if note.job_id] == [(job.job, "lost")]
    assert (await other.push(session, mine := item(after))).accepted == (mine.result,)


async def test_what_an_older_worker_does_not_name_as_finished_is_still_running(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    for _ in range(20):
        await plane.let_pass(4)
        await worker.pull(session, holding=leases(job), free_slots=0)
        assert (await worker.another().pull(session)).jobs == ()


async def test_nobody_ends_the_run_of_another(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    for _ in range(20):
        await plane.let_pass(4)
        await worker.pull(session, holding=leases(job), free_slots=0)
        assert (await other.pull(session, finished=leases(job))).jobs == ()


async def test_a_run_in_a_location_that_was_disabled_is_missed_and_not_lost(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    await locations.set_enabled(plane.database, plane.clock, operator("somebody"), "office", enabled=False)
    await plane.let_pass(job.start_by // 1000 + LEASE_TTL // 1000)
    (note,) = await notes(plane)
    assert (note.origin, note.job_id) == ("missed", job.job)
    assert json.loads(note.outcome)["unhealthy"] == "the location was disabled before its result came"
