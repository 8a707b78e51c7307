"""Alerts as pages: those that go on and what was decided, one with how it was told, and silences; acknowledging and silencing."""

from __future__ import annotations

from controlplane import epoch
from controlplane.alerts.monitor import NOT_MUTED, WITHOUT_END
from controlplane.errors import UnusableError
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import alerts, silences
from controlplane.service.principal import KeyScope
from controlplane.store.monitors import OngoingAlert

LIVE_SECONDS = 5
MOST_DECIDED = 50
"""Transitions of one page; `alert list --all` shows more."""
MOST_HOURS = 24 * 90
"""Of a silence that is begun here."""


async def list_all(visit: Visit) -> PageReply:
    """Show the alerts that go on, what was decided lately, and silences."""
    database, clock = visit.context.database, visit.context.clock
    values = {
        "ongoing": await alerts.list_ongoing(database, visit.by),
        "decided": [one.transition for one in await alerts.history(database, visit.by, limit=MOST_DECIDED)],
        "silences": [(one, _holds(until)) for one, until in await silences.list_all(database, clock, visit.by)],
        "state": state,
        "may_write": KeyScope.WRITE in visit.by.scopes,
        "now": epoch.milliseconds(clock),
    }
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


async def silence(visit: Visit) -> PageReply:
    """Keep alerts from being told from now on: of a test, of tests with tags, or of all."""
    tags = [tag.strip() for tag in visit.form.get("tags", "").split(",") if tag.strip()]
    made = await silences.add(
        visit.context.database,
        visit.context.clock,
        visit.by,
        name=visit.form.get("name", "").strip(),
        test=visit.form.get("test", "").strip() or None,
        tags=tags,
        minutes=_minutes(visit.form.get("hours", "")),
    )
    return SeeOther(to="/alerts", notice=f"The silence “{made.name}” holds.")


def _minutes(text: str) -> int | None:
    """Minutes of hours in a form, None where the field is empty. Raises UnusableError."""
    written = text.strip()
    if not written:
        return None
    if not written.isascii() or not written.isdecimal() or len(written) > 6 or not 1 <= int(written) <= MOST_HOURS:
        raise UnusableError(f"hours: {written[:40]!r} is not a valid number from 1 to {MOST_HOURS}")
    return int(written) * 60


async def unsilence(visit: Visit) -> PageReply:
    """End one silence."""
    await silences.remove(visit.context.database, visit.context.clock, visit.by, visit.path["silence"])
    return SeeOther(to="/alerts", notice="The silence is over. What still goes on is told within a second.")


ROUTES: tuple[PageRoute, ...] = (
    shown("/alerts", list_all),
    sent("/alerts/silences", silence),
    sent("/alerts/silences/{silence}/end", unsilence),
    shown("/alerts/{alert}", show),
    sent("/alerts/{alert}/acknowledge", acknowledge),
)
