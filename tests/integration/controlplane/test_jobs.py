"""Jobs and results through the running server: who gets what, what a lost reply or worker changes, and which result counts."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from controlplane.leases import MAX_DELIVERIES
from controlplane.service import definitions, tests, triggers
from controlplane.service.principal import operator
from controlplane.service.pulls import MAX_DEFINITION_CHARACTERS
from controlplane.store import results as stored
from controlplane.store import tests as store_tests
from controlplane.store.tables import jobs, results
from controlplane.store.tests import StoredTest
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test, multistep, step, subtest
from tests.support.protocol import ProtocolWorker, item
from worker.apitest.parse import parse
from worker.errors import TestError
from worker.wire.messages import Job, Jobs, ResultItem


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


def leases(*jobs: Job) -> tuple[str, ...]:
    return tuple(job.lease for job in jobs)


async def test_a_new_test_is_given_out_at_once_with_what_a_run_needs(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, "abc-def-ghi", period=60)
    plane.clock.stall(2)

    (job,) = (await worker.pull(session)).jobs

    assert json.loads(bytes(job.test))["public_id"] == "abc-def-ghi"
    assert job.scheduled_at == plane.now() - 2_000
    assert 58_000 <= job.start_by <= 88_000
    assert (job.delivery, job.lease_ms, job.variables) == (1, 15_000, {})
    assert uuid.UUID(job.job).int >> 80 == plane.now(), "its id begins with the moment (RFC 9562 section 5.7)"


async def test_no_more_jobs_come_than_slots_are_free_and_more_says_so(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for letter in "abcde":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa")

    first = await worker.pull(session, free_slots=2)
    second = await worker.pull(session, free_slots=3, holding=leases(*first.jobs))

    assert (len(first.jobs), first.more) == (2, True)
    assert (len(second.jobs), second.more) == (3, False)
    assert len({job.job for job in (*first.jobs, *second.jobs)}) == 5


@pytest.mark.parametrize("how", [{"draining": True}, {"degraded": "decryption"}, {"free_slots": 0}])
async def test_who_cannot_work_gets_no_work(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, how: dict[str, Any]
) -> None:
    await plane.add_test(worker.location)
    assert (await worker.pull(session, **how)).jobs == ()
    assert len((await worker.pull(session)).jobs) == 1


async def test_the_oldest_is_given_out_first(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for public_id in ("ccc-ccc-ccc", "aaa-aaa-aaa", "bbb-bbb-bbb"):
        await plane.add_test(worker.location, public_id)
        plane.clock.stall(1)
    given = await worker.pull(session, free_slots=2)
    assert [json.loads(bytes(job.test))["public_id"] for job in given.jobs] == ["ccc-ccc-ccc", "aaa-aaa-aaa"]


async def test_a_batch_is_cut_where_its_reply_would_be_too_large(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for letter in "abc":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", padding=6_000_000)
    seen: list[Job] = []
    for more in (True, True, False):
        given = await worker.pull(session, holding=leases(*seen))
        assert (len(given.jobs), given.more) == (1, more)
        seen += given.jobs


async def test_many_workers_pulling_at_once_share_the_jobs(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for number in range(60):
        await plane.add_test(worker.location, f"a{chr(97 + number // 10)}{chr(97 + number % 10)}-aaa-aaa")
    crowd = [worker.another() for _ in range(12)]
    held: dict[str, list[Job]] = {one.id: [] for one in crowd}

    async def pull_three_times(one: ProtocolWorker) -> None:
        for _ in range(3):
            given = await one.pull(session, free_slots=2, holding=leases(*held[one.id]))
            held[one.id] += given.jobs

    await asyncio.gather(*(pull_three_times(one) for one in crowd))

    jobs = [job.job for mine in held.values() for job in mine]
    assert len(jobs) == 60
    assert len(set(jobs)) == 60


async def test_a_lost_reply_is_made_up_for_at_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    (lost,) = (await worker.pull(session)).jobs

    (again,) = (await worker.pull(session, holding=())).jobs

    assert (again.job, again.delivery) == (lost.job, 2)
    assert again.lease != lost.lease
    assert (await worker.pull(session, holding=leases(again))) == Jobs()


async def test_a_released_job_goes_to_the_next_worker(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    assert (await other.pull(session)).jobs == ()

    await worker.pull(session, draining=True, release=leases(job))

    assert [one.job for one in (await other.pull(session)).jobs] == [job.job]


async def test_a_rolling_upgrade_of_workers_that_drain_loses_no_run(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=600)
    old = [worker.another() for _ in range(5)]
    deliveries = []
    for one in old:
        (job,) = (await one.pull(session)).jobs
        deliveries.append(job.delivery)
        await one.pull(session, draining=True, release=leases(job))
        await plane.let_pass(4)

    (job,) = (await worker.pull(session)).jobs
    assert (await worker.push(session, mine := item(job))).accepted == (mine.result,)

    assert deliveries == [1, 2, 3, 4, 5]
    assert [(row.origin, row.lease) for row in (await plane.rows(results))[0]] == [("worker", f"{job.job}.6")]


async def test_what_was_given_back_is_not_counted_among_the_deliveries_after_which_a_job_is_lost(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=600)
    await plane.let_pass(15)
    for _ in range(2):
        (job,) = (await worker.pull(session)).jobs
        await worker.pull(session, free_slots=0, release=leases(job))
    for expected in (3, 4, 5):
        victim = worker.another()
        (job,) = (await victim.pull(session)).jobs
        assert job.delivery == expected
        await plane.let_pass(16)

    assert (await worker.pull(session)).jobs == ()
    (row,) = (await plane.rows(results))[0]
    assert json.loads(row.outcome)["unhealthy"] == (
        "lost by workers: given out 5 times, given back or never received 2 times, and no result came back"
    )


async def test_a_release_that_is_sent_again_is_counted_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=600)
    (job,) = (await worker.pull(session)).jobs
    for _ in range(3):
        await worker.pull(session, free_slots=0, release=leases(job))
    (row,) = (await plane.rows(jobs))[0]
    assert (row.delivery, row.released, row.worker) == (1, 1, None)


async def test_a_job_that_a_worker_gives_back_without_end_is_missed(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=86_400)
    held: tuple[Job, ...] = ()
    for _ in range(MAX_DELIVERIES):
        held = (await worker.pull(session, release=leases(*held))).jobs
    assert [job.delivery for job in held] == [MAX_DELIVERIES]
    assert (await worker.pull(session, release=leases(*held))).jobs == ()
    await plane.sweep()
    (row,) = (await plane.rows(results))[0]
    assert (row.origin, json.loads(row.outcome)["unhealthy"]) == (
        "missed",
        "given out 100 times, given back or never received each time, and never run to its end",
    )


async def test_nobody_can_release_what_another_holds(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    assert (await other.pull(session, release=leases(job))).jobs == ()
    assert (await other.pull(session)).jobs == ()


async def test_a_job_is_held_as_long_as_its_worker_pulls_and_taken_over_when_it_does_not(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=300)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    for _ in range(10):
        await plane.let_pass(4)
        await worker.pull(session, holding=leases(job), free_slots=0)
        assert (await other.pull(session)).jobs == ()

    await plane.let_pass(15)
    assert (await other.pull(session)).jobs == ()
    await plane.let_pass(1)
    (again,) = (await other.pull(session)).jobs

    assert (again.job, again.delivery) == (job.job, 2)


async def test_after_an_absence_of_the_control_plane_nothing_expires_for_one_lease(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=300)
    await plane.let_pass(15)
    (job,) = (await worker.pull(session)).jobs
    other = worker.another()
    plane.clock.stall(60)

    assert (await other.pull(session)).jobs == ()
    await plane.let_pass(14)
    assert (await other.pull(session)).jobs == ()
    await plane.let_pass(2)
    assert [one.job for one in (await other.pull(session)).jobs] == [job.job]


async def test_the_first_result_wins_whoever_held_the_lease_last(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=300)
    await plane.let_pass(15)
    (first,) = (await worker.pull(session)).jobs
    await plane.let_pass(16)
    other = worker.another()
    (second,) = (await other.pull(session)).jobs
    mine, theirs = item(first), item(second)

    reply = await worker.push(session, mine)
    assert reply.accepted == (mine.result,), "an expired lease ends renewal, not acceptance"
    assert (await other.pull(session, holding=leases(second))).cancel == leases(second)
    assert (await worker.pull(session, holding=leases(first))).cancel == ()
    assert (await other.push(session, theirs)).superseded == (theirs.result,)
    assert (await worker.push(session, mine)).duplicate == (mine.result,)
    (kept,) = (await plane.rows(results))[0]
    assert (kept.id, kept.worker, kept.lease) == (mine.result, worker.id, first.lease)


async def test_one_push_may_hold_every_disposition(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for letter in "ab":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa")
    one, two = (await worker.pull(session)).jobs
    good, late = item(one), item(one)
    unknown = msgspec.structs.replace(item(two), job="no-such-job")
    foreign = msgspec.structs.replace(item(two), lease=one.lease)
    future = msgspec.structs.replace(item(two), lease=f"{two.job}.2")
    stolen = item(two, result=good.result)
    odd = msgspec.structs.replace(item(two), outcome=msgspec.Raw(b'{"status":"green"}'))

    reply = await worker.push(session, good, good, late, unknown, foreign, future, stolen, odd)

    assert (reply.accepted, reply.duplicate, reply.superseded) == ((good.result,), (good.result,), (late.result,))
    assert {one.result: one.reason.split()[0] for one in reply.rejected} == {
        unknown.result: "no",
        foreign.result: "the",
        future.result: "the",
        stolen.result: "the",
        odd.result: "not",
    }
    assert all("\n" not in one.reason for one in reply.rejected)
    # None of them has spoilt the job.
    assert (await worker.push(session, item(two))).accepted


async def test_a_result_that_cannot_be_stored_as_it_is_keeps_its_verdict_and_is_not_asked_for_again(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    for letter in "ab":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa")
    one, two = (await worker.pull(session)).jobs
    huge = item(one, status="failed", response="x" * (1024 * 1024))
    digits = msgspec.Raw(b'{"status":"failed","timings":{"total":1%s}}' % (b"0" * 5000))
    long = msgspec.structs.replace(item(two), outcome=digits)
    assert (await worker.push(session, huge, long)).accepted == (huge.result, long.result)
    [rows] = await plane.rows(results)
    assert [(row.status, json.loads(row.outcome)["cut"]) for row in rows] == [("failed", ["outcome"])] * 2
    assert (await worker.pull(session)).jobs == ()


async def test_a_job_of_another_location_is_unknown(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    (job,) = (await worker.pull(session)).jobs
    stranger = await plane.add_location("elsewhere")
    (rejected,) = (await stranger.push(session, item(job))).rejected
    assert rejected.reason.startswith("no such job")


async def test_a_result_is_stored_as_it_came(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, name="home")
    (job,) = (await worker.pull(session)).jobs
    sent = item(
        job, status="failed", failure={"code": "TIMEOUT", "message": "too slow \x1b \u0000 ü"}, more=[1.5, None]
    )

    await worker.push(session, sent)

    async with plane.database.read() as connection:
        (kept,) = await stored.newest(connection, limit=10)
    assert json.loads(kept.outcome) == json.loads(bytes(sent.outcome))
    assert (kept.status, kept.test_name, kept.scheduled_at) == ("failed", "home", job.scheduled_at)


async def test_while_a_run_goes_on_the_next_one_waits_and_then_is_missed(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    for _ in range(30):
        await plane.let_pass(4)
        assert (await worker.pull(session, holding=leases(job))).jobs == ()

    await worker.push(session, item(job))
    (after,) = (await worker.pull(session)).jobs

    missed = [row for row in (await plane.rows(results))[0] if row.origin == "missed"]
    assert len(missed) in (2, 3)
    assert all(json.loads(row.outcome)["unhealthy"] == "the run before it had not ended" for row in missed)
    assert after.scheduled_at == missed[-1].scheduled_at + 30_000
    assert after.delivery == 1


async def test_runs_without_a_worker_are_missed_one_by_one(plane: Plane, worker: ProtocolWorker) -> None:
    await plane.add_test(worker.location, period=30)
    await plane.let_pass(200)
    missed = (await plane.rows(results))[0]
    assert len(missed) in (5, 6, 7)
    assert {(row.status, row.runs, row.job_id) for row in missed} == {("missed", 1, None)}
    assert {json.loads(row.outcome)["unhealthy"] for row in missed} == {
        "no worker of the location was seen in its period"
    }


async def test_full_workers_are_told_apart_from_missing_ones(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    for _ in range(15):
        await worker.pull(session, free_slots=0)
        await plane.let_pass(4)
    row = (await plane.rows(results))[0][0]
    assert json.loads(row.outcome)["unhealthy"] == "every worker was full, draining or in trouble in its period"


async def test_after_downtime_one_run_is_due_and_the_missed_ones_are_one_record(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    test = await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    plane.clock.stall(3600)
    plane.restart()
    await plane.sweep()

    given = await worker.pull(session)

    assert (len(given.jobs), given.more) == (1, False), "nothing is caught up on"
    (row,) = [row for row in (await plane.rows(results))[0] if row.origin == "missed"]
    outcome = json.loads(row.outcome)
    assert row.runs == outcome["missed"]["runs"] in (118, 119, 120)
    assert outcome["missed"]["first"] + (row.runs - 1) * 30_000 == outcome["missed"]["last"]
    assert given.jobs[0].scheduled_at == outcome["missed"]["last"] + 30_000
    assert (outcome["status"], outcome["test"]["public_id"]) == ("missed", test.public_id)


async def test_a_job_that_nobody_answers_for_is_lost_after_three_deliveries(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=600)
    await plane.let_pass(15)
    victims = [worker.another() for _ in range(3)]
    given: list[Job] = []
    for victim in victims:
        given += (await victim.pull(session)).jobs
        await plane.let_pass(16)
    assert [job.delivery for job in given] == [1, 2, 3]
    assert len({job.job for job in given}) == 1

    assert (await worker.pull(session)).jobs == ()

    (row,) = (await plane.rows(results))[0]
    outcome = json.loads(row.outcome)
    assert (row.origin, row.status, row.job_id) == ("lost", "missed", given[0].job)
    assert outcome["unhealthy"] == "lost by workers: given out 3 times, and no result came back"
    assert outcome["failure"] is None, "probe trouble is never reported as target trouble"


async def test_a_result_that_comes_after_all_replaces_the_note_that_it_was_lost(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    await plane.let_pass(15)
    (job,) = (await worker.pull(session)).jobs
    await plane.let_pass(60)
    assert "lost" in {row.origin for row in (await plane.rows(results))[0]}
    late = item(job)

    assert (await worker.push(session, late)).accepted == (late.result,)

    mine = [row for row in (await plane.rows(results))[0] if row.job_id == job.job]
    assert [(row.id, row.origin) for row in mine] == [(late.result, "worker")]
    assert mine[0].seq > max(row.seq for row in (await plane.rows(results))[0] if row.job_id != job.job), "it is news"


async def test_a_job_that_was_given_back_too_late_is_missed(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=30)
    (job,) = (await worker.pull(session)).jobs
    for _ in range(15):
        await plane.let_pass(4)
        await worker.pull(session, holding=leases(job), free_slots=0)
    await worker.pull(session, release=leases(job), draining=True)
    await plane.let_pass(1)
    (row,) = [row for row in (await plane.rows(results))[0] if row.job_id == job.job]
    assert (row.origin, row.status) == ("missed", "missed")


async def test_an_edited_test_is_due_at_once_and_given_out_in_its_new_form(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, period=600, padding=1)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    assert (await worker.pull(session)).jobs == ()

    await plane.add_test(worker.location, period=600, padding=2, version=2)

    (job,) = (await worker.pull(session)).jobs
    assert json.loads(bytes(job.test))["padding"] == "xx"


async def edit(plane: Plane) -> None:
    options = {"tick_every": 60}
    changed = definitions.check("edit", http_test("test abc-def-ghi", public_id="abc-def-ghi") | {"options": options})
    await tests.push(plane.database, plane.clock, operator("somebody"), [changed], places=["office"])


async def pause(plane: Plane) -> None:
    await tests.set_paused(plane.database, plane.clock, operator("somebody"), "abc-def-ghi", paused=True)


@pytest.mark.parametrize("change", [edit, pause])
async def test_what_was_missed_is_noted_before_a_change_replaces_it(
    plane: Plane, worker: ProtocolWorker, change: Callable[[Plane], Awaitable[None]]
) -> None:
    await plane.add_test(worker.location, "abc-def-ghi", period=60)
    plane.clock.stall(600)
    await change(plane)
    (row,) = (await plane.rows(results))[0]
    assert (row.origin, row.runs) == ("missed", pytest.approx(10, abs=1))
    await plane.sweep()
    assert len((await plane.rows(results))[0]) == 1


async def test_a_run_that_is_due_when_a_test_is_changed_is_run_under_its_own_time(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location, "abc-def-ghi", period=60)
    due = plane.now()
    plane.clock.stall(10)
    await edit(plane)
    (job,) = (await worker.pull(session)).jobs
    assert job.scheduled_at == due


async def test_a_deleted_test_is_cancelled_and_its_result_not_wanted(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    test = await plane.add_test(worker.location)
    (job,) = (await worker.pull(session)).jobs
    async with plane.database.write() as connection:
        await store_tests.remove(connection, test, now=plane.now())

    assert (await worker.pull(session, holding=leases(job))).cancel == leases(job)
    late: ResultItem = item(job)
    assert (await worker.push(session, late)).superseded == (late.result,)
    assert (await plane.rows(results))[0] == []


async def test_a_paused_test_runs_only_when_asked_and_once(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    test = await plane.add_test(worker.location, period=30, paused=True)
    await plane.let_pass(60)
    assert (await worker.pull(session)).jobs == ()
    assert await triggers.trigger_one(plane.database, plane.clock, operator("somebody"), test.name) == ("office",)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    await plane.let_pass(60)
    assert (await worker.pull(session)).jobs == ()
    assert len((await plane.rows(results))[0]) == 1


async def test_a_run_asked_for_of_a_paused_test_that_nobody_took_is_missed_once(
    plane: Plane, worker: ProtocolWorker
) -> None:
    await plane.add_test(worker.location, period=30, paused=True)
    await triggers.trigger_one(plane.database, plane.clock, operator("somebody"), "abc-def-ghi")
    await plane.let_pass(triggers.DEFAULT_WAIT // 1000 + 60)
    assert [row.runs for row in (await plane.rows(results))[0]] == [1]


async def test_results_are_pruned_by_age_in_small_batches_and_jobs_with_them(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    sent = []
    for letter in "abc":
        await plane.add_test(worker.location, f"{letter}aa-aaa-aaa", period=604_800)
    for job in (await worker.pull(session)).jobs:
        sent.append(item(job))
        await worker.push(session, sent[-1])
        plane.clock.stall(10)
    before = plane.now() - 15_000

    async with plane.database.write() as connection:
        assert await stored.prune(connection, before=before, limit=1) == 2
        assert await stored.prune(connection, before=before, limit=1) == 2
        assert await stored.prune(connection, before=before, limit=1) == 0

    assert [row.id for row in (await plane.rows(results))[0]] == [sent[2].result]
    (rejected,) = (await worker.push(session, sent[0])).rejected
    assert "older than the retention" in rejected.reason


async def store(plane: Plane, worker: ProtocolWorker, definition: dict[str, Any]) -> None:
    public_id = definition["public_id"]
    test = StoredTest(
        public_id=public_id,
        name=public_id,
        subtype="multi",
        version=1,
        paused=False,
        period_ms=60_000,
        definition=json.dumps(definition),
        modified_at=plane.now(),
    )
    async with plane.database.write() as connection:
        await store_tests.add(connection, [test], now=plane.now())
        if public_id == "out-out-out":
            await store_tests.assign(connection, [test], worker.location, enabled=True, now=plane.now())


async def test_a_test_is_given_out_with_the_subtests_that_it_plays(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    inner = multistep(step("inner"), public_id="inn-inn-inn")
    middle = multistep(subtest("inn-inn-inn"), step("middle"), public_id="mid-mid-mid")
    outer = multistep(subtest("mid-mid-mid"), subtest("non-non-non"), public_id="out-out-out")
    for definition in (outer, middle, inner):
        await store(plane, worker, definition)

    (job,) = (await worker.pull(session)).jobs

    whole = json.loads(bytes(job.test))
    played, missing = whole["config"]["steps"]
    assert played["subtest"]["config"]["steps"][0]["subtest"] == inner
    assert missing == subtest("non-non-non")
    assert parse(whole).requires_update == (
        "config.steps[1].subtestPublicId: the subtest 'non-non-non' is not part of this definition",
    )


async def test_subtests_that_play_each_other_end(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await store(plane, worker, multistep(subtest("inn-inn-inn"), public_id="out-out-out"))
    await store(plane, worker, multistep(subtest("out-out-out"), public_id="inn-inn-inn"))
    (job,) = (await worker.pull(session)).jobs
    with pytest.raises(TestError, match="plays itself"):
        parse(json.loads(bytes(job.test)))


async def test_subtests_that_would_make_the_reply_too_large_are_left_out(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    large = multistep(step("inner"), public_id="inn-inn-inn", padding="x" * (MAX_DEFINITION_CHARACTERS // 2))
    await store(plane, worker, multistep(*[subtest("inn-inn-inn")] * 3, public_id="out-out-out"))
    await store(plane, worker, large)
    (job,) = (await worker.pull(session)).jobs
    assert "subtest" not in json.loads(bytes(job.test))["config"]["steps"][0]
