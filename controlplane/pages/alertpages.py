"""Alerts as pages: those that go on, what was decided, silences and routes; one with how it was told; acknowledging."""

from __future__ import annotations

from collections.abc import Mapping

from controlplane import epoch
from controlplane.alerts.monitor import NOT_MUTED, WITHOUT_END
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import alerts, silences
from controlplane.service.principal import KeyScope
from controlplane.store.monitors import OngoingAlert

LIVE_SECONDS = 5
SILENCE_FIELDS = ("name", "test", "tags", "hours")
MOST_DECIDED = 50
"""Transitions of one page; `alert list --all` shows more."""


async def list_all(visit: Visit) -> PageReply:
    """Show the alerts that go on, what was decided lately, silences, and routes."""
    return await overview(visit, dict.fromkeys(SILENCE_FIELDS, ""), NO_MISTAKES)


async def overview(visit: Visit, typed: Mapping[str, str], mistakes: FormMistakes) -> Rendered:
    """The page of all alerts, with the form of a silence as it was *typed*. It turns by itself while there is nothing to mend."""
    database, clock = visit.context.database, visit.context.clock
    decided = [one.transition for one in await alerts.history(database, visit.by, limit=MOST_DECIDED)]
    values = {
        "ongoing": await alerts.list_ongoing(database, visit.by),
        "decided": decided,
        "told": {one.alert: one.summary for one in reversed(decided)},
        "silences": [(one, _holds(until)) for one, until in await silences.list_all(database, clock, visit.by)],
        "routes": await silences.list_routes(database, visit.by),
        "state": state,
        "may_write": KeyScope.WRITE in visit.by.scopes,
        "now": epoch.milliseconds(clock),
        "typed": typed,
        "mistakes": mistakes,
    }
    if mistakes:
        return Rendered(template="alerts.html", values=values, status=400)
    return Rendered(template="alerts.html", values=values, live_seconds=LIVE_SECONDS)


def _holds(until: int) -> str:
    if until == NOT_MUTED:
        return ""
    return "holds until somebody ends it" if until == WITHOUT_END else "holds now"


def state(one: OngoingAlert) -> str:
    """A word or two on an alert that goes on."""
    if not one.test:
        return "notice"
    if one.location is not None:
        return "no data"
    if not one.told:
        return "silenced"
    return "alert" if one.acknowledged_by is None else "acknowledged"


async def show(visit: Visit) -> PageReply:
    """Show one alert: what was decided of it, who was told, and how far that is."""
    record = await alerts.show(visit.context.database, visit.by, visit.path["alert"])
    values = {
        "record": record,
        "newest": record.transitions[-1].transition,
        "state": state(record.ongoing) if record.ongoing else "over",
        "may_write": KeyScope.WRITE in visit.by.scopes,
        "now": epoch.milliseconds(visit.context.clock),
    }
    return Rendered(template="alert.html", values=values, live_seconds=LIVE_SECONDS)


async def acknowledge(visit: Visit) -> PageReply:
    """Say that somebody looks after an alert."""
    alert = visit.path["alert"]
    await alerts.acknowledge(visit.context.database, visit.context.clock, visit.by, alert)
    return SeeOther(to=f"/alerts/{alert}", notice="The alert is acknowledged: it is repeated no more.")


ROUTES: tuple[PageRoute, ...] = (
    shown("/alerts", list_all),
    shown("/alerts/{alert}", show),
    sent("/alerts/{alert}/acknowledge", acknowledge),
)
