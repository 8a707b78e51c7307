"""Operations on runs of private actions and workflows. An order by key is `api` for a runner's policy, whoever sends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec

from controlplane import epoch
from controlplane.actions.states import TaskState
from controlplane.operations.operation import Operation
from controlplane.service import runs, workflowruns
from controlplane.service.principal import ACTION, WORKFLOW, Principal
from controlplane.service.runs import DEFAULT_TIMEOUT_MS, DEFAULT_WITHIN_MS, RunView, WantedRun
from controlplane.service.workflowruns import WantedWorkflow
from controlplane.store.database import Database
from worker.clock import Clock
from worker.wire.order import MAX_WITHIN_MS, OrderClient

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Program = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]


class OrderAction(msgspec.Struct, frozen=True, kw_only=True):
    """A private action to run now, on the runner of this name or id."""

    action: _Name
    runner: _Name
    connection: _Name | None = None
    input: dict[str, Any] = {}
    select: _Program | None = None
    within_ms: Annotated[int, msgspec.Meta(ge=1, le=MAX_WITHIN_MS)] = DEFAULT_WITHIN_MS
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=DEFAULT_TIMEOUT_MS)] = DEFAULT_TIMEOUT_MS
    idempotency_key: str | None = None


class StartNamed(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow to start now, with its parameters."""

    workflow: _Name
    params: dict[str, Any] = {}
    idempotency_key: str | None = None


class ListRuns(msgspec.Struct, frozen=True, kw_only=True):
    """At most *limit* runs, of one *runner* and in *states* where these are said."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=runs.MOST_LISTED)]
    runner: str | None = None
    states: tuple[TaskState, ...] = ()


class RunCalled(msgspec.Struct, frozen=True):
    run: str


class ResolveUnknown(msgspec.Struct, frozen=True):
    run: str
    succeeded: bool


class FoundRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, the newest first, and the control plane's time, in epoch milliseconds."""

    now: int
    runs: tuple[RunView, ...]


def _client(by: Principal) -> OrderClient:
    """The kind of program that a runner's policy knows: whoever brings a key is `api`, whatever it says of itself."""
    return "cli" if by.via == "command" else "api"


async def _order(database: Database, clock: Clock, by: Principal, sent: OrderAction) -> RunView:
    wanted = WantedRun(
        action=sent.action,
        runner=sent.runner,
        connection=sent.connection,
        arguments=sent.input,
        select=sent.select,
        within_ms=sent.within_ms,
        timeout_ms=sent.timeout_ms,
        idempotency_key=sent.idempotency_key,
    )
    return _shown(await runs.create(database, clock, by, wanted, client=_client(by)))


async def _start(database: Database, clock: Clock, by: Principal, sent: StartNamed) -> RunView:
    wanted = WantedWorkflow(name=sent.workflow, params=sent.params, idempotency_key=sent.idempotency_key)
    return _shown(await workflowruns.create(database, clock, by, wanted, client=_client(by)))


async def _list(database: Database, clock: Clock, by: Principal, sent: ListRuns) -> FoundRuns:
    states = [state.value for state in sent.states]
    found = await runs.list_newest(database, by, limit=sent.limit, runner=sent.runner, states=states)
    return FoundRuns(now=epoch.milliseconds(clock), runs=tuple(map(_shown, found)))


async def _show(database: Database, _clock: Clock, by: Principal, sent: RunCalled) -> RunView:
    return _shown(await runs.show(database, by, sent.run))


async def _cancel(database: Database, clock: Clock, by: Principal, sent: RunCalled) -> RunView:
    return _shown(await runs.cancel(database, clock, by, sent.run))


async def _retry(database: Database, clock: Clock, by: Principal, sent: RunCalled) -> RunView:
    return _shown(await runs.retry(database, clock, by, sent.run))


async def _resolve(database: Database, clock: Clock, by: Principal, sent: ResolveUnknown) -> RunView:
    return _shown(await runs.resolve(database, clock, by, sent.run, succeeded=sent.succeeded))


def _shown(view: RunView) -> RunView:
    """*view* without what only the caller who made the run has a use for."""
    return replace(view, run=replace(view.run, idempotency_key=None, request_sha256=b""))


def _stirred(view: RunView) -> tuple[str, ...]:
    return view.task.runner, view.run.id


_NAMED = (f"{ACTION}GLOB", f"{WORKFLOW}GLOB")
ORDER: Operation[OrderAction, RunView] = Operation(
    name="runs/order",
    about="Order a private action. The same idempotency key and wish within a day are one run.",
    sent=OrderAction,
    reply=RunView,
    run=_order,
    names_scopes=_NAMED[:1],
    wakes=_stirred,
)
START: Operation[StartNamed, RunView] = Operation(
    name="runs/start",
    about="Start a workflow. The same idempotency key and wish within a day are one run.",
    sent=StartNamed,
    reply=RunView,
    run=_start,
    names_scopes=_NAMED[1:],
    wakes=_stirred,
)
LIST: Operation[ListRuns, FoundRuns] = Operation(
    name="runs/list",
    about="List the newest runs, without their outputs.",
    sent=ListRuns,
    reply=FoundRuns,
    run=_list,
    names_scopes=_NAMED,
)
SHOW: Operation[RunCalled, RunView] = Operation(
    name="runs/show",
    about="Show a run: its state, its tasks and its outputs.",
    sent=RunCalled,
    reply=RunView,
    run=_show,
    names_scopes=_NAMED,
)
CANCEL: Operation[RunCalled, RunView] = Operation(
    name="runs/cancel",
    about="Cancel a run: a queued one ends at once, a running one as soon as its runner hears of it.",
    sent=RunCalled,
    reply=RunView,
    run=_cancel,
    names_scopes=_NAMED,
    wakes=_stirred,
)
RETRY: Operation[RunCalled, RunView] = Operation(
    name="runs/retry",
    about="Order the same once more, although the run failed or its end is not known.",
    sent=RunCalled,
    reply=RunView,
    run=_retry,
    names_scopes=_NAMED,
    wakes=_stirred,
)
RESOLVE: Operation[ResolveUnknown, RunView] = Operation(
    name="runs/resolve",
    about="Say how a run, whose end is not known, has ended.",
    sent=ResolveUnknown,
    reply=RunView,
    run=_resolve,
    names_scopes=_NAMED,
    wakes=_stirred,
)
OPERATIONS = (ORDER, START, LIST, SHOW, CANCEL, RETRY, RESOLVE)
