"""The way from an empty database to the first green run: which step comes next, told by what is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from controlplane.service import locations
from controlplane.service.locations import LocationHealth
from controlplane.service.principal import Principal
from controlplane.store import milestones
from controlplane.store.database import Database
from worker.clock import Clock


class VisitStep(Enum):
    """The step that comes next."""

    LOCATION = "location"
    """There is no location."""
    WORKER = "worker"
    """No worker has polled yet."""
    TEST = "test"
    """There is no test."""
    RUN = "run"
    """No run has passed yet."""
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstVisit:
    """*test* is the public id and the name of the oldest test, None where there is none."""

    step: VisitStep
    places: tuple[LocationHealth, ...]
    test: tuple[str, str] | None


async def look(database: Database, clock: Clock, by: Principal) -> FirstVisit:
    """Find the next step."""
    places = await locations.list_all(database, clock, by)
    async with database.read() as connection:
        test = await milestones.any_test(connection)
        passed = await milestones.has_passed(connection)
    return FirstVisit(step=_step(places, test, passed=passed), places=places, test=test)


def _step(places: tuple[LocationHealth, ...], test: object, *, passed: bool) -> VisitStep:
    if passed:
        return VisitStep.DONE
    if not places:
        return VisitStep.LOCATION
    if all(place.last_seen is None for place in places):
        return VisitStep.WORKER
    return VisitStep.TEST if test is None else VisitStep.RUN
