"""The steps of workflows' runs: each is rendered, signed and queued in the transaction that ends the one before it.

So a process that is killed at any moment leaves a run before a step's end or with its next step queued, and never with two. A
step that cannot be made ends the run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions import progress, templates
from controlplane.actions.effects import shown_by
from controlplane.actions.progress import RunDone, StepDue, StepEnd
from controlplane.actions.states import ENDED, TaskState
from controlplane.actions.templates import Rendering
from controlplane.actions.workflows import URL_INPUTS, Workflow, WorkflowStep
from controlplane.errors import DatabaseError, NotFoundError, TemplatePathError, UnusableError
from controlplane.service import orders
from controlplane.service.orders import OrderWish
from controlplane.service.principal import WORKFLOW
from controlplane.store import actionruns, tasks, workflowruns
from controlplane.store.actionruns import ActionRun
from controlplane.store.database import Database
from controlplane.store.runners import StoredRunner
from controlplane.store.tasks import ActionTask
from controlplane.store.workflowruns import RunContent, RunProgress, StepAttempt, WorkflowRun
from controlplane.store.workflows import StoredWorkflow
from worker.clock import Clock
from worker.wire.order import MAX_INPUT_BYTES, OrderClient, OrderedBy

log = logging.getLogger(__name__)

TEMPLATE = "TEMPLATE"
REFUSED = "REFUSED"
SIGNATURE = "SIGNATURE"
_MAX_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """A run that is to begin: its caller was authorised, and *params* meet the schema."""

    stored: StoredWorkflow
    params: dict[str, Any]
    trigger: dict[str, Any]
    client: OrderClient
    by: OrderedBy
    idempotency_key: str | None = None
    request_sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt that is to be made, as the task of this *number* of its run."""

    run: WorkflowRun
    due: StepDue
    number: int

    @property
    def step(self) -> WorkflowStep:
        return self.run.content.workflow.steps[self.due.position]


async def begin(
    connection: AsyncConnection, database: Database, start: RunStart, *, now: int
) -> tuple[ActionRun, ActionTask]:
    """Make a run and its first task. Raises NotFoundError and UnusableError for a runner that takes none."""
    workflow = start.stored.workflow
    runner = await orders.runner(connection, database, workflow.runner)
    content = RunContent(
        workflow=workflow,
        params=start.params,
        trigger=start.trigger,
        client=start.client,
        by=(start.by.kind, start.by.id),
    )
    made = ActionRun(
        id=str(uuid.uuid4()),
        runner=runner.id,
        action=f"{WORKFLOW}{workflow.name}",
        connection=None,
        client=start.client,
        by_kind=start.by.kind,
        by_id=start.by.id,
        task="",
        created_at=now,
        idempotency_key=start.idempotency_key,
        request_sha256=start.request_sha256,
    )
    await actionruns.add(connection, made)
    first = RunProgress(position=0, attempt=1, task="")
    run = WorkflowRun(run=made.id, workflow_id=start.stored.id, content=content, progress=first)
    await workflowruns.add(connection, database.sealer, run)
    task = await _make(connection, database, _Attempt(run, StepDue(0, 1), 1), runner, now)
    return replace(made, task=task.id), task


async def advance(
    connection: AsyncConnection, database: Database, runs: Collection[str], *, now: int
) -> frozenset[str]:
    """Go on with those of *runs* whose newest task has ended just now; the ids of runners that have a new task."""
    woken: set[str] = set()
    for run_id in await workflowruns.workflow_runs_among(connection, runs):
        try:
            woken |= await _advance(connection, database, run_id, now)
        except DatabaseError as error:
            log.error("the run %s does not open: %s", run_id, error, extra={"action": "run_unreadable", "run": run_id})  # noqa: TRY400
            await workflowruns.end(connection, run_id, TaskState.FAILED, now=now)
    return frozenset(woken)


async def _advance(connection: AsyncConnection, database: Database, run_id: str, now: int) -> set[str]:
    run = await _opened(connection, database, run_id)
    task = (await tasks.by_ids(connection, [run.progress.task])).get(run.progress.task)
    if task is None or task.state not in ENDED:
        return set()
    steps, at = run.content.workflow.steps, run.progress
    if run.state is not None:
        truth = progress.corrected(steps, at.position, run.state, task.state)
        if truth is not run.state:
            await workflowruns.end(connection, run_id, truth, now=now)
        return set()
    if at.resume_at is not None:
        return set()
    end = StepEnd(position=at.position, attempt=at.attempt, state=task.state, effect=task.effect)
    move = progress.following(steps, end, cancelled=run.cancelled)
    return await _follow(connection, database, run, task, move, now)


async def _follow(
    connection: AsyncConnection,
    database: Database,
    run: WorkflowRun,
    last: ActionTask,
    move: StepDue | RunDone,
    now: int,
) -> set[str]:
    if isinstance(move, RunDone):
        await workflowruns.end(connection, run.run, move.state, now=now)
        return set()
    if move.wait_ms:
        waiting = msgspec.structs.replace(run.progress, resume_at=now + move.wait_ms)
        await workflowruns.move(connection, database.sealer, run.run, waiting)
        return set()
    task = await _make(connection, database, _Attempt(run, move, last.number + 1), None, now)
    return {task.runner}


async def resume(database: Database, clock: Clock) -> frozenset[str]:
    """Try the steps again that have waited for it; the ids of their runs and of their runners."""
    async with database.read() as connection:
        if not await workflowruns.to_resume(connection, now=epoch.milliseconds(clock)):
            return frozenset()
    told: set[str] = set()
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        for run_id in await workflowruns.to_resume(connection, now=now):
            told |= {run_id, *await _resumed(connection, database, run_id, now)}
    return frozenset(told)


async def _resumed(connection: AsyncConnection, database: Database, run_id: str, now: int) -> set[str]:
    try:
        run = await _opened(connection, database, run_id)
    except DatabaseError as error:
        log.error("the run %s does not open: %s", run_id, error, extra={"action": "run_unreadable", "run": run_id})  # noqa: TRY400
        await workflowruns.end(connection, run_id, TaskState.FAILED, now=now)
        return set()
    last = (await tasks.by_ids(connection, [run.progress.task])).get(run.progress.task)
    if run.progress.resume_at is None or last is None:  # the column alone says so: somebody wrote it
        await workflowruns.end(connection, run_id, TaskState.FAILED, now=now)
        return set()
    due = StepDue(run.progress.position, run.progress.attempt + 1)
    return await _follow(connection, database, run, last, due, now)


async def cancel(connection: AsyncConnection, database: Database, run_id: str, *, now: int) -> bool:
    """Let a run make no further step; tell if it waited for one and has ended by that."""
    run = await _opened(connection, database, run_id)
    if run.state is not None:
        return False
    await workflowruns.set_cancelled(connection, run_id, cancelled=True)
    if run.progress.resume_at is None:
        return False
    still = msgspec.structs.replace(run.progress, resume_at=None)
    await workflowruns.move(connection, database.sealer, run_id, still)
    await workflowruns.end(connection, run_id, TaskState.CANCELLED, now=now)
    return True


async def go_on(
    connection: AsyncConnection, database: Database, run_id: str, caller: OrderedBy, *, now: int
) -> ActionTask:
    """Go on with a run that has ended, because a person says so: repeat its last step, or make the one after a late success.

    Raises UnusableError for a run that goes on or has succeeded.
    """
    run = await _opened(connection, database, run_id)
    if run.state is None or run.state is TaskState.SUCCEEDED:
        state = "under way" if run.state is None else run.state.value
        raise UnusableError(f"run {run_id} is {state}: only what has ended otherwise can be retried")
    last = (await tasks.by_ids(connection, [run.progress.task]))[run.progress.task]
    at = run.progress
    due = StepDue(at.position + 1, 1) if last.state is TaskState.SUCCEEDED else StepDue(at.position, at.attempt + 1)
    await workflowruns.set_cancelled(connection, run_id, cancelled=False)
    content = msgspec.structs.replace(run.content, by=(caller.kind, caller.id))
    return await _make(connection, database, _Attempt(replace(run, content=content), due, last.number + 1), None, now)


async def _make(
    connection: AsyncConnection, database: Database, attempt: _Attempt, runner: StoredRunner | None, now: int
) -> ActionTask:
    """Render, sign and queue a step; one that cannot be made is a failed task, and ends the run."""
    run, step, due = attempt.run, attempt.step, attempt.due
    digest, signed, failure = "", None, (REFUSED, "")
    try:
        arguments = await _rendered(connection, database, attempt)
        digest = hashlib.sha256(msgspec.json.encode(arguments, order="sorted")).hexdigest()
        found = runner if step.runner is None and runner is not None else None
        found = found or await orders.runner(connection, database, step.runner or run.content.workflow.runner)
        signed = await orders.sign(connection, database, _wish(attempt, found, arguments), now=now)
    except TemplatePathError as error:
        failure = (TEMPLATE, str(error))
    except (UnusableError, NotFoundError) as error:
        failure = (REFUSED, str(error))
    if signed is None:
        task = _refused(attempt, failure, now)
        await tasks.add_refused(connection, task)
    else:
        task = signed.task
        await orders.queue(connection, database, signed)
    row = StepAttempt(
        task=task.id,
        run=run.run,
        position=due.position,
        attempt=due.attempt,
        name=step.name,
        action=step.action,
        input_sha256=digest,
    )
    await workflowruns.add_step(connection, row)
    at = RunProgress(position=due.position, attempt=due.attempt, task=task.id)
    await workflowruns.move(connection, database.sealer, run.run, at)
    if signed is None:
        await workflowruns.end(connection, run.run, TaskState.FAILED, now=now)
    return task


def _wish(attempt: _Attempt, runner: StoredRunner, arguments: dict[str, Any]) -> OrderWish:
    content, step = attempt.run.content, attempt.step
    kind, name = content.by
    return OrderWish(
        run=attempt.run.run,
        step=step.name,
        number=attempt.number,
        runner=runner,
        action=step.action,
        connection=step.connection,
        arguments=arguments,
        select=step.select,
        client=cast("OrderClient", content.client),
        by=OrderedBy(kind=kind, id=name),
        within_ms=step.within * 1000,
        timeout_ms=step.timeout * 1000,
    )


def _refused(attempt: _Attempt, failure: tuple[str, str], now: int) -> ActionTask:
    step = attempt.step
    code, reason = failure
    return ActionTask(
        id=str(uuid.uuid4()),
        run=attempt.run.run,
        runner="",
        number=attempt.number,
        state=TaskState.FAILED,
        effect=shown_by(step.action, step.input),
        order_sha256="",
        created_at=now,
        expires_at=now,
        ended_at=now,
        code=code,
        reason=reason[:_MAX_REASON],
    )


async def _rendered(connection: AsyncConnection, database: Database, attempt: _Attempt) -> dict[str, Any]:
    """The input of a step with its templates replaced. Raises TemplatePathError, UnusableError."""
    content, step = attempt.run.content, attempt.step
    place = f"steps[{attempt.due.position}].input"
    wanted = {found.parts[1] for found in templates.references(step.input, place) if found.parts[0] == "steps"}
    outputs = await _outputs(connection, database, attempt.run.run, wanted) if wanted else {}
    scope = {"params": with_defaults(content.workflow, content.params), "trigger": content.trigger, "steps": outputs}
    urls = URL_INPUTS.get(step.action, frozenset())
    arguments: dict[str, Any] = Rendering(scope).render(step.input, place, encoded=urls)
    if len(msgspec.json.encode(arguments)) > MAX_INPUT_BYTES:
        raise UnusableError(f"{place}: larger than {MAX_INPUT_BYTES} bytes")
    return arguments


def with_defaults(workflow: Workflow, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with the `default` of each property that is not there."""
    known = workflow.params.get("properties")
    described = known.items() if isinstance(known, dict) else ()
    return {name: one["default"] for name, one in described if isinstance(one, dict) and "default" in one} | params


async def _outputs(
    connection: AsyncConnection, database: Database, run: str, wanted: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The outputs of the newest attempt of each step of these names, as templates see them."""
    newest: dict[str, StepAttempt] = {}
    for one in await workflowruns.steps_of(connection, run):
        if one.name in wanted and (one.name not in newest or one.attempt > newest[one.name].attempt):
            newest[one.name] = one
    found: dict[str, dict[str, Any]] = {}
    for name, one in newest.items():
        outcome = await tasks.outcome_of(connection, database.sealer, one.task)
        outputs = None if outcome is None else json.loads(outcome).get("outputs")
        found[name] = {} if outputs is None else {"outputs": outputs}
    return found


async def _opened(connection: AsyncConnection, database: Database, run_id: str) -> WorkflowRun:
    """Raises DatabaseError where it does not open, or is not there."""
    run = await workflowruns.by_run(connection, database.sealer, run_id)
    if run is None:
        raise DatabaseError(f"the run {run_id} is not a workflow's")
    return run
