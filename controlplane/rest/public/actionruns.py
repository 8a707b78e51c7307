"""Runs of private actions and workflows over HTTP: order one, wait for its end, cancel, retry, resolve.

The scopes are `action/GLOB` and `workflow/GLOB`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from controlplane.actions.states import TaskState
from controlplane.errors import UnusableError
from controlplane.operations.operation import schema
from controlplane.rest.context import Context
from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Parameter, Route
from controlplane.service import runs, workflowruns
from controlplane.service.principal import Principal
from controlplane.service.runs import RunView, WantedRun
from controlplane.service.runshapes import as_json
from controlplane.service.workflowruns import WantedWorkflow
from worker.clock import heard

MAX_WAIT = 300
"""Seconds that `?wait=` may ask for: proxies end what takes longer."""
LOOK_SECONDS = 1.0
"""Between looks for what another process ended."""
_TAGS = ("actions",)
_Body = TypeVar("_Body")


class OrderRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A private action to run now. *within* and *timeout* are seconds."""

    action: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    runner: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    connection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    input: dict[str, Any] = {}
    select: Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)] | None = None
    within: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = runs.DEFAULT_WITHIN_MS // 1000
    timeout: Annotated[int, msgspec.Meta(ge=1, le=3600)] = runs.DEFAULT_TIMEOUT_MS // 1000


class StartWorkflow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A workflow to start now, with its parameters."""

    workflow: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    params: dict[str, Any] = {}


class ResolveRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a run of which nobody can tell, by a person's word."""

    status: Literal["succeeded", "failed"]


async def create(call: Call) -> APIReply:
    """202 with the run; 200 where it has ended, also within `?wait=`."""
    wait = call.number("wait", 0, most=MAX_WAIT)
    view = await (_started(call) if "workflow" in call.body else _ordered(call))
    call.context.wakeups.ring(view.task.runner)
    return _following(call.context, call.by, view, wait)


async def _started(call: Call) -> RunView:
    body = _read(call.body, StartWorkflow)
    key = call.headers.get("Idempotency-Key")
    wanted = WantedWorkflow(name=body.workflow, params=body.params, idempotency_key=key)
    return await workflowruns.create(call.context.database, call.context.clock, call.by, wanted, client="api")


async def _ordered(call: Call) -> RunView:
    body = _read(call.body, OrderRun)
    wanted = WantedRun(
        action=body.action,
        runner=body.runner,
        connection=body.connection,
        arguments=body.input,
        select=body.select,
        within_ms=body.within * 1000,
        timeout_ms=body.timeout * 1000,
        idempotency_key=call.headers.get("Idempotency-Key"),
    )
    return await runs.create(call.context.database, call.context.clock, call.by, wanted, client="api")


def _read(body: dict[str, Any], kind: type[_Body]) -> _Body:
    """The body as one of the two kinds of runs. Raises UnusableError with the place of the first mistake."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise UnusableError(f"the body is not valid: {str(error)[:300]}") from error


async def read(call: Call) -> APIReply:
    wait = call.number("wait", 0, most=MAX_WAIT)
    view = await runs.show(call.context.database, call.by, call.path["run_id"])
    return _following(call.context, call.by, view, wait)


def _following(context: Context, by: Principal, view: RunView, wait: int) -> APIReply:
    reply = _reply(view)
    return reply if view.has_ended or not wait else APIReply(later=lambda: _ended(context, by, view.run.id, wait))


async def _ended(context: Context, by: Principal, run: str, wait: int) -> APIReply:
    """The run once it has ended, or as it is after *wait* seconds or as this process ends. Nothing of the request is held."""
    deadline_ns = context.clock.monotonic_ns() + wait * 1_000_000_000
    with context.wakeups.listening(run) as bell:
        while True:
            bell.clear()
            view = await runs.show(context.database, by, run)
            left = (deadline_ns - context.clock.monotonic_ns()) / 1e9
            if view.has_ended or left <= 0 or context.wakeups.ended:
                return _reply(view)
            await heard(bell, context.clock, min(left, LOOK_SECONDS))


def _reply(view: RunView) -> APIReply:
    return APIReply(status=200 if view.has_ended else 202, body=as_json(view))


async def list_newest(call: Call) -> APIReply:
    state = call.query.get("state")
    if state is not None and state not in set(TaskState):
        raise UnusableError(f"state: {state[:40]!r} is not a valid state")
    found = await runs.list_newest(
        call.context.database,
        call.by,
        limit=max(1, call.number("limit", 20, most=runs.MOST_LISTED)),
        runner=call.query.get("runner"),
        states=() if state is None else (state,),
    )
    return APIReply(body={"runs": [as_json(one) for one in found]})


async def cancel(call: Call) -> APIReply:
    return await _changed(call, runs.cancel(call.context.database, call.context.clock, call.by, call.path["run_id"]))


async def retry(call: Call) -> APIReply:
    return await _changed(call, runs.retry(call.context.database, call.context.clock, call.by, call.path["run_id"]))


async def resolve(call: Call) -> APIReply:
    good = call.body.status == "succeeded"
    run = call.path["run_id"]
    return await _changed(call, runs.resolve(call.context.database, call.context.clock, call.by, run, succeeded=good))


async def _changed(call: Call, deed: Awaitable[RunView]) -> APIReply:
    view = await deed
    call.context.wakeups.ring(view.task.runner)
    call.context.wakeups.ring(view.run.id)
    return _reply(view)


_SCOPES = ("action/GLOB", "workflow/GLOB")
_BODY = {"oneOf": [schema(OrderRun), schema(StartWorkflow)]}
_RUN = schemas.fields({"id": schemas.TEXT, "state": {"enum": [state.value for state in TaskState]}})
_WAIT = Parameter(
    name="wait",
    schema={"type": "integer", "minimum": 0, "maximum": MAX_WAIT},
    about="Seconds to wait for its end; 202 where it goes on.",
)
ROUTES = (
    Route(
        method="POST",
        path="/v1/runs",
        about="Order a private action, or start a workflow. The same `Idempotency-Key` and body within a day are one run.",
        handler=create,
        query=(_WAIT,),
        body=dict[str, Any],
        described=_BODY,
        reply=_RUN,
        also=(202,),
        refusals=(400, 404, 409),
        names_scopes=_SCOPES,
        tags=_TAGS,
    ),
    Route(
        method="GET",
        path="/v1/runs",
        about="List the newest runs, without their outputs.",
        handler=list_newest,
        query=(
            Parameter(
                name="limit", schema={"type": "integer", "minimum": 1, "maximum": runs.MOST_LISTED}, about="Runs."
            ),
            Parameter(name="runner", schema=schemas.TEXT, about="Runs of this runner alone."),
            Parameter(
                name="state", schema={"enum": [state.value for state in TaskState]}, about="Runs in this state alone."
            ),
        ),
        reply=schemas.fields({"runs": schemas.array(_RUN)}),
        refusals=(400, 404),
        names_scopes=_SCOPES,
        tags=_TAGS,
    ),
    Route(
        method="GET",
        path="/v1/runs/{run_id}",
        about="Read a run: its state, its tasks and its outputs.",
        handler=read,
        query=(_WAIT,),
        reply=_RUN,
        also=(202,),
        refusals=(404,),
        names_scopes=_SCOPES,
        tags=_TAGS,
    ),
    Route(
        method="DELETE",
        path="/v1/runs/{run_id}",
        about="Cancel a run: a queued one ends at once, a running one as soon as its runner hears of it.",
        handler=cancel,
        reply=_RUN,
        also=(202,),
        refusals=(400, 404),
        names_scopes=_SCOPES,
        tags=_TAGS,
    ),
    Route(
        method="POST",
        path="/v1/runs/{run_id}/retry",
        about="Order the same once more, although the run failed or its end is not known.",
        handler=retry,
        reply=_RUN,
        also=(202,),
        refusals=(400, 404),
        names_scopes=_SCOPES,
        tags=_TAGS,
    ),
    Route(
        method="POST",
        path="/v1/runs/{run_id}/resolve",
        about="Say how a run, whose end is not known, has ended.",
        handler=resolve,
        body=ResolveRun,
        reply=_RUN,
        also=(202,),
        refusals=(400, 404),
        names_scopes=_SCOPES,
        tags=_TAGS,
    ),
)
