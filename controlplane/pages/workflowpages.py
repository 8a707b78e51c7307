"""Workflows of private actions as pages: each with its steps, what starts it, and its newest runs and a form
that starts it for those who may."""

from __future__ import annotations

import secrets

from msgspec import Struct, to_builtins

from controlplane.actions.workflows import WorkflowTrigger
from controlplane.errors import ForbiddenError, UnusableError
from controlplane.pages.locationpages import may_write
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.pages.testforms import written
from controlplane.pages.workflowforms import FIELD, OTHERS, asked_params, read_params, start_key
from controlplane.service import runs, runshapes, workflowruns, workflows
from controlplane.service.runs import RunView
from controlplane.service.workflowruns import WantedWorkflow
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
            "may_start": visit.by.may_start(stored.name) and not stored.paused,
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


async def ask_start(visit: Visit) -> PageReply:
    """Show the form of a workflow's parameters."""
    stored = await workflows.show(visit.context.database, visit.by, visit.path["workflow"])
    visit.by.require_workflow(stored.name)
    return _start_form(visit, stored, NO_MISTAKES)


async def start(visit: Visit) -> PageReply:
    """Start a workflow, and go to its run."""
    context = visit.context
    stored = await workflows.show(context.database, visit.by, visit.path["workflow"])
    visit.by.require_workflow(stored.name)
    try:
        params = read_params(stored.workflow.params, visit.form)
        key = start_key(visit.form.get("once", ""), params)
        wanted = WantedWorkflow(name=stored.name, params=params, idempotency_key=key)
        view = await workflowruns.create(context.database, context.clock, visit.by, wanted, client="api")
    except UnusableError as error:
        fields = (one.field for one in asked_params(stored.workflow.params, visit.form))
        called = {f"params.{field.removeprefix(FIELD)}": field for field in fields if field != OTHERS}
        return _start_form(visit, stored, mistake_of(error, called=called))
    context.wakeups.ring(view.task.runner)
    return SeeOther(to=f"/runners/runs/{view.run.id}", notice=f"Workflow {stored.name} is started.")


def _start_form(visit: Visit, stored: StoredWorkflow, mistakes: FormMistakes) -> Rendered:
    asked = asked_params(stored.workflow.params, visit.form)
    values = {"stored": stored, "asked": asked, "once": secrets.token_hex(16), "mistakes": mistakes}
    return Rendered(template="workflowstart.html", values=values, status=400 if mistakes else 200)


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
    shown("/workflows/{workflow}/start", ask_start),
    sent("/workflows/{workflow}/start", start),
    sent("/workflows/{workflow}/pause", pause),
    sent("/workflows/{workflow}/resume", resume),
)
