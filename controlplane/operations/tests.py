"""Operations on tests: list, push, assign, switch, run and delete them. A test is named by its public id or its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import msgspec

from controlplane.operations.operation import Operation, WholeNumber
from controlplane.service import definitions, tests, triggers
from controlplane.service.definitions import CheckedDefinition
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.tests import AssignedTest, Change, Pushed
from controlplane.store.database import Database
from controlplane.store.tests import Assignment
from worker.clock import Clock
from worker.errors import TestError

PAGE = 500
"""Tests of one answer."""
TestsLimit = Annotated[int, msgspec.Meta(ge=1, le=PAGE)]


class ListTests(msgspec.Struct, frozen=True):
    """At most *limit* tests by name, from number *offset*."""

    offset: WholeNumber = 0
    limit: TestsLimit = PAGE


class SentDefinition(msgspec.Struct, frozen=True, dict=True):
    """A definition as its file holds it. *place* is its origin, for error lines."""

    place: str
    content: dict[str, Any]

    @cached_property
    def checked(self) -> CheckedDefinition:
        """The definition, read once by each process: what comes over the API is read there. Raises TestError."""
        return definitions.check(self.place, self.content)


def as_sent(checked: CheckedDefinition) -> SentDefinition:
    """A definition that is not read again where its operation is done in this process; over the API goes its content alone."""
    one = SentDefinition(place=checked.place, content=checked.content)
    vars(one)["checked"] = checked
    return one


class PushTests(msgspec.Struct, frozen=True):
    definitions: list[SentDefinition]
    locations: list[str]


class MoveTest(msgspec.Struct, frozen=True):
    test: str
    locations: list[str]


class PauseTest(msgspec.Struct, frozen=True):
    test: str
    paused: bool


class NamedTest(msgspec.Struct, frozen=True):
    test: str


class TestInList(msgspec.Struct, frozen=True):
    """A test without its definition, and where it runs."""

    __test__ = False

    public_id: str
    name: str
    subtype: str
    version: int
    paused: bool
    period_ms: int
    modified_at: int
    assignments: tuple[Assignment, ...]


class PushedTest(msgspec.Struct, frozen=True):
    """The effect of a pushed definition; *requires_update* and *ignored* are what its author should know."""

    change: Change
    public_id: str
    name: str
    period_ms: int
    requires_update: tuple[str, ...]
    ignored: tuple[str, ...]


async def _list(database: Database, _clock: Clock, by: Principal, sent: ListTests) -> tuple[TestInList, ...]:
    found = await tests.list_page(database, by, offset=sent.offset, limit=sent.limit)
    return tuple(_in_list(one) for one in found)


def _in_list(one: AssignedTest) -> TestInList:
    test = one.test
    return TestInList(
        public_id=test.public_id,
        name=test.name,
        subtype=test.subtype,
        version=test.version,
        paused=test.paused,
        period_ms=test.period_ms,
        modified_at=test.modified_at,
        assignments=one.assignments,
    )


async def _check(database: Database, clock: Clock, by: Principal, sent: PushTests) -> None:
    await tests.check_push(database, by, await _checked(clock, sent.definitions), places=sent.locations)


async def _push(database: Database, clock: Clock, by: Principal, sent: PushTests) -> tuple[PushedTest, ...]:
    found = await tests.push(database, clock, by, await _checked(clock, sent.definitions), places=sent.locations)
    return tuple(_pushed(one) for one in found)


async def _checked(clock: Clock, sent: Sequence[SentDefinition]) -> list[CheckedDefinition]:
    """Others have their turn after each `definitions.AT_ONCE`. Raises TestError with every mistake, and its place."""
    found, mistakes = [], []
    for number, one in enumerate(sent, start=1):
        try:
            found.append(one.checked)
        except TestError as error:
            mistakes += [f"{one.place}: {mistake}" for mistake in error.errors]
        if number % definitions.AT_ONCE == 0:
            await clock.sleep(0)
    mistakes += definitions.conflicts(found)
    if mistakes:
        raise TestError(mistakes)
    return found


def _pushed(one: Pushed) -> PushedTest:
    return PushedTest(
        change=one.change,
        public_id=one.test.public_id,
        name=one.test.name,
        period_ms=one.test.period_ms,
        requires_update=one.requires_update,
        ignored=one.ignored,
    )


async def _assign(database: Database, clock: Clock, by: Principal, sent: MoveTest) -> None:
    await tests.assign(database, clock, by, sent.test, places=sent.locations)


async def _unassign(database: Database, clock: Clock, by: Principal, sent: MoveTest) -> tuple[str, ...]:
    return await tests.unassign(database, clock, by, sent.test, places=sent.locations)


async def _pause(database: Database, clock: Clock, by: Principal, sent: PauseTest) -> None:
    await tests.set_paused(database, clock, by, sent.test, paused=sent.paused)


async def _run(database: Database, clock: Clock, by: Principal, sent: NamedTest) -> tuple[str, ...]:
    return await triggers.trigger_one(database, clock, by, sent.test)


async def _delete(database: Database, clock: Clock, by: Principal, sent: NamedTest) -> None:
    await tests.delete(database, clock, by, sent.test)


_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)
LIST: Operation[ListTests, tuple[TestInList, ...]] = Operation(
    name="tests/list",
    about="List tests by name, where each runs, and when next.",
    sent=ListTests,
    reply=tuple[TestInList, ...],
    run=_list,
    scopes=_READ,
)
CHECK_PUSH: Operation[PushTests, None] = Operation(
    name="tests/check-push",
    about="Find out if a push would be refused. Nothing is changed.",
    sent=PushTests,
    reply=None,
    run=_check,
    scopes=_WRITE,
)
PUSH: Operation[PushTests, tuple[PushedTest, ...]] = Operation(
    name="tests/push",
    about="Add or update tests, by public id or name, and assign them to locations besides their own. All or none.",
    sent=PushTests,
    reply=tuple[PushedTest, ...],
    run=_push,
    scopes=_WRITE,
)
ASSIGN: Operation[MoveTest, None] = Operation(
    name="tests/assign",
    about="Let locations run a test, besides those that do already.",
    sent=MoveTest,
    reply=None,
    run=_assign,
    scopes=_WRITE,
)
UNASSIGN: Operation[MoveTest, tuple[str, ...]] = Operation(
    name="tests/unassign",
    about="Let locations run a test no more; the names of those that still do.",
    sent=MoveTest,
    reply=tuple[str, ...],
    run=_unassign,
    scopes=_WRITE,
)
PAUSE: Operation[PauseTest, None] = Operation(
    name="tests/pause",
    about="Pause or resume a test. A resumed one is due at once.",
    sent=PauseTest,
    reply=None,
    run=_pause,
    scopes=_WRITE,
)
RUN: Operation[NamedTest, tuple[str, ...]] = Operation(
    name="tests/run",
    about="Run a test now, beside its schedule; the names of the locations.",
    sent=NamedTest,
    reply=tuple[str, ...],
    run=_run,
    scopes=(KeyScope.TRIGGER,),
)
DELETE: Operation[NamedTest, None] = Operation(
    name="tests/delete",
    about="Delete a test. Its results stay until they are too old.",
    sent=NamedTest,
    reply=None,
    run=_delete,
    scopes=_WRITE,
)
OPERATIONS = (LIST, CHECK_PUSH, PUSH, ASSIGN, UNASSIGN, PAUSE, RUN, DELETE)
