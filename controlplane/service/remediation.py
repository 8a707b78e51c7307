"""Remediation: carries out the starts that ends of tests' runs have noted, each once, over kills and beside other processes.

The row says that a trigger may have been met; what is started is read from the sealed workflow, which must have such a trigger.
"""

from __future__ import annotations

import logging

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions.workflows import TransitionTrigger
from controlplane.errors import DatabaseError, UnusableError
from controlplane.service import workflowruns
from controlplane.service.principal import Principal
from controlplane.store import starts, workflows
from controlplane.store.actionruns import ActionRun
from controlplane.store.database import Database
from controlplane.store.starts import PendingStart
from controlplane.store.workflows import StoredWorkflow
from worker.clock import Clock

log = logging.getLogger(__name__)

REMEMBERED_MS = 400 * 24 * 3600 * 1000
"""Milliseconds for which starts are kept, longer than any `cooldown` or `at_most` that makes sense."""
_MAX_REASON = 500


async def carry_out(database: Database, clock: Clock) -> frozenset[str]:
    """Start what is pending; the ids of runners that have new tasks."""
    async with database.read() as connection:
        found = await starts.pending(connection)
    woken: set[str] = set()
    for start in found:
        async with database.write() as connection:
            if await starts.claim(connection, start):
                woken |= await _carry_out(connection, database, start, now=epoch.milliseconds(clock))
    return frozenset(woken)


async def _carry_out(connection: AsyncConnection, database: Database, start: PendingStart, *, now: int) -> set[str]:
    try:
        run = await _begin(connection, database, start, now)
    except (UnusableError, DatabaseError) as error:
        extra = {"action": "workflow_not_started", "result": start.result}
        log.warning("result %s started no workflow: %s", start.result, error, extra=extra)
        await starts.note_reason(connection, start, str(error)[:_MAX_REASON])
        return set()
    log.info(
        "result %s started run %s of %s",
        start.result,
        run.id,
        run.action,
        extra={"action": "workflow_started", "run": run.id},
    )
    await starts.note_run(connection, start, run.id)
    return {run.runner}


async def _begin(connection: AsyncConnection, database: Database, start: PendingStart, now: int) -> ActionRun:
    stored = await workflows.find(connection, database.sealer, start.workflow)
    trigger = dict(enumerate(stored.workflow.triggers)).get(start.number)
    if trigger is None or trigger.test is None or not _meets(stored, trigger.test, start):
        raise UnusableError(f"workflow {stored.name!r} has no trigger that this result meets")
    event = {
        "name": start.test_name,
        "id": start.test,
        "result": start.result,
        "status": start.status,
        "location": start.location,
        "code": start.code,
    }
    wanted = workflowruns.triggered(stored, trigger, event, number=start.number, client="test")
    by = Principal(name=f"test {start.test_name}"[:200], via="api", scopes=frozenset())
    return await workflowruns.begin(connection, database, by, wanted, now=now)


def _meets(stored: StoredWorkflow, trigger: TransitionTrigger, start: PendingStart) -> bool:
    """Tell if the result is of the trigger's test, and of its kind: a row that somebody wrote may name any."""
    status = "failed" if trigger.on == "failed" else "passed"
    return start.status == status and stored.tests.get(str(start.number)) == start.test
