"""Operations on tests as files: plan, apply, list what is managed, prune, export."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from controlplane.operations.operation import Operation, WholeNumber
from controlplane.operations.tests import SentDefinition
from controlplane.service import collections, plans, variableplans
from controlplane.service.plans import Planned, WantedTest
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.tests import AT_ONCE
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


class PruneApplied(msgspec.Struct, frozen=True):
    ids: Annotated[list[str], msgspec.Meta(max_length=AT_ONCE)]
    collection: str


class PlanVariables(msgspec.Struct, frozen=True):
    variables: Annotated[list[SentDefinition], msgspec.Meta(max_length=AT_ONCE)]


class ApplyVariables(msgspec.Struct, frozen=True):
    variables: Annotated[list[SentDefinition], msgspec.Meta(max_length=AT_ONCE)]
    collection: str


class ExportVariables(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class ExportTests(msgspec.Struct, frozen=True):
    """Tests by name, from number *offset*."""

    offset: WholeNumber = 0


def _wanted(sent: list[SentDefinition]) -> list[WantedTest]:
    return [WantedTest(place=one.place, content=one.content) for one in sent]


async def _plan(database: Database, clock: Clock, by: Principal, sent: PlanTests) -> tuple[Planned, ...]:
    return await plans.plan(database, clock, by, _wanted(sent.definitions))


async def _apply(database: Database, clock: Clock, by: Principal, sent: ApplyTests) -> tuple[Planned, ...]:
    return await plans.apply(database, clock, by, _wanted(sent.definitions), collection=sent.collection)


async def _managed(database: Database, _clock: Clock, by: Principal, sent: ListApplied) -> tuple[Applied, ...]:
    return await collections.managed(database, by, sent.kind, collection=sent.collection, after=sent.after, limit=PAGE)


async def _plan_variables(database: Database, clock: Clock, by: Principal, sent: PlanVariables) -> tuple[Planned, ...]:
    return await variableplans.plan(database, clock, by, _wanted(sent.variables))


async def _apply_variables(
    database: Database, clock: Clock, by: Principal, sent: ApplyVariables
) -> tuple[Planned, ...]:
    return await variableplans.apply(database, clock, by, _wanted(sent.variables), collection=sent.collection)


async def _prune_variables(database: Database, clock: Clock, by: Principal, sent: PruneApplied) -> tuple[str, ...]:
    return await variableplans.prune(database, clock, by, sent.ids, collection=sent.collection)


async def _export_variables(
    database: Database, _clock: Clock, by: Principal, _sent: ExportVariables
) -> tuple[dict[str, Any], ...]:
    return await variableplans.export(database, by)


async def _prune(database: Database, clock: Clock, by: Principal, sent: PruneApplied) -> tuple[str, ...]:
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
PRUNE: Operation[PruneApplied, tuple[str, ...]] = Operation(
    name="plans/prune-tests",
    about="Delete tests that belong to a collection of files; their ids.",
    sent=PruneApplied,
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
PLAN_VARIABLES: Operation[PlanVariables, tuple[Planned, ...]] = Operation(
    name="plans/variables",
    about="Tell what applying global variables as files would change. Nothing is changed.",
    sent=PlanVariables,
    reply=tuple[Planned, ...],
    run=_plan_variables,
    scopes=_WRITE,
)
APPLY_VARIABLES: Operation[ApplyVariables, tuple[Planned, ...]] = Operation(
    name="plans/apply-variables",
    about="Make global variables what files say.",
    sent=ApplyVariables,
    reply=tuple[Planned, ...],
    run=_apply_variables,
    scopes=_WRITE,
)
PRUNE_VARIABLES: Operation[PruneApplied, tuple[str, ...]] = Operation(
    name="plans/prune-variables",
    about="Delete global variables that belong to a collection of files; their ids.",
    sent=PruneApplied,
    reply=tuple[str, ...],
    run=_prune_variables,
    scopes=_WRITE,
)
EXPORT_VARIABLES: Operation[ExportVariables, tuple[dict[str, Any], ...]] = Operation(
    name="plans/export-variables",
    about="Read global variables as files hold them, secure ones without their values.",
    sent=ExportVariables,
    reply=tuple[dict[str, Any], ...],
    run=_export_variables,
    scopes=_READ,
)
OPERATIONS = (
    *(PLAN, APPLY, MANAGED, PRUNE, EXPORT),
    *(PLAN_VARIABLES, APPLY_VARIABLES, PRUNE_VARIABLES, EXPORT_VARIABLES),
)
