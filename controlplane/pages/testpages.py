"""Tests as pages: the overview, one test with its charts and newest runs, and what is done to one: pause, run now, delete."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from controlplane.errors import UnusableError
from controlplane.pages import charts, formats, testforms
from controlplane.pages.locationpages import may_write
from controlplane.pages.names import listed_names
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import alerts, locations, overview, testdocuments, tests, triggers
from controlplane.service.overview import DAY, PAGE, RunGlance, TestReport
from controlplane.service.principal import KeyScope
from controlplane.store.recentruns import Place
from controlplane.store.testsearch import NewestState, SearchTerms
from worker.apitest.summary import reason
from worker.text import cut

LIVE_SECONDS, AWAITED_SECONDS = 10, 2
"""Between looks at tests that run every 30 s at most, and at one whose run is due or under way."""
PAUSED = "paused"
STATES = (*(one.value for one in NewestState), PAUSED)
MOST_OFFSET = 10_000_000
PIECE = 1_800_000
"""Milliseconds of a piece of the uptime bar."""
MOST_WORDS = 20
"""Of a filter: each is a condition that the database looks at for every test."""
MOST_AWAITED = 100
"""Runs on demand of one page; their outcomes are read each time."""
MOST_TOLD = 200
"""Characters of a failure in one line."""


class RunRow(Struct, frozen=True, kw_only=True):
    """A run in the table of a test's page. *total* and *told* are texts."""

    id: int
    stored_at: int
    status: str
    location_name: str
    total: str
    told: str
    unhealthy: bool
    retried: bool
    on_demand: bool


class PhaseKey(Struct, frozen=True):
    """A phase in the legend of a chart, with its class in the style sheet."""

    name: str
    style: str


async def list_some(visit: Visit) -> PageReply:
    """Show a page of the tests that a filter lets through."""
    context, filled = visit.context, {name: visit.query.get(name, "").strip() for name in _FILTER}
    offset = visit.number("from", 0, most=MOST_OFFSET)
    page = await overview.page(context.database, context.clock, visit.by, _terms(filled), offset=offset)
    places = await locations.list_names(context.database, visit.by)
    said = {name: value for name, value in filled.items() if value}
    return Rendered(
        template="tests.html",
        values={
            "page": page,
            "places": places,
            "filter": filled,
            "filtered": bool(said),
            "states": STATES,
            "offset": offset,
            "previous": _address(said, max(0, offset - PAGE)) if offset else None,
            "next": _address(said, offset + PAGE) if offset + len(page.tests) < page.total else None,
            "may_write": may_write(visit),
        },
        live_seconds=LIVE_SECONDS,
    )


_FILTER = ("name", "tag", "state", "location")


def _terms(filled: dict[str, str]) -> SearchTerms:
    """Raises UnusableError."""
    state = filled["state"]
    if state and state not in STATES:
        raise UnusableError(f"state: {state[:40]!r} is not a valid state: expected one of {', '.join(STATES)}")
    words, tags = tuple(filled["name"].split()), listed_names(filled["tag"])
    if len(words) + len(tags) > MOST_WORDS:
        raise UnusableError(f"a filter has at most {MOST_WORDS} words and tags")
    return SearchTerms(
        words=words,
        tags=tags,
        places=(filled["location"],) if filled["location"] else (),
        paused=True if state == PAUSED else None,
        newest=NewestState(state) if state and state != PAUSED else None,
    )


def _address(said: dict[str, str], offset: int) -> str:
    return "/tests?" + urlencode({**said, "from": offset})


async def show(visit: Visit) -> PageReply:
    """Show one test."""
    before = _before(visit)
    report = await overview.get(
        visit.context.database, visit.context.clock, visit.by, visit.path["test"], before=before
    )
    older = None if report.next is None else urlencode({"before": f"{report.next.stored_at}.{report.next.seq}"})
    return Rendered(
        template="test.html",
        values={
            "report": report,
            "alerts": await alerts.ongoing_of(visit.context.database, visit.by, visit.path["test"]),
            "runs": [_row(glance) for glance in report.runs],
            "chart": _chart(report),
            "phases": _phases(report.runs),
            "uptime_bar": _uptime_bar(report),
            "certificate": _certificate(report),
            "first_page": before is None,
            "older": None if older is None else f"/tests/{visit.path['test']}?{older}",
            "may_write": may_write(visit),
            "may_trigger": KeyScope.TRIGGER in visit.by.scopes,
        },
        live_seconds=_live_seconds(report) if before is None else None,
    )


def _live_seconds(report: TestReport) -> int:
    awaited = any(
        one.running or (one.due_at is not None and one.due_at <= report.now) for one in report.overview.assignments
    )
    return AWAITED_SECONDS if awaited else LIVE_SECONDS


def _before(visit: Visit) -> Place | None:
    """The place from which older runs are shown. Raises UnusableError."""
    text = visit.query.get("before")
    if text is None:
        return None
    parts = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        raise UnusableError(f"before: {text[:40]!r} is not a valid place among results")
    return Place(int(parts[0]), int(parts[1]))


def _row(glance: RunGlance) -> RunRow:
    run = glance.run
    phases = charts.durations(glance.timings)
    code = glance.code or ""
    told = " ".join(part for part in (code, reason(code, glance.message or "")) if part) or glance.unhealthy or ""
    if run.runs > 1:
        told = f"{run.runs} runs in a row. {told}"
    return RunRow(
        id=run.id,
        stored_at=run.stored_at,
        status="lost" if run.origin == "lost" else run.status,
        location_name=run.location_name,
        total=charts.milliseconds(sum(length for _, length in phases)) if phases else "–",
        told=cut(told, MOST_TOLD),
        unhealthy=glance.unhealthy is not None and run.origin == "worker",
        retried=not run.is_last,
        on_demand=run.triggered_at is not None,
    )


def _chart(report: TestReport) -> Any:
    runs = [
        charts.ChartedRun(
            when=formats.moment(one.run.stored_at),
            status=one.run.status,
            phases=charts.durations(one.timings),
            unhealthy=one.unhealthy is not None and one.run.origin == "worker",
        )
        for one in reversed(report.runs)
    ]
    return charts.response_times(
        runs, title=f"Response times of the {len(runs)} runs in the table below, the oldest left"
    )


def _phases(runs: tuple[RunGlance, ...]) -> list[PhaseKey]:
    """Phases with a colour of their own, in the order in which they run, then the others together."""
    names = {name for glance in runs for name, _ in charts.durations(glance.timings)}
    found = [PhaseKey(name, charts.phase_class(name)) for name in charts.PHASES if name in names]
    return [*found, PhaseKey("other", "phase-other")] if names.difference(charts.PHASES) else found


def _uptime_bar(report: TestReport) -> Any:
    until = -(-report.now // PIECE) * PIECE // 1000  # half hours of the clock: a piece stays as it is while it is shown
    since = until - DAY // 1000
    shares = charts.segments(report.history, since=since, until=until, now=report.now / 1000, parts=DAY // PIECE)
    begins = range(since * 1000, until * 1000, PIECE)
    pieces = [charts.UptimePiece(formats.moment(at), share) for at, share in zip(begins, shares, strict=True)]
    return charts.uptime_bar(pieces, title="Uptime of the last 24 hours, half an hour a piece")


def _certificate(report: TestReport) -> str:
    """The end of the certificate that the newest run has seen, with the days that are left."""
    end = next((one.valid_until for one in report.runs if one.valid_until is not None), None)
    if end is None or not 0 < end < 10**14:
        return ""
    days = (end - report.now) // DAY
    return f"{formats.moment(end)}, in {days} days" if days >= 0 else f"{formats.moment(end)}: it has ended"


async def pause(visit: Visit) -> PageReply:
    """Pause a test."""
    await tests.set_paused(visit.context.database, visit.context.clock, visit.by, visit.path["test"], paused=True)
    return SeeOther(to=f"/tests/{visit.path['test']}", notice="The test is paused.")


async def resume(visit: Visit) -> PageReply:
    """Resume a test; it is due at once."""
    await tests.set_paused(visit.context.database, visit.context.clock, visit.by, visit.path["test"], paused=False)
    return SeeOther(to=f"/tests/{visit.path['test']}", notice="The test runs again.")


async def run(visit: Visit) -> PageReply:
    """Run a test now, at all its locations."""
    made = await triggers.trigger(
        visit.context.database, visit.context.clock, visit.by, [{"public_id": visit.path["test"]}]
    )
    return SeeOther(to=followed([one.result_id for one in made.runs]))


def followed(results: list[int]) -> str:
    """The address at which runs on demand are awaited, the first `MOST_AWAITED` of them."""
    return "/ondemand?" + urlencode([("id", number) for number in results[:MOST_AWAITED]])


async def show_json(visit: Visit) -> PageReply:
    """Show the document of a test."""
    one = await testdocuments.look(visit.context.database, visit.by, visit.path["test"])
    values = {
        "name": one.test.name,
        "public_id": one.test.public_id,
        "text": testforms.written(one.document),
        "may_write": may_write(visit),
    }
    return Rendered(template="testjson.html", values=values)


async def ask_delete(visit: Visit) -> PageReply:
    """Show where a test runs before it is deleted."""
    visit.by.require(KeyScope.WRITE)
    report = await overview.get(visit.context.database, visit.context.clock, visit.by, visit.path["test"])
    places = [one.location_name for one in report.overview.assignments]
    values = {"name": report.overview.test.name, "public_id": visit.path["test"], "places": places}
    return Rendered(template="testdelete.html", values=values)


async def delete(visit: Visit) -> PageReply:
    """Delete a test."""
    await testdocuments.delete(visit.context.database, visit.context.clock, visit.by, [visit.path["test"]])
    return SeeOther(to="/tests", notice="The test is deleted.")


ROUTES: tuple[PageRoute, ...] = (
    shown("/tests", list_some),
    shown("/tests/{test}", show),
    shown("/tests/{test}/json", show_json),
    sent("/tests/{test}/pause", pause),
    sent("/tests/{test}/resume", resume),
    sent("/tests/{test}/run", run),
    shown("/tests/{test}/delete", ask_delete),
    sent("/tests/{test}/delete", delete),
)
