"""Forms of when alerts are not told, and of who is told of tests by their tags. One with a mistake comes back as it was typed."""

from __future__ import annotations

from controlplane.alerts.windows import Silence
from controlplane.errors import UnusableError
from controlplane.pages.alertpages import SILENCE_FIELDS, overview
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.names import listed_names
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import silences
from controlplane.service.principal import KeyScope

MOST_HOURS = 24 * 90
"""Of a silence that is begun, or a window that is planned, here."""
_PLAN = ("name", "start", "zone", "hours", "rule", "test", "tags")
_ROUTE = ("name", "tags", "handles")
_MISSING = {"start": "maintenance needs a start", "hours": "maintenance needs a length in hours"}
_CALLED = {"minutes": "hours"}


async def silence(visit: Visit) -> PageReply:
    """Keep alerts from being told from now on: of a test, of tests with tags, or of all."""
    typed = {name: _text(visit, name) for name in SILENCE_FIELDS}
    try:
        made = await _added(visit, typed)
    except UnusableError as error:
        return await overview(visit, typed, mistake_of(error, called=_CALLED))
    return SeeOther(to="/alerts", notice=f"The silence “{made.name}” holds.")


async def unsilence(visit: Visit) -> PageReply:
    """End one silence."""
    await silences.remove(visit.context.database, visit.context.clock, visit.by, visit.path["silence"])
    return SeeOther(to="/alerts", notice="The silence is over. What still goes on is told within a second.")


async def new_plan(visit: Visit) -> PageReply:
    """Show the form of planned maintenance."""
    visit.by.require(KeyScope.WRITE)
    return _form("maintenanceform.html", dict.fromkeys(_PLAN, "") | {"zone": "UTC"})


async def plan(visit: Visit) -> PageReply:
    """Plan maintenance, once or again and again."""
    typed = {name: _text(visit, name) for name in _PLAN}
    if missing := {name: (_MISSING[name],) for name in _MISSING if not typed[name]}:
        return _form("maintenanceform.html", typed, missing)
    try:
        made = await _added(visit, typed, starts=typed["start"], zone=typed["zone"], rule=typed["rule"])
    except UnusableError as error:
        return _form("maintenanceform.html", typed, mistake_of(error, called=_CALLED))
    return SeeOther(to="/alerts", notice=f"The maintenance “{made.name}” is planned.")


async def new_route(visit: Visit) -> PageReply:
    """Show the form of a route."""
    visit.by.require(KeyScope.WRITE)
    return _form("routeform.html", dict.fromkeys(_ROUTE, ""))


async def put_route(visit: Visit) -> PageReply:
    """Make a route, or replace the one of its name."""
    typed = {name: _text(visit, name) for name in _ROUTE}
    try:
        made = await silences.put_route(
            visit.context.database,
            visit.context.clock,
            visit.by,
            typed["name"],
            tags=listed_names(visit.form.get("tags", "")),
            handles=listed_names(visit.form.get("handles", "")),
        )
    except UnusableError as error:
        return _form("routeform.html", typed, mistake_of(error))
    return SeeOther(to="/alerts", notice=f"The route {made.name} holds.")


async def delete_route(visit: Visit) -> PageReply:
    """Take a route away."""
    name = visit.path["route"]
    await silences.remove_route(visit.context.database, visit.context.clock, visit.by, name)
    return SeeOther(to="/alerts", notice=f"The route {name} is gone.")


async def _added(visit: Visit, typed: dict[str, str], **when: str) -> Silence:
    """The silence of a form, from now on or *when* it says. Raises UnusableError."""
    return await silences.add(
        visit.context.database,
        visit.context.clock,
        visit.by,
        name=typed["name"],
        test=typed["test"] or None,
        tags=listed_names(visit.form.get("tags", "")),
        minutes=_minutes(typed["hours"]),
        **when,
    )


def _form(template: str, typed: dict[str, str], mistakes: FormMistakes = NO_MISTAKES) -> Rendered:
    values = {"typed": typed, "mistakes": mistakes}
    return Rendered(template=template, values=values, status=400 if mistakes else 200)


def _text(visit: Visit, name: str) -> str:
    return visit.form.get(name, "").strip()


def _minutes(hours: str) -> int | None:
    """Minutes of hours in a form, None where the field is empty. Raises UnusableError."""
    if not hours:
        return None
    if not hours.isascii() or not hours.isdecimal() or len(hours) > 6 or not 1 <= int(hours) <= MOST_HOURS:
        raise UnusableError(f"hours: {hours[:40]!r} is not a valid number from 1 to {MOST_HOURS}", field="hours")
    return int(hours) * 60


ROUTES: tuple[PageRoute, ...] = (
    sent("/alerts/silences", silence),
    sent("/alerts/silences/{silence}/end", unsilence),
    shown("/alerts/maintenance/new", new_plan),
    sent("/alerts/maintenance/new", plan),
    shown("/alerts/routes/new", new_route),
    sent("/alerts/routes/new", put_route),
    sent("/alerts/routes/{route}/delete", delete_route),
)
