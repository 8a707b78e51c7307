"""Runs on demand: a job for each location at once, beside the schedule; the batch that it belongs to; and its result."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from controlplane.service.triggers import FIRST_RESULT_ID
from controlplane.store.tables import results, triggered
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import STATUS, http_test
from tests.support.protocol import ProtocolWorker, item
from tests.support.public_api import PublicAPI
from worker.apitest.parse import parse
from worker.apitest.substitution import URLSubstitution
from worker.wire.messages import Job

TESTS = "/api/v1/synthetics/tests"
NEWER = "/api/v2/synthetics/tests"
CI = f"{TESTS}/trigger/ci"
OUTCOME: dict[str, Any] = {
    "test": {"public_id": "abc-def-ghi", "name": "n", "subtype": "http", "version": 1},
    "timings": {"dns": 1.2, "total": 1.2},
    "assertions": [{"type": "statusCode", "operator": "is", "expected": "200", "actual": 200, "valid": True}],
    "dns_resolution": {"server": "10.0.0.53", "resolved_ip": "10.0.0.1", "resolved_port": 443, "attempts": []},
    "response": {"status_code": 200, "http_version": "1.1", "headers": {"a": "b"}, "redirects": [], "body_size": 3},
    "started_at": 1_767_323_045_100,
    "finished_at": 1_767_323_045_200,
    "location": {"worker_id": "w", "version": "1"},
    "unhealthy": None,
}
FAILURE = {"code": "CONNREFUSED", "message": "connection\x00 refused"}


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


@pytest.fixture
async def test_id(plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession) -> str:
    """A test whose scheduled run is over."""
    stored = await plane.add_test(worker.location, period=3600)
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job))
    return stored.public_id


async def one_job(worker: ProtocolWorker, session: aiohttp.ClientSession) -> Job:
    (job,) = (await worker.pull(session)).jobs
    return job


async def poll(api: PublicAPI, *ids: str) -> Any:
    return await api.get(f"{NEWER}/poll_results", result_ids=json.dumps(ids))


async def batch_of(api: PublicAPI, batch: str) -> Any:
    return (await api.get(f"/api/v1/synthetics/ci/batch/{batch}"))["data"]


async def test_a_trigger_is_run_at_once_and_read_by_the_id_that_it_gave(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    made = await api.post(f"{TESTS}/trigger", {"tests": [{"public_id": test_id}]})
    (run,), (place,) = made["results"], made["locations"]
    assert (made["batch_id"], made["triggered_check_ids"]) == (None, [test_id])
    assert (place["name"], place["display_name"], place["id"]) == (worker.location, "office", run["location"])
    number = run["result_id"]
    assert FIRST_RESULT_ID <= int(number) < 2**63
    early = await api.call("GET", f"{TESTS}/{test_id}/results/{number}")
    assert (early.status, early.errors) == (404, ["Test results not found"])

    job = await one_job(worker, session)
    assert (job.delivery, json.loads(bytes(job.test))["public_id"]) == (1, test_id)
    await worker.push(session, item(job, **OUTCOME))

    old = await api.get(f"{TESTS}/{test_id}/results/{number}")
    assert (old["result_id"], old["status"], old["run_type"], old["probe_dc"]) == (number, 0, 3, worker.location)
    assert (old["check_time"], old["check"]["type"]) == (1_767_323_045_100, "api")
    assert old["check"]["config"]["assertions"] == [STATUS]
    assert old["result"] == {
        "eventType": "finished",
        "passed": True,
        "runType": 3,
        "tunnel": False,
        "timings": {"dns": 1.2, "total": 1.2},
        "assertionResults": [{"type": "statusCode", "operator": "is", "expected": "200", "actual": 200, "valid": True}],
        "resolutionAttempts": [],
        "subtype": "http",
        "httpStatusCode": 200,
        "responseSize": 3,
        "responseHeaders": {"a": "b"},
        "resolvedIp": "10.0.0.1",
        "dnsServer": "10.0.0.53",
    }
    new = await api.get(f"{NEWER}/{test_id}/results/{number}")
    assert new["data"]["relationships"]["test"]["data"]["id"] == new["included"][0]["id"] == test_id
    result = new["data"]["attributes"]["result"]
    assert (result["id"], result["status"], result["run_type"]) == (number, "passed", "triggered")
    assert (result["started_at"], result["finished_at"], result["duration"]) == (
        OUTCOME["started_at"],
        OUTCOME["finished_at"],
        1.2,
    )
    assert result["dns_resolution"]["resolved_port"] == "443"


async def test_results_are_listed_newest_first_in_both_versions(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    made = await api.post(f"{TESTS}/trigger", {"tests": [{"public_id": test_id}]})
    plane.clock.stall(3)
    await worker.push(session, item(await one_job(worker, session), status="failed", failure=FAILURE))
    number = made["results"][0]["result_id"]

    old = await api.get(f"{TESTS}/{test_id}/results")
    assert [(one["status"], one["result"]["runType"]) for one in old["results"]] == [(1, 3), (0, 0)]
    assert [one["result_id"] for one in old["results"]] == [number, "1"]
    assert old["results"][0]["result"]["errorMessage"] == "connection\N{REPLACEMENT CHARACTER} refused"
    assert old["last_timestamp_fetched"] == old["results"][-1]["check_time"] // 1000 * 1000
    new = await api.get(f"{NEWER}/{test_id}/results")
    assert [(one["id"], one["attributes"]["status"]) for one in new["data"]] == [(number, "failed"), ("1", "passed")]
    ci = await api.get(f"{NEWER}/{test_id}/results", runType="scheduled", status="passed")
    assert [one["id"] for one in ci["data"]] == ["1"]
    since = await api.get(f"{TESTS}/{test_id}/results", from_ts=plane.now() - 1000)
    assert [one["result_id"] for one in since["results"]] == [number]
    elsewhere = await api.get(f"{TESTS}/{test_id}/results", probe_dc="pl:other")
    assert (elsewhere["results"], elsewhere["last_timestamp_fetched"]) == ([], 0)
    assert (await api.call("GET", f"{TESTS}/zzz-zzz-zzz/results")).status == 404
    assert (await api.call("GET", f"{TESTS}/{test_id}/results/x")).status == 400


async def test_a_batch_is_in_progress_until_its_last_run_has_ended(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    other = await plane.add_location("lab")
    metadata = {"ci": {"pipeline": {"url": "https://ci.test/1"}}, "git": {"branch": "main"}}
    asked = [{"public_id": test_id, "locations": [worker.location, "lab"]}]
    made = await api.post(CI, {"tests": asked, "metadata": metadata, "options": {"batch_timeout": 60_000}})
    ids = [one["result_id"] for one in made["results"]]

    first = await batch_of(api, made["batch_id"])
    assert (first["status"], first["metadata"]) == ("in_progress", metadata)
    assert [(row["result_id"], row["status"], row["retries"]) for row in first["results"]] == [
        (ids[0], "in_progress", None),
        (ids[1], "in_progress", None),
    ]
    await worker.push(session, item(await one_job(worker, session), **OUTCOME))
    half = await batch_of(api, made["batch_id"])
    assert (half["status"], [row["status"] for row in half["results"]]) == ("in_progress", ["passed", "in_progress"])
    polled = await poll(api, *ids)
    assert ["finished_at" in one["attributes"]["result"] for one in polled["data"]] == [True, False]
    await other.push(session, item(await one_job(other, session), status="failed", failure=FAILURE))

    whole = await batch_of(api, made["batch_id"])

    assert whole["status"] == "failed"
    assert whole["results"][0] == {
        "test_public_id": test_id,
        "test_name": "test abc-def-ghi",
        "test_type": "api",
        "status": "passed",
        "result_id": ids[0],
        "location": worker.location,
        "duration": 100,
        "execution_rule": "blocking",
        "retries": None,
        "max_retries": None,
        "timed_out": False,
    }
    polled = await poll(api, *ids)
    assert [one["attributes"]["result"]["run_type"] for one in polled["data"]] == ["ci", "ci"]
    assert polled["data"][1]["attributes"]["result"]["failure"]["code"] == "CONNREFUSED"
    (included,) = polled["included"]
    assert (included["type"], included["id"], "request" in included["attributes"]["config"]) == ("test", test_id, True)
    read = await api.get(f"{NEWER}/{test_id}/results/{ids[0]}")
    assert read["data"]["attributes"]["git"] == {"branch": "main"}


@pytest.mark.parametrize(
    ("retry", "said", "before", "after"),
    [
        ({"count": 2, "interval": 300}, {"retries": 1}, (None, 2), (1, 2)),
        ({"count": 2.0, "interval": 300.0}, {}, (None, 2), (0, 2)),
        ({"count": 2, "interval": 60_000}, {}, (None, 2), (0, 2)),
        ({"count": 0}, {}, (None, None), (None, None)),
    ],
    ids=["one of two", "none of two", "none of two with long waits", "none asked for"],
)
async def test_a_row_tells_the_retries_that_were_made_and_how_many_there_may_be(
    api: PublicAPI,
    worker: ProtocolWorker,
    session: aiohttp.ClientSession,
    test_id: str,
    retry: dict[str, float],
    said: dict[str, Any],
    before: tuple[int | None, int | None],
    after: tuple[int | None, int | None],
) -> None:
    made = await api.post(CI, {"tests": [{"public_id": test_id, "retry": retry}]})

    async def told() -> tuple[int | None, int | None]:
        (row,) = (await batch_of(api, made["batch_id"]))["results"]
        return row["retries"], row["max_retries"]

    assert await told() == before, "the first execution is under way"
    await worker.push(session, item(await one_job(worker, session), **OUTCOME, **said))
    assert await told() == after


async def test_what_no_worker_ran_in_time_has_timed_out(
    plane: Plane, api: PublicAPI, test_id: str, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    made = await api.post(CI, {"tests": [{"public_id": test_id}], "options": {"batch_timeout": 30_000}})
    await plane.let_pass(31)
    batch = await batch_of(api, made["batch_id"])
    (row,) = batch["results"]
    assert (batch["status"], row["status"], row["timed_out"]) == ("failed", "failed", True)
    ((_, note),) = await plane.rows(results)
    assert (note.origin, note.test_name, json.loads(note.outcome)["test"]["subtype"]) == (
        "missed",
        "test abc-def-ghi",
        "http",
    )
    result = (await poll(api, row["result_id"]))["data"][0]["attributes"]["result"]
    assert (result["status"], result["unhealthy"], result["failure"]["code"]) == ("no_data", True, "INTERNAL_ERROR")
    assert isinstance(result["finished_at"], int)
    assert (await worker.pull(session)).jobs == ()


async def test_a_triggered_run_that_a_dead_worker_had_goes_to_another(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    made = await api.post(CI, {"tests": [{"public_id": test_id}]})
    first = await one_job(worker, session)
    await plane.let_pass(60)
    second = await one_job(worker.another(), session)
    assert (second.job, second.delivery) == (first.job, 2)
    await worker.push(session, item(second, **OUTCOME))
    assert (await batch_of(api, made["batch_id"]))["status"] == "passed"


async def test_rules_and_overrides_are_of_this_run_alone(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    asked = [
        {"public_id": test_id, "executionRule": "skipped"},
        {"public_id": test_id, "executionRule": "non_blocking", "startUrl": "https://staging.test/"},
    ]
    made = await api.post(CI, {"tests": asked})
    job = await one_job(worker, session)
    assert json.loads(bytes(job.test))["config"]["request"]["url"] == "https://staging.test/"
    await worker.push(session, item(job, status="failed", failure=FAILURE))
    batch = await batch_of(api, made["batch_id"])
    assert [(row["status"], row["execution_rule"]) for row in batch["results"]] == [
        ("skipped", "skipped"),
        ("failed", "non_blocking"),
    ]
    assert batch["status"] == "passed", "only what blocks fails a batch"
    assert (await api.get(f"{TESTS}/{test_id}"))["config"]["request"]["url"] == "https://shop.test/"


async def test_a_substitution_in_the_url_goes_with_the_job(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession, test_id: str
) -> None:
    asked = {"public_id": test_id, "startUrlSubstitutionRegex": "https://shop.test/(.*)|https://staging.test/$1"}
    await api.post(CI, {"tests": [asked]})
    sent = parse(json.loads(bytes((await one_job(worker, session)).test)))
    assert sent.url_substitution == URLSubstitution(
        pattern="https://shop.test/(.*)", replacement="https://staging.test/$1"
    )


async def test_a_definition_that_a_pipeline_brings_is_run_and_not_stored(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    local = http_test("brought", locations=[worker.location]) | {"options": {}}
    made = await api.post(CI, {"tests": [{"local_test_definition": local}]})
    job = await one_job(worker, session)
    await worker.push(session, item(job, **OUTCOME))
    (row,) = (await batch_of(api, made["batch_id"]))["results"]
    assert (row["test_name"], row["status"]) == ("brought", "passed")
    polled = await poll(api, row["result_id"])
    assert polled["included"][0]["id"] == row["test_public_id"] == json.loads(bytes(job.test))["public_id"]
    assert (await api.get(TESTS))["total"] == 0


async def test_scheduled_runs_go_on_beside_triggered_ones(
    plane: Plane, api: PublicAPI, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    stored = await plane.add_test(worker.location, period=60)
    await api.post(f"{TESTS}/trigger", {"tests": [{"public_id": stored.public_id}]})
    jobs = (await worker.pull(session)).jobs
    assert len({job.job for job in jobs}) == 2
    reply = await worker.push(session, *(item(job) for job in jobs))
    assert len(reply.accepted) == 2


REFUSED: dict[str, tuple[Any, int, str]] = {
    "no test": ([], 400, "expected 1 to 1000"),
    "too many": ([{"public_id": "abc-def-ghi"}] * 1001, 400, "expected 1 to 1000"),
    "an unknown test": ([{"public_id": "zzz-zzz-zzz"}], 404, "Synthetics test not found"),
    "no name": ([{}], 404, "Synthetics test not found"),
    "an unknown location": ([{"public_id": "abc-def-ghi", "locations": ["aws:x"]}], 400, "no location 'aws:x'"),
    "an unknown rule": ([{"public_id": "abc-def-ghi", "executionRule": "x"}], 400, "must be one of blocking"),
    "an older version": ([{"public_id": "abc-def-ghi", "version": 7}], 404, "Test version not found"),
    "a tunnel": ([{"public_id": "abc-def-ghi", "tunnel": {"host": "x"}}], 400, "tests[].tunnel: is not supported"),
    "a substitution of no form": (
        [{"public_id": "abc-def-ghi", "startUrlSubstitutionRegex": "a|b|c"}],
        400,
        "tests[].startUrlSubstitutionRegex: must have the form regex|replacement",
    ),
    "an invalid local definition": ([{"local_test_definition": {"name": "x"}}], 400, "config"),
    "a local definition of another kind": ([{"local_test_definition": []}], 400, "not a valid object"),
    "a locations list of another kind": ([{"public_id": "abc-def-ghi", "locations": "x"}], 400, "not a valid list"),
}


@pytest.mark.parametrize(("asked", "status", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_refused_trigger_leaves_nothing_behind(
    plane: Plane, api: PublicAPI, test_id: str, asked: Any, status: int, reason: str
) -> None:
    good = [] if len(asked) in (0, 1001) else [{"public_id": test_id}]
    refused = await api.call("POST", CI, {"tests": [*good, *asked]})
    assert refused.status == status, refused
    assert reason in refused.errors[0]
    assert await plane.rows(triggered) == [[]]


async def test_a_test_that_no_enabled_location_runs_cannot_be_triggered(
    plane: Plane, api: PublicAPI, test_id: str
) -> None:
    await api.put(f"{TESTS}/api/{test_id}", http_test("nowhere", locations=[]))
    refused = await api.call("POST", CI, {"tests": [{"public_id": test_id}]})
    assert refused.errors == ["test 'nowhere' is assigned to no enabled location"]


@pytest.mark.parametrize("ids", ["", "[", "{}", "[1]", '["x"]', '["99999999999999999999"]', "[" * 3000])
async def test_a_poll_for_what_is_no_list_of_ids_is_refused(api: PublicAPI, ids: str) -> None:
    answer = await api.call("GET", f"{NEWER}/poll_results", result_ids=ids)
    assert answer.status == 400, answer
    assert answer.errors


async def test_all_results_of_the_largest_batch_can_be_asked_for_at_once(api: PublicAPI) -> None:
    ids = [str(2**62 + number) for number in range(2000)]
    assert await poll(api, *ids) == {"data": [], "included": []}


async def test_a_poll_for_nothing_and_for_unknown_results_is_empty(api: PublicAPI) -> None:
    assert await poll(api) == {"data": [], "included": []}
    assert await poll(api, "1234") == {"data": [], "included": []}
    assert (await api.call("GET", "/api/v1/synthetics/ci/batch/unknown")).status == 404
