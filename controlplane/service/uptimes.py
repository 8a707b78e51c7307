"""Uptime of tests over a time: from their results, as the share of the known time in which none of their locations failed.

A result stands for its location until the next one of it. Time before the first result is unknown, and counts to neither side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import NotFoundError, UnusableError
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import statuschanges
from controlplane.store.database import Database
from controlplane.store.statuschanges import Point
from controlplane.store.testsearch import by_ids

MOST_TESTS = 100
"""Tests of one request: the results of each are read."""
MOST_POINTS = 50_000
"""Results of one test that are looked at, the newest: a month at one a minute."""
GOOD, BAD, UNKNOWN = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """*share* is a percentage, None where nothing is known. *history* are the changes, (epoch seconds, state)."""

    test: str
    name: str
    share: float | None
    history: tuple[tuple[int, int], ...]


async def read(database: Database, by: Principal, ids: Sequence[str], *, since: int, until: int) -> tuple[Uptime, ...]:
    """The uptime of tests from *since* to *until*, epoch seconds. Raises UnusableError, NotFoundError."""
    by.require(KeyScope.READ)
    if not ids:
        raise UnusableError("Minimum number of elements in parameter 'public_ids' should be 1")
    if len(ids) > MOST_TESTS or not 0 <= since < until <= 10**11:
        raise UnusableError(f"expected at most {MOST_TESTS} public_ids, and a from_ts before the to_ts")
    found = []
    async with database.read() as connection:
        known = await by_ids(connection, list(dict.fromkeys(ids)))
        for test in dict.fromkeys(ids):
            if test not in known:
                raise NotFoundError("test", test)
        histories = await changes_of(connection, list(known), since=since * 1000, until=until * 1000)
    for test in dict.fromkeys(ids):
        history = histories[test]
        found.append(Uptime(test=test, name=known[test].name, share=share(history, until), history=tuple(history)))
    return tuple(found)


async def changes_of(
    connection: AsyncConnection, tests: Sequence[str], *, since: int, until: int
) -> dict[str, list[tuple[int, int]]]:
    """The states of each of *tests*, at most `MOST_TESTS`, between two moments in epoch milliseconds."""
    points = await statuschanges.points(connection, tests, since=since, until=until, limit=MOST_POINTS)
    return {test: changes(some) for test, some in points.items()}


def changes(points: Sequence[Point]) -> list[tuple[int, int]]:
    """The states of a test, each from when on, by its results in the order in which they came."""
    places: dict[str, int] = {}
    found: list[tuple[int, int]] = []
    for point in points:
        places[point.location] = {"passed": GOOD, "failed": BAD}.get(point.status, UNKNOWN)
        seen = set(places.values())
        state = BAD if BAD in seen else GOOD if GOOD in seen else UNKNOWN
        if not found or found[-1][1] != state:
            found.append((point.stored_at // 1000, state))
    return found


def share(history: Sequence[tuple[int, int]], until: int) -> float | None:
    """The percentage of the known time that was good, with two decimals."""
    spans = {GOOD: 0, BAD: 0, UNKNOWN: 0}
    for (start, state), (end, _) in pairwise([*history, (until, UNKNOWN)]):
        spans[state] += max(0, end - start)
    told = spans[GOOD] + spans[BAD]
    return round(100 * spans[GOOD] / told, 2) if told else None
