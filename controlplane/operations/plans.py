"""Operations on tests as files: plan, apply, list what is managed, prune, export."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from controlplane.operations.operation import Count, Operation
from controlplane.operations.tests import SentDefinition
from controlplane.service import plans
from controlplane.service.plans import Planned, WantedTest
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.applied import Applied, AppliedKind
from controlplane.store.database import Database
from worker.clock import Clock

PAGE = 500
"""Things of one answer that are told by name."""
EXPORTED = 100
"""Documents of one answer."""


class PlanTests(msgspec.Struct, frozen=True):
    definitions: list[SentDefinition]


class ApplyTests(msgspec.Struct, frozen=True):
    definitions: list[SentDefinition]
    collection: str


class ListApplied(msgspec.Struct, frozen=True):
    """Ask for members of *collection*, by id, after the id *after*."""

    kind: AppliedKind
    collection: str
    after: str = ""


class PruneTests(msgspec.Struct, frozen=True):
    ids: Annotated[list[str], msgspec.Meta(max_length=PAGE)]
    collection: str


class ExportTests(msgspec.Struct, frozen=True):
    """Tests by name, from number *offset*."""

    offset: Count = 0


def _wanted(sent: list[SentDefinition]) -> list[WantedTest]:
    return [WantedTest(place=one.place, content=one.content) for one in sent]


async def _plan(database: Database, clock: Clock, by: Principal, sent: PlanTests) -> tuple[Planned, ...]:
    return await plans.plan(database, clock, by, _wanted(sent.definitions))


async def _apply(database: Database, clock: Clock, by: Principal, sent: ApplyTests) -> tuple[Planned, ...]:
    return await plans.apply(database, clock, by, _wanted(sent.definitions), collection=sent.collection)


async def _managed(database: Database, _clock: Clock, by: Principal, sent: ListApplied) -> tuple[Applied, ...]:
    return await plans.managed(database, by, sent.kind, collection=sent.collection, after=sent.after, limit=PAGE)


async def _prune(database: Database, clock: Clock, by: Principal, sent: PruneTests) -> tuple[str, ...]:
    return await plans.prune(database, clock, by, sent.ids, collection=sent.collection)


async def _export(database: Database, _clock: Clock, by: Principal, sent: ExportTests) -> tuple[dict[str, Any], ...]:
    return await plans.export(database, by, offset=sent.offset, limit=EXPORTED)


_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)
PLAN: Operation[PlanTests, tuple[Planned, ...]] = Operation(
    name="plans/tests",
    about="Tell what applying tests as files would change. Nothing is changed.",
    sent=PlanTests,
    reply=tuple[Planned, ...],
    run=_plan,
    scopes=_WRITE,
)
APPLY: Operation[ApplyTests, tuple[Planned, ...]] = Operation(
    name="plans/apply-tests",
    about="Make tests what files say.",
    sent=ApplyTests,
    reply=tuple[Planned, ...],
    run=_apply,
    scopes=_WRITE,
)
MANAGED: Operation[ListApplied, tuple[Applied, ...]] = Operation(
    name="plans/managed",
    about="List what was applied from a collection of files.",
    sent=ListApplied,
    reply=tuple[Applied, ...],
    run=_managed,
    scopes=_READ,
)
PRUNE: Operation[PruneTests, tuple[str, ...]] = Operation(
    name="plans/prune-tests",
    about="Delete tests that belong to a collection of files; their ids.",
    sent=PruneTests,
    reply=tuple[str, ...],
    run=_prune,
    scopes=_WRITE,
)
EXPORT: Operation[ExportTests, tuple[dict[str, Any], ...]] = Operation(
    name="plans/export-tests",
    about="Read tests as files hold them, without secrets.",
    sent=ExportTests,
    reply=tuple[dict[str, Any], ...],
    run=_export,
    scopes=_READ,
)
OPERATIONS = (PLAN, APPLY, MANAGED, PRUNE, EXPORT)
