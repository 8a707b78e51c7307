"""Runners of private actions as pages: who is there and how they are; runs of actions, with what went in and came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from controlplane.errors import ForbiddenError, NotFoundError
from controlplane.pages.page import PageReply, PageRoute, Rendered, Visit, shown
from controlplane.pages.testforms import written
from controlplane.service import runners, runs, runshapes
from controlplane.service.runs import StepView
from worker.text import cut
from worker.wire.runner_details import ToldConnection

LIVE_SECONDS = 5
MOST_RUNS = 100
MOST_TOLD = 2000
"""Characters of one cell."""
MOST_CHARACTERS = 100_000
"""Of inputs and of outputs, as JSON."""


class ConnectionRow(Struct, frozen=True):
    """A connection in a table. *choices* are its scripts or queries, each with its parameters."""

    name: str
    kind: str
    actions: str
    choices: str


class StepRow(Struct, frozen=True, kw_only=True):
    """An attempt of a step of a workflow. *outputs* is JSON, empty where there are none."""

    name: str
    attempt: int
    action: str
    state: str
    reason: str
    outputs: str


async def list_all(visit: Visit) -> PageReply:
    """Show every runner, and the newest runs of actions that the visitor may order."""
    found = await runners.list_all(visit.context.database, visit.context.clock, visit.by)
    try:
        newest = await runs.list_newest(visit.context.database, visit.by, limit=MOST_RUNS)
    except ForbiddenError:
        newest = None
    values = {"runners": found, "runs": newest, "headlines": [runshapes.headline(run) for run in newest or ()]}
    return Rendered(template="runners.html", values=values, live_seconds=LIVE_SECONDS)


async def show_runner(visit: Visit) -> PageReply:
    """Show one runner with what it tells of itself."""
    found = await runners.list_all(visit.context.database, visit.context.clock, visit.by)
    one = next((one for one in found if one.runner.id == visit.path["runner"]), None)
    if one is None:
        raise NotFoundError("runner", visit.path["runner"])
    connections = [_connection(each) for each in one.details.connections] if one.details else []
    return Rendered(template="runner.html", values={"one": one, "connections": connections}, live_seconds=LIVE_SECONDS)


def _connection(told: ToldConnection) -> ConnectionRow:
    choices = [f"{each.name}({', '.join((each.schema or {}).get('properties', ()))})" for each in told.choices]
    return ConnectionRow(
        name=told.name,
        kind=told.kind if told.usable else "cannot be used",
        actions=cut(", ".join(told.actions) or "every one", MOST_TOLD),
        choices=cut(", ".join(choices), MOST_TOLD),
    )


async def show(visit: Visit) -> PageReply:
    """Show one run, to who may order its action."""
    view = await runs.show(visit.context.database, visit.by, visit.path["run"])
    given = await runs.arguments(visit.context.database, visit.by, visit.path["run"])
    values = {
        "view": view,
        "headline": runshapes.headline(view),
        "inputs": _json(given),
        "outputs": _outputs(view.outcome),
        "steps": [_step(one) for one in view.steps],
    }
    return Rendered(template="actionrun.html", values=values, live_seconds=None if view.has_ended else LIVE_SECONDS)


def _outputs(outcome: Mapping[str, Any] | None) -> str:
    outputs = (outcome or {}).get("outputs")
    return "" if outputs is None else _json(outputs)


def _step(view: StepView) -> StepRow:
    error = (view.outcome or {}).get("error")
    told = f"{error.get('code', '')}: {error.get('message', '')}" if isinstance(error, Mapping) else view.task.reason
    return StepRow(
        name=view.attempt.name,
        attempt=view.attempt.attempt,
        action=view.attempt.action,
        state=view.task.state.value,
        reason=cut(told or "", MOST_TOLD),
        outputs=_outputs(view.outcome),
    )


def _json(value: object) -> str:
    return cut(written(value), MOST_CHARACTERS)


ROUTES: tuple[PageRoute, ...] = (
    shown("/runners", list_all),
    shown("/runners/runs/{run}", show),
    shown("/runners/{runner}", show_runner),
)
