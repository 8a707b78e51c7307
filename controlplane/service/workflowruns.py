"""Starts of workflows: by callers of the API and the command line, and what every start has to meet, whoever asks for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions.templates import Rendering
from controlplane.actions.workflows import WorkflowTrigger
from controlplane.errors import UnusableError
from controlplane.service import runs, steps
from controlplane.service.principal import Principal
from controlplane.service.runs import RunView
from controlplane.service.steps import RunStart
from controlplane.store import workflows
from controlplane.store.actionruns import ActionRun
from controlplane.store.database import Database
from controlplane.store.workflows import StoredWorkflow
from worker.clock import Clock
from worker.schemas.pointer import pointer
from worker.schemas.schema import first_breach
from worker.wire.order import MAX_INPUT_BYTES, OrderClient, OrderedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedWorkflow:
    """A caller's wish to start the workflow of this *name*."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None


async def create(
    database: Database, clock: Clock, by: Principal, wanted: WantedWorkflow, *, client: OrderClient
) -> RunView:
    """Start a workflow; the same run again for the same idempotency key and wish.

    Raises ForbiddenError, NotFoundError, UnusableError, and ConflictError where the key stands for another wish.
    """
    by.require_workflow(wanted.name)
    runs.check_key(wanted.idempotency_key)
    wish = msgspec.json.encode(["workflow", wanted.name, wanted.params], order="sorted")
    digest = hashlib.sha256(wish).digest()
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        earlier = await runs.earlier_run(connection, by, wanted.idempotency_key, digest, now=now)
        is_new = earlier is None
        if earlier is None:
            stored = await workflows.find(connection, database.sealer, wanted.name)
            by.require_workflow(stored.name)  # it may have been named by its id
            start = RunStart(
                stored=stored,
                params=wanted.params,
                trigger={},
                client=client,
                by=runs.ordered_by(by),
                idempotency_key=wanted.idempotency_key,
                request_sha256=digest,
            )
            earlier = (await begin(connection, database, by, start, now=now)).id
    return replace(await runs.show(database, by, earlier), is_new=is_new)


async def begin(
    connection: AsyncConnection, database: Database, recorded_as: Principal, start: RunStart, *, now: int
) -> ActionRun:
    """Check what every start has to meet, make the run, and write down who did. Raises UnusableError, NotFoundError."""
    if start.stored.paused:
        raise UnusableError(f"workflow {start.stored.name!r} is paused")
    _check_params(start)
    run, task = await steps.begin(connection, database, start, now=now)
    await runs.record(connection, recorded_as, "run.create", run, task, now)
    return run


def triggered(
    stored: StoredWorkflow, trigger: WorkflowTrigger, event: dict[str, Any], *, number: int, client: OrderClient
) -> RunStart:
    """The start that a trigger makes of an *event*. Raises TemplatePathError."""
    params = Rendering({"trigger": event}).render(trigger.params, f"triggers[{number}].params")
    by = OrderedBy(kind=client, id=stored.name)
    return RunStart(stored=stored, params=params, trigger=event, client=client, by=by)


def _check_params(start: RunStart) -> None:
    if len(msgspec.json.encode(start.params)) > MAX_INPUT_BYTES:
        raise UnusableError(f"params: larger than {MAX_INPUT_BYTES} bytes")
    found = first_breach(start.stored.workflow.params, start.params)
    if found is not None:
        place, told = found
        raise UnusableError(f"params: {pointer(place)}: {told}", field=f"params.{place[0]}" if place else "")
