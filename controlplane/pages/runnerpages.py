"""Runners of private actions as pages: who is there and how they are; runs of actions, with what went in and came out."""

from __future__ import annotations

from controlplane.errors import ForbiddenError
from controlplane.pages.page import PageReply, PageRoute, Rendered, Visit, shown
from controlplane.pages.testforms import written
from controlplane.service import runners, runs, runshapes
from controlplane.service.runs import RunView
from worker.text import cut

LIVE_SECONDS = 5
MOST_RUNS = 100
MOST_CHARACTERS = 100_000
"""Of inputs and of outputs, as JSON."""


async def list_all(visit: Visit) -> PageReply:
    """Show every runner, and the newest runs of actions that the visitor may order."""
    found = await runners.list_all(visit.context.database, visit.context.clock, visit.by)
    try:
        newest = await runs.list_newest(visit.context.database, visit.by, limit=MOST_RUNS)
    except ForbiddenError:
        newest = None
    values = {"runners": found, "runs": newest, "headlines": [runshapes.headline(run) for run in newest or ()]}
    return Rendered(template="runners.html", values=values, live_seconds=LIVE_SECONDS)


async def show(visit: Visit) -> PageReply:
    """Show one run, to who may order its action."""
    view = await runs.show(visit.context.database, visit.by, visit.path["run"])
    given = await runs.arguments(visit.context.database, visit.by, visit.path["run"])
    values = {"view": view, "headline": runshapes.headline(view), "inputs": _json(given), "outputs": _outputs(view)}
    return Rendered(template="actionrun.html", values=values, live_seconds=None if view.has_ended else LIVE_SECONDS)


def _outputs(view: RunView) -> str:
    outputs = (view.outcome or {}).get("outputs")
    return "" if outputs is None else _json(outputs)


def _json(value: object) -> str:
    return cut(written(value), MOST_CHARACTERS)


ROUTES: tuple[PageRoute, ...] = (
    shown("/runners", list_all),
    shown("/runners/runs/{run}", show),
)
