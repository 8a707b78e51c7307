"""Results over HTTP, as version 1 and version 2 show them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from controlplane.epoch import LATEST
from controlplane.rest.public import schemas
from controlplane.rest.public.included import included_test, result_resource
from controlplane.rest.public.route import APIReply, Call, Parameter, Route
from controlplane.service import publicresults, resultshapes, uptimes
from controlplane.service.principal import KeyScope
from controlplane.service.publicresults import ReadResult
from controlplane.store.publicresults import Window
from worker.apitest.request import DEFAULT_SUBTYPE

_STORED = {"passed": "passed", "failed": "failed", "no_data": "missed"}


async def list_1(call: Call) -> APIReply:
    """The newest results of a test, the newest first."""
    found = await publicresults.page(call.context.database, call.by, call.path["public_id"], _window(call))
    rows = [_head_1(one) | {"result": resultshapes.summary_1(one.outcome, run=one.run)} for one in found]
    last = rows[-1]["check_time"] if rows else 0
    return APIReply(body={"results": rows, "last_timestamp_fetched": last // 1000 * 1000})


async def get_1(call: Call) -> APIReply:
    one = await _one(call)
    shown = {name: one.definition.get(name) or {} for name in ("config", "options")}
    return APIReply(
        body=_head_1(one)
        | {
            "run_type": one.run.number,
            "check": {"type": "api", **shown},
            "result": resultshapes.version_1(one.outcome, run=one.run),
        }
    )


async def list_2(call: Call) -> APIReply:
    """The newest results of a test, the newest first, in short."""
    found = await publicresults.page(call.context.database, call.by, call.path["public_id"], _window(call))
    wanted = call.query.getall("runType", [])
    chosen = [one for one in found if not wanted or one.run.value in wanted]
    test = call.path["public_id"]
    return APIReply(
        body={
            "data": [_summary_2(one) for one in chosen],
            "included": [included_test(test, chosen[0].definition)] if chosen else [],
        }
    )


async def get_2(call: Call) -> APIReply:
    one = await _one(call)
    attributes = _attributes_2(one) | {"result": _result_2(one)}
    if one.result.batch is not None:
        attributes["batch"] = {"id": one.result.batch}
        details = json.loads(one.result.details or "null")
        attributes |= {name: details[name] for name in ("ci", "git") if isinstance(details, dict) and name in details}
    test = one.result.test_id
    return APIReply(
        body={
            "data": result_resource(str(one.result.id), test, attributes),
            "included": [included_test(test, one.definition)],
        }
    )


class AskUptimes(msgspec.Struct, frozen=True):
    """*from_ts* and *to_ts* in epoch seconds."""

    public_ids: list[str]
    from_ts: int
    to_ts: int


async def read_uptimes(call: Call) -> APIReply:
    """The reply is a bare list."""
    asked = call.body
    found = await uptimes.read(call.context.database, call.by, asked.public_ids, since=asked.from_ts, until=asked.to_ts)
    return APIReply(
        body=[
            {
                "public_id": one.test,
                "from_ts": asked.from_ts,
                "to_ts": asked.to_ts,
                "groups": [],
                "overall": {
                    "name": one.name,
                    "uptime": one.share,
                    "span_precision": 2,
                    "history": [list(change) for change in one.history],
                    "errors": None,
                },
            }
            for one in found
        ]
    )


async def _one(call: Call) -> ReadResult:
    return await publicresults.get(call.context.database, call.by, call.path["public_id"], call.path["result_id"])


def _window(call: Call) -> Window:
    statuses = [_STORED.get(status, "") for status in call.query.getall("status", [])]
    return Window(
        since=call.number("from_ts", 0, most=LATEST) or None,
        until=call.number("to_ts", LATEST, most=LATEST),
        places=call.query.getall("probe_dc", []),
        statuses=statuses,
    )


def _head_1(one: ReadResult) -> dict[str, Any]:
    return {
        "result_id": str(one.result.id),
        "probe_dc": one.result.location,
        "check_time": resultshapes.check_time(one.outcome, one.result.stored_at),
        "check_version": one.version,
        "status": resultshapes.status_1(one.outcome),
    }


def _attributes_2(one: ReadResult) -> dict[str, Any]:
    test, worker = one.outcome.get("test"), one.outcome.get("location")
    subtype = test.get("subtype") if isinstance(test, dict) else None
    location = {"id": one.result.location, "name": one.result.location_name}
    return {
        "test_type": "api",
        "test_sub_type": subtype or one.definition.get("subtype") or DEFAULT_SUBTYPE,
        "location": location | (worker if isinstance(worker, dict) else {}),
    }


def _result_2(one: ReadResult) -> dict[str, Any]:
    return resultshapes.version_2(
        one.outcome,
        number=str(one.result.id),
        run=one.run,
        triggered_at=one.result.triggered_at,
        ended_at=one.result.stored_at,
    )


def _summary_2(one: ReadResult) -> dict[str, Any]:
    result = _result_2(one)
    failure = resultshapes.failure_of(one.outcome)
    execution = {
        "duration": {"has_duration": "started_at" in result, "value": resultshapes.duration(one.outcome)},
        "timings": result.get("timings", {}),
        "error_message": "" if failure is None else failure["message"],
        "tunnel": False,
        "unhealthy": result["unhealthy"],
        "is_fast_retry": False,
    }
    steps = [step for step in result.get("steps") or [] if isinstance(step, dict)]
    summary = {
        "completed": sum(1 for step in steps if step.get("status") != "skipped"),
        "errors": sum(1 for step in steps if step.get("status") == "failed"),
        "total": len(steps),
    }
    times = {name: result[name] for name in ("status", "started_at", "finished_at", "run_type") if name in result}
    attributes = _attributes_2(one) | times | {"execution_info": execution, "steps_info": summary}
    return result_resource(str(one.result.id), one.result.test_id, attributes, kind="result_summary")


_MOMENT = {"type": "integer", "minimum": 0, "maximum": LATEST}
_WINDOW = (
    Parameter(name="from_ts", schema=_MOMENT, about="Results stored from then on, epoch milliseconds."),
    Parameter(name="to_ts", schema=_MOMENT, about="Results stored before then, epoch milliseconds."),
    Parameter(name="probe_dc", schema=schemas.array(schemas.TEXT), about="Of these locations alone."),
)
_MORE = (
    Parameter(name="status", schema=schemas.TEXT, about="`passed`, `failed` or `no_data`."),
    Parameter(name="runType", schema=schemas.TEXT, about="`scheduled`, `triggered` or `ci`."),
)


def _route(version: int, about: str, handler: Any, reply: schemas.Schema, *, single: bool) -> Route:
    query = () if single else _WINDOW if version == 1 else (*_WINDOW, *_MORE)
    return Route(
        method="GET",
        path=f"/api/v{version}/synthetics/tests/{{public_id}}/results" + ("/{result_id}" if single else ""),
        about=about,
        handler=handler,
        scopes=(KeyScope.READ,),
        query=query,
        reply=reply,
        refusals=(400, 404),
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/synthetics/tests/uptimes",
        about="Read the uptime of tests over a time.",
        handler=read_uptimes,
        scopes=(KeyScope.READ,),
        body=AskUptimes,
        reply=schemas.array(schemas.fields({"public_id": schemas.TEXT, "overall": schemas.NOTHING})),
        refusals=(400, 404),
    ),
    _route(1, "List results of a test.", list_1, schemas.RESULTS_1, single=False),
    _route(1, "Read a result.", get_1, schemas.RESULT_1, single=True),
    _route(2, "List results of a test.", list_2, schemas.RESOURCES, single=False),
    _route(2, "Read a result.", get_2, schemas.ONE_RESOURCE, single=True),
)
