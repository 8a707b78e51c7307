"""Starts of workflows by tests: what the ends of runs mean for triggers, decided and noted in the transaction that stores them.

A start is a row that is there once for a trigger and a result, whatever is killed when; `service.remediation` carries it out.
Who can write to the database can make a test fail by its definition as well, so such a row need not be sealed: what it starts is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.remediation import Streak, TransitionRule, decide, looks_back_ms
from controlplane.store.portions import portions
from controlplane.store.prepared import Prepared
from controlplane.store.states import RunEnd
from controlplane.store.tables import locations, results
from controlplane.store.workflowtables import workflow_starts, workflow_streaks, workflow_triggers

BATCH = 100
"""Starts that are carried out in one step."""
_DECIDED = ("passed", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingStart:
    """A transition that starts a run, by the trigger *number* of a workflow, and the *result* that decided it.

    *code* is the failure's, empty where the test passed. *test* is empty where the result is not there.
    """

    workflow: str
    number: int
    result: str
    location: str
    code: str
    at: int
    test: str = ""
    test_name: str = ""
    status: str = ""


_Place = tuple[str, int, str]
"""A trigger at a location."""


async def note(connection: AsyncConnection, ended: Sequence[RunEnd]) -> None:
    """Decide what the ends of runs start. Missed and unhealthy ones say nothing; without triggers it is one indexed read."""
    told = [end for end in ended if end.status in _DECIDED and not end.unhealthy and end.result]
    if not told:
        return
    triggers = await _triggers(connection, {end.test for end in told})
    if not triggers:
        return
    streaks = await _streaks(connection, triggers)
    starts = await _earlier(connection, triggers, told[0].at)
    changed: dict[_Place, Streak] = {}
    new: list[dict[str, Any]] = []
    concerned = defaultdict(list)
    for row in triggers:
        concerned[row.test_id].append(row)
    for end in told:
        for row in concerned[end.test]:
            place = (row.workflow_id, row.number, end.location)
            known = starts.setdefault(place[:2], [])
            before = changed.get(place, streaks.get(place, Streak()))
            after, due = decide(_rule(row), before, passed=end.status == "passed", now=end.at, starts=known)
            if after != before:
                changed[place] = after
            if due:
                known.append(end.at)
                new.append(_start(place, end))
    await _put_streaks(connection, changed)
    if new:
        await connection.execute(insert(workflow_starts), new)


_TRIGGERS = Prepared(
    select(workflow_triggers)
    .where(workflow_triggers.c.test_id.in_(bindparam("some", expanding=True)))
    .order_by(workflow_triggers.c.workflow_id, workflow_triggers.c.number)
    .with_for_update()  # one at a time counts towards cooldown and at_most
)


async def _triggers(connection: AsyncConnection, tests: Collection[str]) -> list[Any]:
    found: list[Any] = []
    for some in portions(sorted(tests)):
        found += await _TRIGGERS.rows(connection, some=some)
    return found


async def _streaks(connection: AsyncConnection, triggers: Sequence[Any]) -> dict[_Place, Streak]:
    keys = [(row.workflow_id, row.number) for row in triggers]
    found: dict[_Place, Streak] = {}
    for some in portions(keys):
        mine = tuple_(workflow_streaks.c.workflow_id, workflow_streaks.c.number).in_(some)
        for row in await connection.execute(select(workflow_streaks).where(mine)):
            found[row.workflow_id, row.number, row.location_id] = Streak(row.failures, row.spent)
    return found


async def _earlier(connection: AsyncConnection, triggers: Sequence[Any], now: int) -> dict[tuple[str, int], list[int]]:
    """The starts that still count towards cooldown and at_most."""
    found: dict[tuple[str, int], list[int]] = {}
    for row in triggers:
        back = looks_back_ms(_rule(row))
        if back:
            mine = (workflow_starts.c.workflow_id == row.workflow_id) & (workflow_starts.c.number == row.number)
            query = select(workflow_starts.c.at).where(mine, workflow_starts.c.at > now - back)
            found[row.workflow_id, row.number] = list(await connection.scalars(query))
    return found


async def _put_streaks(connection: AsyncConnection, changed: dict[_Place, Streak]) -> None:
    for (workflow, number, location), streak in changed.items():
        column = workflow_streaks.c
        mine = (column.workflow_id == workflow) & (column.number == number) & (column.location_id == location)
        if streak == Streak():
            await connection.execute(delete(workflow_streaks).where(mine))
            continue
        values = {"failures": streak.failures, "spent": streak.spent}
        done = await connection.execute(update(workflow_streaks).where(mine).values(values))
        if done.rowcount == 0:
            key = {"workflow_id": workflow, "number": number, "location_id": location}
            await connection.execute(insert(workflow_streaks).values(key | values))


def _rule(row: Any) -> TransitionRule:
    return TransitionRule(
        on=row.transition, after=row.after, cooldown_ms=row.cooldown_ms, most=row.most, per_ms=row.per_ms
    )


def _start(place: _Place, end: RunEnd) -> dict[str, Any]:
    workflow, number, location = place
    return {
        "workflow_id": workflow,
        "number": number,
        "result_id": end.result,
        "location_id": location,
        "code": end.code,
        "at": end.at,
        "pending": True,
    }


async def pending(connection: AsyncConnection) -> Sequence[PendingStart]:
    """Starts that are to be carried out, the oldest first, `BATCH` at most."""
    rows = await connection.execute(
        select(
            workflow_starts,
            *(results.c.test_id, results.c.test_name, results.c.status),
            func.coalesce(locations.c.name, workflow_starts.c.location_id).label("location_name"),
        )
        .outerjoin(results, results.c.id == workflow_starts.c.result_id)
        .outerjoin(locations, locations.c.id == workflow_starts.c.location_id)
        .where(workflow_starts.c.pending)
        .order_by(workflow_starts.c.at)
        .limit(BATCH)
    )
    return [
        PendingStart(
            workflow=row.workflow_id,
            number=row.number,
            result=row.result_id,
            location=row.location_name,
            code=row.code,
            at=row.at,
            test=row.test_id or "",
            test_name=row.test_name or "",
            status=row.status or "",
        )
        for row in rows
    ]


async def claim(connection: AsyncConnection, start: PendingStart) -> bool:
    """Take a start, which whoever takes it carries out in the same transaction; tell if nobody was faster."""
    taken = update(workflow_starts).where(_same(start), workflow_starts.c.pending).values(pending=False)
    return (await connection.execute(taken)).rowcount == 1


async def note_run(connection: AsyncConnection, start: PendingStart, run: str) -> None:
    await connection.execute(update(workflow_starts).where(_same(start)).values(run_id=run))


async def note_reason(connection: AsyncConnection, start: PendingStart, reason: str) -> None:
    """Note why there is no run."""
    await connection.execute(update(workflow_starts).where(_same(start)).values(reason=reason))


def _same(start: PendingStart) -> ColumnElement[bool]:
    column = workflow_starts.c
    mine = (column.workflow_id == start.workflow) & (column.number == start.number)
    return mine & (column.result_id == start.result)


async def prune(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Forget starts of before *before*; how many there were."""
    column = workflow_starts.c
    old = select(column.workflow_id, column.number, column.result_id).where(column.at < before).limit(limit)
    keys = [tuple(row) for row in await connection.execute(old)]
    if not keys:
        return 0
    same = tuple_(column.workflow_id, column.number, column.result_id).in_(keys)
    return (await connection.execute(delete(workflow_starts).where(same))).rowcount


async def shift(connection: AsyncConnection, *, by: int) -> None:
    """Move by *by* milliseconds what is compared with the clock."""
    await connection.execute(update(workflow_starts).values(at=workflow_starts.c.at + by))
