"""Operations on alerts, silences and routes."""

from __future__ import annotations

import msgspec

from controlplane.alerts.monitor import NOT_MUTED, WITHOUT_END
from controlplane.alerts.routing import TagRoute
from controlplane.alerts.windows import Silence
from controlplane.operations.operation import Operation, WholeNumber
from controlplane.service import alerts, silences
from controlplane.service.alerts import AlertRecord, NumberedTransition
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from controlplane.store.monitors import OngoingAlert
from worker.clock import Clock


class ListAlerts(msgspec.Struct, frozen=True):
    """A question without members: those that go on."""


class ListTransitions(msgspec.Struct, frozen=True):
    """*test* is a public id or a name, None for all; the next page begins *before* a sequence number."""

    limit: WholeNumber = 100
    test: str | None = None
    before: WholeNumber | None = None


class ShowAlert(msgspec.Struct, frozen=True):
    """*name* is an alert's id, or its test's public id or name."""

    name: str


class AcknowledgeAlert(msgspec.Struct, frozen=True):
    """*name* is an alert's id, or its test's public id or name."""

    name: str


class AddSilence(msgspec.Struct, frozen=True, kw_only=True):
    """*test* is a public id or a name. *starts* is a local time of *zone*, None for now. *rule* is an RRULE, or empty."""

    name: str = ""
    test: str | None = None
    tags: list[str] = []
    starts: str | None = None
    zone: str = "UTC"
    minutes: WholeNumber | None = None
    rule: str = ""


class ListSilences(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class ShownSilence(msgspec.Struct, frozen=True):
    """A silence that *holds* now, or not; *until* is the end of that window (epoch milliseconds), None without one."""

    silence: Silence
    holds: bool
    until: int | None


class RemoveSilences(msgspec.Struct, frozen=True):
    """*name* is a silence's id or name, or the public id of its test."""

    name: str


class PutRoute(msgspec.Struct, frozen=True):
    """*handles* are told of every test that bears all *tags*."""

    name: str
    tags: list[str]
    handles: list[str]


class ListRoutes(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class RemoveRoute(msgspec.Struct, frozen=True):
    name: str


async def _list(database: Database, _clock: Clock, by: Principal, _sent: ListAlerts) -> tuple[OngoingAlert, ...]:
    return await alerts.list_ongoing(database, by)


async def _history(
    database: Database, _clock: Clock, by: Principal, sent: ListTransitions
) -> tuple[NumberedTransition, ...]:
    return await alerts.history(database, by, limit=sent.limit, test=sent.test, before=sent.before)


async def _show(database: Database, _clock: Clock, by: Principal, sent: ShowAlert) -> AlertRecord:
    return await alerts.show(database, by, sent.name)


async def _acknowledge(database: Database, clock: Clock, by: Principal, sent: AcknowledgeAlert) -> OngoingAlert:
    return await alerts.acknowledge(database, clock, by, sent.name)


async def _silence(database: Database, clock: Clock, by: Principal, sent: AddSilence) -> Silence:
    return await silences.add(
        database,
        clock,
        by,
        name=sent.name,
        test=sent.test,
        tags=sent.tags,
        starts=sent.starts,
        zone=sent.zone,
        minutes=sent.minutes,
        rule=sent.rule,
    )


async def _silences(database: Database, clock: Clock, by: Principal, _sent: ListSilences) -> tuple[ShownSilence, ...]:
    return tuple(
        ShownSilence(one, until != NOT_MUTED, until if NOT_MUTED < until < WITHOUT_END else None)
        for one, until in await silences.list_all(database, clock, by)
    )


async def _unsilence(database: Database, clock: Clock, by: Principal, sent: RemoveSilences) -> tuple[Silence, ...]:
    return await silences.remove(database, clock, by, sent.name)


async def _route(database: Database, clock: Clock, by: Principal, sent: PutRoute) -> TagRoute:
    return await silences.put_route(database, clock, by, sent.name, tags=sent.tags, handles=sent.handles)


async def _routes(database: Database, _clock: Clock, by: Principal, _sent: ListRoutes) -> tuple[TagRoute, ...]:
    return await silences.list_routes(database, by)


async def _unroute(database: Database, clock: Clock, by: Principal, sent: RemoveRoute) -> None:
    await silences.remove_route(database, clock, by, sent.name)


LIST: Operation[ListAlerts, tuple[OngoingAlert, ...]] = Operation(
    name="alerts/list",
    about="List the alerts that go on, and the locations whose blindness was told.",
    sent=ListAlerts,
    reply=tuple[OngoingAlert, ...],
    run=_list,
    scopes=(KeyScope.READ,),
)
HISTORY: Operation[ListTransitions, tuple[NumberedTransition, ...]] = Operation(
    name="alerts/transitions/list",
    about="List what was decided of alerts, the newest first.",
    sent=ListTransitions,
    reply=tuple[NumberedTransition, ...],
    run=_history,
    scopes=(KeyScope.READ,),
)
SHOW: Operation[ShowAlert, AlertRecord] = Operation(
    name="alerts/read",
    about="Show an alert: what was decided of it, and how far its notifications are.",
    sent=ShowAlert,
    reply=AlertRecord,
    run=_show,
    scopes=(KeyScope.READ,),
)
ACKNOWLEDGE: Operation[AcknowledgeAlert, OngoingAlert] = Operation(
    name="alerts/acknowledge",
    about="Say that somebody looks after an alert: it is repeated no more.",
    sent=AcknowledgeAlert,
    reply=OngoingAlert,
    run=_acknowledge,
    scopes=(KeyScope.WRITE,),
)
SILENCE: Operation[AddSilence, Silence] = Operation(
    name="alerts/silences/create",
    about="Keep alerts from being told, once or again and again.",
    sent=AddSilence,
    reply=Silence,
    run=_silence,
    scopes=(KeyScope.WRITE,),
)
SILENCES: Operation[ListSilences, tuple[ShownSilence, ...]] = Operation(
    name="alerts/silences/list",
    about="List silences, and which of them hold now.",
    sent=ListSilences,
    reply=tuple[ShownSilence, ...],
    run=_silences,
    scopes=(KeyScope.READ,),
)
UNSILENCE: Operation[RemoveSilences, tuple[Silence, ...]] = Operation(
    name="alerts/silences/delete",
    about="End silences; what they kept from being told and still goes on is told.",
    sent=RemoveSilences,
    reply=tuple[Silence, ...],
    run=_unsilence,
    scopes=(KeyScope.WRITE,),
)
ROUTE: Operation[PutRoute, TagRoute] = Operation(
    name="alerts/routes/put",
    about="Tell handles of every test that bears some tags.",
    sent=PutRoute,
    reply=TagRoute,
    run=_route,
    scopes=(KeyScope.WRITE,),
)
ROUTES: Operation[ListRoutes, tuple[TagRoute, ...]] = Operation(
    name="alerts/routes/list",
    about="List routes.",
    sent=ListRoutes,
    reply=tuple[TagRoute, ...],
    run=_routes,
    scopes=(KeyScope.READ,),
)
UNROUTE: Operation[RemoveRoute, None] = Operation(
    name="alerts/routes/delete",
    about="Take a route away.",
    sent=RemoveRoute,
    reply=None,
    run=_unroute,
    scopes=(KeyScope.WRITE,),
)
OPERATIONS = (LIST, HISTORY, SHOW, ACKNOWLEDGE, SILENCE, SILENCES, UNSILENCE, ROUTE, ROUTES, UNROUTE)
