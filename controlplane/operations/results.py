"""Reading results, a page at a time: the newest ones, and those that come after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from controlplane.operations.operation import MAX_ANSWER_BYTES, Operation, WholeNumber
from controlplane.service import results
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.results import Newest
from controlplane.store.database import Database
from controlplane.store.results import StoredResult
from worker.clock import Clock

PAGE = 100
"""Results of one answer; an outcome has 1 MiB at most."""
ResultsLimit = Annotated[int, msgspec.Meta(ge=0, le=PAGE)]


class ChosenResults(msgspec.Struct, frozen=True):
    """Results of *test* (a public id or a name), at *location* (a name or an id), since then in epoch milliseconds."""

    test: str | None = None
    location: str | None = None
    failed: bool = False
    since: WholeNumber | None = None


class NewestResults(msgspec.Struct, frozen=True):
    """The newest *limit* results older than *before*, a sequence number."""

    chosen: ChosenResults = ChosenResults()
    limit: ResultsLimit = PAGE
    before: WholeNumber | None = None


class LaterResults(msgspec.Struct, frozen=True):
    """The oldest *limit* results after *after*, a sequence number."""

    after: WholeNumber
    chosen: ChosenResults = ChosenResults()
    limit: ResultsLimit = PAGE


async def _newest(database: Database, _clock: Clock, by: Principal, sent: NewestResults) -> Newest:
    which = await results.choose(database, by, **msgspec.structs.asdict(sent.chosen))
    found = await results.newest(database, by, which, limit=sent.limit, before=sent.before)
    return Newest(results=tuple(reversed(_fitting(found.results[::-1]))), last=found.last)


async def _later(database: Database, _clock: Clock, by: Principal, sent: LaterResults) -> tuple[StoredResult, ...]:
    which = await results.choose(database, by, **msgspec.structs.asdict(sent.chosen))
    return _fitting(await results.since(database, by, which, after=sent.after, limit=sent.limit))


def _fitting(found: Sequence[StoredResult]) -> tuple[StoredResult, ...]:
    """The first ones, as many as fit one answer; one always does."""
    room = MAX_ANSWER_BYTES
    for number, one in enumerate(found):
        room -= len(one.outcome)
        if number and room < 0:
            return tuple(found[:number])
    return tuple(found)


NEWEST: Operation[NewestResults, Newest] = Operation(
    name="results/newest",
    about="Read the newest results, the oldest of them first.",
    sent=NewestResults,
    reply=Newest,
    run=_newest,
    scopes=(KeyScope.READ,),
)
LATER: Operation[LaterResults, tuple[StoredResult, ...]] = Operation(
    name="results/later",
    about="Read the results after one, in order.",
    sent=LaterResults,
    reply=tuple[StoredResult, ...],
    run=_later,
    scopes=(KeyScope.READ,),
)
OPERATIONS = (NEWEST, LATER)
