"""Workflows of private actions as pages: each with its steps, what starts it, and its newest runs for those who may start it."""

from __future__ import annotations

from msgspec import Struct, to_builtins

from controlplane.actions.workflows import WorkflowTrigger
from controlplane.errors import ForbiddenError
from controlplane.pages.locationpages import may_write
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.pages.testforms import written
from controlplane.service import runs, runshapes, workflows
from controlplane.service.runs import RunView
from controlplane.store.workflows import StoredWorkflow

LIVE_SECONDS = 5
MOST_RUNS = 50
LOOKED_AT = 1000
"""Newest runs of all actions and workflows, among which those of one are looked for."""


class TriggerRow(Struct, frozen=True):
    """A trigger in words; *test* is the public id of the test that starts it."""

    told: str
    test: str | None = None


async def list_all(visit: Visit) -> PageReply:
    """Show every workflow."""
    found = await workflows.list_all(visit.context.database, visit.by)
    readable = [one for one in found if isinstance(one, StoredWorkflow)]
    return Rendered(
        template="workflows.html",
        values={"workflows": readable, "closed": [one for one in found if isinstance(one, str)]},
        live_seconds=LIVE_SECONDS,
    )


async def show(visit: Visit) -> PageReply:
    """Show one workflow."""
    stored = await workflows.show(visit.context.database, visit.by, visit.path["workflow"])
    newest = await _runs(visit, stored.name)
    return Rendered(
        template="workflow.html",
        values={
            "stored": stored,
            "triggers": [_trigger(visit, stored, number, one) for number, one in enumerate(stored.workflow.triggers)],
            "definition": written(to_builtins(stored.workflow)),
            "runs": newest,
            "headlines": [runshapes.headline(run) for run in newest or ()],
            "may_write": may_write(visit),
        },
        live_seconds=LIVE_SECONDS,
    )


async def _runs(visit: Visit, name: str) -> list[RunView] | None:
    """The newest runs of a workflow; None where the visitor may see no run at all."""
    try:
        newest = await runs.list_newest(visit.context.database, visit.by, limit=LOOKED_AT)
    except ForbiddenError:
        return None
    return [run for run in newest if run.workflow == name][:MOST_RUNS]


def _trigger(visit: Visit, stored: StoredWorkflow, number: int, trigger: WorkflowTrigger) -> TriggerRow:
    if trigger.test is not None:
        test = trigger.test
        word = "begins to fail" if test.on == "failed" else "passes again"
        after = f", after {test.after} failed runs in a row" if test.after > 1 else ""
        most = f", at most {test.at_most}" if test.at_most else ""
        return TriggerRow(f"Test {test.id} {word}{after}{most}", stored.tests.get(str(number)))
    hook = stored.hooks.get(str(number), "")
    verify = "" if trigger.hook is None else trigger.hook.verify
    base = next(iter(visit.context.public_urls), "")
    return TriggerRow(f"A request to {base}/hooks/{hook}, proven by {verify}")


async def pause(visit: Visit) -> PageReply:
    """Let a workflow start nothing more."""
    return await _paused(visit, paused=True)


async def resume(visit: Visit) -> PageReply:
    """Let a workflow start again."""
    return await _paused(visit, paused=False)


async def _paused(visit: Visit, *, paused: bool) -> PageReply:
    name = visit.path["workflow"]
    stored = await workflows.set_paused(visit.context.database, visit.context.clock, visit.by, name, paused=paused)
    told = "is paused: it starts nothing more" if paused else "starts again"
    return SeeOther(to=f"/workflows/{name}", notice=f"Workflow {stored.name} {told}.")


ROUTES: tuple[PageRoute, ...] = (
    shown("/workflows", list_all),
    shown("/workflows/{workflow}", show),
    sent("/workflows/{workflow}/pause", pause),
    sent("/workflows/{workflow}/resume", resume),
)
