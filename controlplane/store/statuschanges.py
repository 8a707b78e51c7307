"""The results of tests at which the status of a location changes, out of an index that holds all that is asked of them.

Most results repeat the one before. Those that did not pass are few: they are found by a scan of the index, and their neighbours
at the location by a step in it. A window function over all results takes thirty times as long in SQLite.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct
from sqlalchemy import FromClause, ScalarSelect, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import results, tests

PASSED = "passed"
_ROW = results.alias("mine")
_NEAR = results.alias("near")


class Point(Struct, frozen=True):
    """The status of one result of one location, stored at an epoch millisecond."""

    stored_at: int
    location: str
    status: str


async def points(
    connection: AsyncConnection, wanted: Collection[str], *, since: int, until: int, limit: int
) -> dict[str, list[Point]]:
    """The results of each of the *wanted* tests between two moments that differ from the one before at their location, in order.

    Some that repeat it may be among them. Of a test the newest *limit* results are looked at, and those of the same millisecond.
    """
    found: dict[str, dict[tuple[int, int], Point]] = {test: {} for test in wanted}
    for begin, some in (await _begins(connection, wanted, since, until, limit)).items():
        for row in await connection.execute(_not_passed(some, begin, until)):
            known = found[row.test_id]
            known[row.stored_at, row.seq] = Point(row.stored_at, row.location_id, row.status)
            if row.next_status == PASSED:
                known[row.next_at, row.next_seq] = Point(row.next_at, row.location_id, PASSED)
        for row in await connection.execute(_first_passed(some, begin, until)):
            if row.seq is not None:
                found[row.test_id][row.stored_at, row.seq] = Point(row.stored_at, row.location_id, PASSED)
    return {test: [known[place] for place in sorted(known)] for test, known in found.items()}


async def _begins(
    connection: AsyncConnection, wanted: Collection[str], since: int, until: int, limit: int
) -> dict[int, list[str]]:
    """The tests by the moment from which they are looked at: *since*, or that of the result *limit* before the newest one."""
    within = and_(results.c.test_id == tests.c.public_id, results.c.stored_at >= since, results.c.stored_at < until)
    newest = select(results.c.stored_at).where(within).order_by(results.c.stored_at.desc(), results.c.seq.desc())
    begin = newest.offset(limit - 1).limit(1).correlate(tests).scalar_subquery()
    rows = await connection.execute(select(tests.c.public_id, begin).where(tests.c.public_id.in_(sorted(wanted))))
    moments = {test: at for test, at in rows if at is not None}
    found: dict[int, list[str]] = {}
    for test in wanted:
        found.setdefault(moments.get(test, since), []).append(test)
    return found


def _within(table: FromClause, since: int, until: int) -> Any:
    return and_(table.c.stored_at >= since, table.c.stored_at < until)


def _not_passed(some: Collection[str], since: int, until: int) -> Any:
    """Results that did not pass and begin or end a time of their status, each with the one behind it."""
    place = tuple_(_ROW.c.stored_at, _ROW.c.seq)
    same = and_(_NEAR.c.test_id == _ROW.c.test_id, _NEAR.c.location_id == _ROW.c.location_id)
    near = tuple_(_NEAR.c.stored_at, _NEAR.c.seq)
    earlier = and_(same, near < place, _NEAR.c.stored_at >= since)  # one bound a side, or SQLite takes the wrong one
    later = and_(same, near > place, _NEAR.c.stored_at < until)

    def before(column: str) -> ScalarSelect[Any]:
        ordered = select(_NEAR.c[column]).where(earlier).order_by(_NEAR.c.stored_at.desc(), _NEAR.c.seq.desc())
        return ordered.limit(1).correlate(_ROW).scalar_subquery()

    def behind(column: str) -> ScalarSelect[Any]:
        ordered = select(_NEAR.c[column]).where(later).order_by(_NEAR.c.stored_at, _NEAR.c.seq)
        return ordered.limit(1).correlate(_ROW).scalar_subquery()

    edge = or_(before("status").is_distinct_from(_ROW.c.status), behind("status") == PASSED)
    return select(
        *(_ROW.c.test_id, _ROW.c.stored_at, _ROW.c.seq, _ROW.c.location_id, _ROW.c.status),
        behind("status").label("next_status"),
        behind("stored_at").label("next_at"),
        behind("seq").label("next_seq"),
    ).where(_ROW.c.test_id.in_(sorted(some)), _within(_ROW, since, until), _ROW.c.status != PASSED, edge)


def _first_passed(some: Collection[str], since: int, until: int) -> Any:
    """The first result of each test at each location that passed."""
    seen = select(results.c.test_id, results.c.location_id).where(results.c.test_id.in_(sorted(some)))
    places = seen.where(_within(results, since, until)).distinct().subquery("places")
    same = and_(_NEAR.c.test_id == places.c.test_id, _NEAR.c.location_id == places.c.location_id)
    passed = and_(same, _within(_NEAR, since, until), _NEAR.c.status == PASSED)

    def first(column: str) -> ScalarSelect[Any]:
        ordered = select(_NEAR.c[column]).where(passed).order_by(_NEAR.c.stored_at, _NEAR.c.seq)
        return ordered.limit(1).correlate(places).scalar_subquery()

    return select(places, first("stored_at").label("stored_at"), first("seq").label("seq"))
