"""A decision as it is told to people: one line in our own words, and the facts that channels put into their own form. Pure.

A failure is told of the target, a blindness of the probes, and neither in the words of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from controlplane.alerts import rule
from controlplane.alerts.monitor import AlertDecision, WatchedPlace
from controlplane.alerts.transitions import (
    BlindPlace,
    FailingPlace,
    SeenProbe,
    Transition,
    TransitionDetail,
    TransitionKind,
)
from worker.text import cut

MOST_PLACES: Final = 20
"""Locations that one notification names: more are counted."""
MAX_LINE: Final = 1000
"""Characters of the line in our own words."""
_LONGEST_MESSAGE: Final = 65_536
"""Characters of an author's message that are kept with a transition: as many as a template may have."""


class ToldTest(Struct, frozen=True, kw_only=True):
    """A test as it is told: *name* is its own, *definition* what it says now, *names* those of its locations."""

    test: str
    name: str
    definition: Mapping[str, Any]
    tags: tuple[str, ...]
    names: Mapping[str, str]


def transition(
    decision: AlertDecision,
    told: ToldTest,
    places: Sequence[WatchedPlace],
    probes: Sequence[SeenProbe] = (),
    *,
    new_id: str,
    now: int,
    muted_by: str = "",
    reason: str = "",
    began: Transition | None = None,
) -> Transition:
    """The transition of *decision*. *probes* are the workers of its blind location, *reason* says why it was closed.

    *began* is the transition with which the same alert began, None where this is the one, or where it is gone.
    """
    detail = TransitionDetail(
        since=_since(decision, began),
        watched=len(places),
        failing=tuple(_failing(place, told) for place in places if place.failing_since is not None)[:MOST_PLACES],
        blind=() if decision.place is None else (_blind(decision.place, told, probes),),
        renotified=decision.renotified,
        reason=reason,
        began_with=began.tags if began is not None and began.tags != told.tags else None,
    )
    title = rule.title(told.definition, told.name)
    message = told.definition.get("message")
    escalation = rule.escalation(told.definition) if decision.kind is TransitionKind.RENOTIFY else ""
    return Transition(
        id=new_id,
        kind=decision.kind,
        alert=decision.alert,
        at=now,
        subject=told.test,
        name=title,
        summary=cut(summary(decision.kind, title, detail, now=now), MAX_LINE),
        detail=detail,
        test=told.test,
        location=None if decision.place is None else decision.place.location,
        message=message[:_LONGEST_MESSAGE] if isinstance(message, str) else "",
        escalation=escalation[:_LONGEST_MESSAGE],
        tags=told.tags,
        priority=rule.priority(told.definition),
        muted_by=muted_by,
    )


def _since(decision: AlertDecision, began: Transition | None) -> int:
    """The moment at which it began; of a blindness that is over only its beginning knows that still."""
    over = decision.kind is TransitionKind.NO_DATA_RECOVERY
    return began.detail.since if over and began is not None else decision.since


def summary(kind: TransitionKind, name: str, detail: TransitionDetail, *, now: int) -> str:
    """One line on a transition of the test *name*."""
    match kind:
        case TransitionKind.ALERT:
            return f"{name} fails {_where(detail)}"
        case TransitionKind.RENOTIFY:
            return f"{name} still fails {_where(detail)}, in alert since {moment(detail.since)}"
        case TransitionKind.RECOVERY:
            return f"{name} recovered {_where_left(detail)}after {duration(now - detail.since)}"
        case TransitionKind.CLOSED:
            return f"{name} is no longer watched: {detail.reason}" if detail.reason else f"{name} is no longer watched"
        case TransitionKind.NO_DATA:
            return f"{name} has no data: {_blindness(detail)}"
        case TransitionKind.NO_DATA_RECOVERY:
            names = ", ".join(place.name for place in detail.blind)
            return f"{name} has data again from {names} after {duration(now - detail.since)}"
        case TransitionKind.NOTICE | TransitionKind.NOTICE_OVER | TransitionKind.TEST:
            return name


def _where(detail: TransitionDetail) -> str:
    failing = detail.failing
    if not failing:
        return "at no location"
    first = failing[0]
    places = f"at {', '.join(place.name for place in failing[:5])}"
    if detail.watched > 1:
        places += f" ({len(failing)} of {detail.watched} locations)"
    return f"{places}: {first.code}: {first.message}" if first.message else f"{places}: {first.code}"


def _where_left(detail: TransitionDetail) -> str:
    """The locations where it fails still: too few of them for an alert."""
    names = ", ".join(place.name for place in detail.failing[:5])
    return f"(it still fails at {names}, too few locations for an alert) " if names else ""


def _blindness(detail: TransitionDetail) -> str:
    return "; ".join(
        f"the probe is blind at {place.name} since {moment(place.since)}: {place.reason}; {_workers(place.workers)}"
        for place in detail.blind
    )


def _workers(workers: Sequence[SeenProbe]) -> str:
    if not workers:
        return "no worker of it is known"
    told = [f"{worker.host or worker.id} last seen {moment(worker.last_seen)}" for worker in workers[:5]]
    more = f" and {len(workers) - 5} more" if len(workers) > 5 else ""
    return f"its workers: {', '.join(told)}{more}"


def moment(at: int) -> str:
    """A time as people read it, UTC, to the second."""
    bounded = min(max(at, 0), _LAST)
    return datetime.fromtimestamp(bounded // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_LAST: Final = 253_402_214_400_000
"""The last day of the year 9999."""


def duration(milliseconds: int) -> str:
    """A span of time as people read it: its two largest units."""
    seconds = max(0, milliseconds) // 1000
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def _failing(place: WatchedPlace, told: ToldTest) -> FailingPlace:
    return FailingPlace(
        location=place.location,
        name=told.names.get(place.location, place.location),
        since=place.failing_since or 0,
        code=place.code,
        message=place.message,
        result=place.result,
    )


def _blind(place: WatchedPlace, told: ToldTest, probes: Sequence[SeenProbe]) -> BlindPlace:
    return BlindPlace(
        location=place.location,
        name=told.names.get(place.location, place.location),
        since=place.blind_since or place.seen_at or 0,
        reason=place.reason or "no reason is known",
        workers=tuple(probes[:MOST_PLACES]),
    )
