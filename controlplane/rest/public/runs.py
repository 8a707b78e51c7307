"""Runs on demand over HTTP: trigger, trigger as a batch, follow the batch, poll its results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from controlplane.errors import UnusableError
from controlplane.rest.public import schemas
from controlplane.rest.public.included import included_test, result_resource
from controlplane.rest.public.route import APIReply, Call, Parameter, Route
from controlplane.service import documents, publicresults, resultshapes, triggers
from controlplane.service.principal import KeyScope
from controlplane.service.publicresults import PolledResult
from controlplane.service.resultshapes import RunType
from controlplane.service.triggers import DEFAULT_WAIT, BatchRun, RunStatus, Triggered


class TriggerTests(msgspec.Struct, frozen=True):
    """Tests to run now, each at all of its locations."""

    tests: list[dict[str, Any]]


class BatchOptions(msgspec.Struct, frozen=True):
    """*batch_timeout* in milliseconds: what has not ended by then has timed out. Nothing is rerun selectively here."""

    batch_timeout: float | None = None


class TriggerBatch(msgspec.Struct, frozen=True):
    """Tests of a pipeline, by public id or brought along, with overrides. *metadata* is given back with the batch."""

    tests: list[dict[str, Any]]
    metadata: Any = None
    options: BatchOptions = BatchOptions()


async def trigger(call: Call) -> APIReply:
    ids = [{"public_id": one.get("public_id")} for one in call.body.tests]
    made = await triggers.trigger(call.context.database, call.context.clock, call.by, ids)
    return APIReply(body=_triggered(made))


async def trigger_batch(call: Call) -> APIReply:
    wait = call.body.options.batch_timeout
    made = await triggers.trigger(
        call.context.database,
        call.context.clock,
        call.by,
        call.body.tests,
        batch=True,
        details=call.body.metadata,
        wait_ms=DEFAULT_WAIT if wait is None else round(min(max(wait, 1), triggers.LONGEST_WAIT)),
    )
    return APIReply(body=_triggered(made))


async def batch(call: Call) -> APIReply:
    found = await triggers.follow(call.context.database, call.context.clock, call.by, call.path["batch_id"])
    return APIReply(
        body={
            "data": {
                "status": found.status.value,
                "metadata": json.loads(found.batch.details),
                "results": [_row(run) for run in found.runs],
            }
        }
    )


async def poll(call: Call) -> APIReply:
    """Results by their ids; one that has not come yet is told without `finished_at`."""
    found = await publicresults.poll(call.context.database, call.by, _ids(call.query.get("result_ids", "[]")))
    return APIReply(body={"data": [_polled(one) for one in found], "included": _included(found)})


async def poll_1(call: Call) -> APIReply:
    """Answer as version 1 does, for older versions of the pipelines' client."""
    found = await publicresults.poll(call.context.database, call.by, _ids(call.query.get("result_ids", "[]")))
    return APIReply(body={"results": [_polled_1(one) for one in found]})


def _polled_1(one: PolledResult) -> dict[str, Any]:
    run, outcome = one.followed.run, one.outcome
    kind = RunType.TRIGGERED if run.batch is None else RunType.CI
    result = {"eventType": "created"} if outcome is None else resultshapes.version_1(outcome, run=kind)
    return {
        "resultID": str(run.result_id),
        "timestamp": resultshapes.check_time(outcome or {}, run.triggered_at),
        "dc_id": documents.location_number(run.location),
        "check": {"type": "api", "subtype": run.subtype, "config": one.definition.get("config") or {}},
        "result": result,
    }


def _ids(text: str) -> list[str]:
    """A JSON list in the address, of texts as it should be, or of numbers."""
    try:
        ids = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableError("result_ids: is not a valid JSON list") from error
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise UnusableError("result_ids: is not a valid list of texts")
    return ids


def _triggered(made: Triggered) -> dict[str, Any]:
    return {
        "batch_id": made.batch,
        "triggered_check_ids": list(dict.fromkeys(run.test_id for run in made.runs)),
        "results": [
            {
                "public_id": run.test_id,
                "result_id": str(run.result_id),
                "location": documents.location_number(run.location),
            }
            for run in made.runs
        ],
        "locations": [
            {
                "id": documents.location_number(place.id),
                "name": place.id,
                "display_name": place.name,
                "region": "",
                "is_active": place.enabled,
                "is_public": False,
            }
            for place in made.locations
        ],
    }


def _row(one: BatchRun) -> dict[str, Any]:
    run, outcome = one.followed.run, _outcome_of(one)
    retries = resultshapes.made_retries(outcome, one.followed.attempt, json.loads(run.definition))
    return {
        "test_public_id": run.test_id,
        "test_name": run.test_name,
        "test_type": "api",
        "status": one.status.value,
        "result_id": str(run.result_id),
        "location": run.location,
        "duration": 0 if outcome is None else resultshapes.duration(outcome),
        "execution_rule": run.execution_rule,
        "retries": retries.made,
        "max_retries": retries.most,
        "timed_out": None if one.status is RunStatus.IN_PROGRESS else one.timed_out,
    }


def _outcome_of(one: BatchRun) -> dict[str, Any] | None:
    outcome: dict[str, Any] | None = None if one.followed.outcome is None else json.loads(one.followed.outcome)
    return outcome


def _polled(one: PolledResult) -> dict[str, Any]:
    run, outcome = one.followed.run, one.outcome
    number = str(run.result_id)
    kind = RunType.TRIGGERED if run.batch is None else RunType.CI
    result: dict[str, Any] = {"id": number, "run_type": kind.value, "triggered_at": run.triggered_at}
    if outcome is not None:
        result = resultshapes.version_2(
            outcome, number=number, run=kind, triggered_at=run.triggered_at, ended_at=run.deadline
        )
    attributes = {
        "test_type": "api",
        "test_sub_type": run.subtype,
        "location": _location(one, outcome or {}),
        "result": result,
    }
    if run.batch is not None:
        attributes["batch"] = {"id": run.batch}
    return result_resource(number, run.test_id, attributes)


def _location(one: PolledResult, outcome: dict[str, Any]) -> dict[str, Any]:
    worker = outcome.get("location")
    return {"id": one.followed.run.location, "name": one.followed.location_name} | (
        worker if isinstance(worker, dict) else {}
    )


def _included(found: Sequence[PolledResult]) -> list[dict[str, Any]]:
    """Each test once, as it was run."""
    tests = {one.followed.run.test_id: one for one in found}
    return [included_test(test, one.definition) for test, one in tests.items()]


_TRIGGER = (KeyScope.TRIGGER,)
_FOLLOW = (KeyScope.TRIGGER, KeyScope.READ)
ROUTES = (
    Route(
        method="POST",
        path="/api/v1/synthetics/tests/trigger",
        about="Run tests now, at all of their locations.",
        handler=trigger,
        scopes=_TRIGGER,
        body=TriggerTests,
        described=schemas.fields({"tests": schemas.array(schemas.fields({"public_id": schemas.TEXT}))}),
        reply=schemas.TRIGGERED,
        refusals=(400, 404),
    ),
    Route(
        method="POST",
        path="/api/v1/synthetics/tests/trigger/ci",
        about="Run tests of a pipeline now, as a batch.",
        handler=trigger_batch,
        scopes=_TRIGGER,
        body=TriggerBatch,
        described=schemas.TRIGGER,
        reply=schemas.TRIGGERED,
        refusals=(400, 404),
    ),
    Route(
        method="GET",
        path="/api/v1/synthetics/ci/batch/{batch_id}",
        about="Follow a batch.",
        handler=batch,
        scopes=_FOLLOW,
        reply=schemas.BATCH,
        refusals=(404,),
    ),
    Route(
        method="GET",
        path="/api/v1/synthetics/tests/poll_results",
        about="Read results of triggered runs by their ids, as version 1 tells them.",
        handler=poll_1,
        scopes=_FOLLOW,
        query=(Parameter(name="result_ids", schema=schemas.TEXT, about="A JSON list of texts.", required=True),),
        reply=schemas.fields({"results": schemas.array(schemas.NOTHING)}),
        refusals=(400,),
    ),
    Route(
        method="GET",
        path="/api/v2/synthetics/tests/poll_results",
        about="Read results of triggered runs by their ids.",
        handler=poll,
        scopes=_FOLLOW,
        query=(Parameter(name="result_ids", schema=schemas.TEXT, about="A JSON list of texts.", required=True),),
        reply=schemas.RESOURCES,
        refusals=(400,),
    ),
)
