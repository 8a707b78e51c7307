"""Results as pages: one run with everything that it tells, and runs on demand, which are awaited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from controlplane import epoch
from controlplane.epoch import LATEST
from controlplane.errors import UnusableError
from controlplane.pages.page import PageReply, PageRoute, Rendered, Visit, shown
from controlplane.pages.runpicture import picture
from controlplane.pages.testpages import MOST_AWAITED
from controlplane.service import locations, publicresults, triggers
from controlplane.service.publicresults import PolledResult
from controlplane.service.triggers import RunStatus

LIVE_SECONDS = 2
_TIMES = (
    ("scheduled_at", "Scheduled"),
    ("leased_at", "Given out"),
    ("started_at", "Started"),
    ("finished_at", "Finished"),
)


class AwaitedRun(Struct, frozen=True, kw_only=True):
    """A run on demand as it stands. *status* is `waiting` until it has ended; *told* is why it ended without a result."""

    id: int
    test: str
    name: str
    location: str
    location_name: str
    status: str
    told: str

    @property
    def has_ended(self) -> bool:
        return self.status != "waiting"


async def show(visit: Visit) -> PageReply:
    """Show one run."""
    found = await publicresults.find(visit.context.database, visit.by, visit.path["test"], visit.path["result"])
    return Rendered(
        template="result.html",
        values={
            "result": found.result,
            "run": picture(found.outcome),
            "kind": found.run.value,
            "version": found.version,
            "readable": found.readable,
            "times": _times(found.outcome),
            "worker": _worker(found.outcome),
        },
    )


def _times(outcome: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The moments of a run that are known, each with its label."""
    found = [(label, outcome.get(name)) for name, label in _TIMES]
    return [(label, when) for label, when in found if type(when) is int and 0 <= when < LATEST]


def _worker(outcome: Mapping[str, Any]) -> str:
    location = outcome.get("location")
    said = location if isinstance(location, Mapping) else {}
    return " ".join(str(said[name])[:200] for name in ("worker_id", "version") if said.get(name))


async def follow(visit: Visit) -> PageReply:
    """Show runs on demand as they stand, and turn as they end."""
    wanted = visit.query.getall("id", [])
    if not 1 <= len(wanted) <= MOST_AWAITED:
        raise UnusableError(f"id: expected 1 to {MOST_AWAITED} ids of results")
    found = await publicresults.poll(visit.context.database, visit.by, wanted)
    now = epoch.milliseconds(visit.context.clock)
    names = {place.id: place.name for place in await locations.list_names(visit.context.database, visit.by)}
    runs = [_awaited(one, names, now) for one in found]
    waits = any(not run.has_ended for run in runs)
    return Rendered(template="ondemand.html", values={"runs": runs}, live_seconds=LIVE_SECONDS if waits else None)


def _awaited(polled: PolledResult, names: Mapping[str, str], now: int) -> AwaitedRun:
    followed = polled.followed
    stands = triggers.stands(followed, now)
    waits = stands.status is RunStatus.IN_PROGRESS
    told = "" if polled.outcome is not None or waits else "It ended without a result"
    if stands.timed_out:
        told = "No worker ran it in time"
    return AwaitedRun(
        id=followed.run.result_id,
        test=followed.run.test_id,
        name=followed.run.test_name,
        location=followed.run.location,
        location_name=names.get(followed.run.location, followed.run.location),
        status="waiting" if waits else stands.status.value,
        told=told,
    )


ROUTES: tuple[PageRoute, ...] = (
    shown("/tests/{test}/results/{result}", show),
    shown("/ondemand", follow),
)
