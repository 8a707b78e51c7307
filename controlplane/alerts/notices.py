"""Notices of the control plane about itself and its workers: what holds now, from what was read, and what is told of it. Pure.

Each says what is wrong and what to do. A notice begins once and ends once; nothing is repeated, as `/metrics` shows the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from controlplane.alerts.message import utc
from controlplane.alerts.transitions import Transition, TransitionDetail, TransitionKind
from worker.text import counted, cut

ABSENT_MS: Final = 5 * 60_000
"""Milliseconds without a pull after which a location is told of: longer than a worker or a node takes to start anew."""
TROUBLED_MS: Final = 3 * 60_000
"""Milliseconds for which a worker must have been in trouble: a full outbox that empties within a minute or two is a peak."""
LOW_SPACE, ENOUGH_SPACE = 0.05, 0.08
"""Parts of a disk that are free: a notice begins below the first and ends above the second."""
_TROUBLES: Final = {
    "outbox": "its outbox is full: results do not get through",
    "decryption": "it cannot open what it is sent: is its private key the location's?",
    "memory": "it lacks memory",
}


class PlaceSight(Struct, frozen=True, kw_only=True):
    """A location with tests. *last_seen* is None where no worker of it is known; *troubles* are those of its live workers."""

    id: str
    name: str
    last_seen: int | None
    troubles: tuple[tuple[str, str], ...] = ()
    """Pairs of a worker's machine and the word for its trouble."""


class OwnState(Struct, frozen=True, kw_only=True):
    """The control plane's own. *free* of *size* bytes are left on the database's disk, 0 of 0 where nobody knows.

    *certificate_ends* is None without a certificate, or one whose end is far.
    """

    free: int = 0
    size: int = 0
    certificate_ends: datetime | None = None


class NoticeCondition(Struct, frozen=True, kw_only=True):
    """Something that holds *since* a moment, as far as is known. *subject* tells it from others."""

    subject: str
    name: str
    summary: str
    since: int


class OpenNotice(Struct, frozen=True, kw_only=True):
    """A notice that was told and not ended; *alert* is the id of the transition that told it."""

    subject: str
    alert: str
    since: int


def absent(
    places: Sequence[PlaceSight], known: Mapping[str, OpenNotice], *, served_ms: int, now: int
) -> list[NoticeCondition]:
    """The locations that nobody pulls for, as far as *served_ms* milliseconds of serving can tell: before, nobody could be seen.

    One whose workers were forgotten meanwhile stays.
    """
    found = []
    for place in places:
        subject = f"location/{place.id}"
        if place.last_seen is None:
            if subject in known:
                found.append(_absent(place, subject, known[subject].since))
        elif min(now - place.last_seen, served_ms) >= ABSENT_MS:
            found.append(_absent(place, subject, place.last_seen))
    return found


def _absent(place: PlaceSight, subject: str, since: int) -> NoticeCondition:
    summary = (
        f"No worker of the location {place.name} was seen since {utc(since)}: its tests do not run. "
        "Is the worker running, and does it reach the control plane? `location list` shows its workers."
    )
    return NoticeCondition(subject=subject, name=f"Location {place.name} is not seen", summary=summary, since=since)


class Patience:
    """The time for which workers have been in trouble, as this process has seen it: no step of a clock makes any."""

    def __init__(self) -> None:
        self._began: dict[str, int] = {}

    def lasting(self, places: Sequence[PlaceSight], *, served_ms: int, now: int) -> list[NoticeCondition]:
        """The locations whose workers have been in trouble for long, after *served_ms* milliseconds of serving."""
        troubled = [place for place in places if place.troubles]
        self._began = {place.id: self._began.get(place.id, served_ms) for place in troubled}
        lasted = [(place, served_ms - self._began[place.id]) for place in troubled]
        return [_troubled(place, now - passed) for place, passed in lasted if passed >= TROUBLED_MS]


def _troubled(place: PlaceSight, since: int) -> NoticeCondition:
    told = "; ".join(f"{host or 'a worker'}: {_TROUBLES.get(word, word)}" for host, word in place.troubles[:5])
    more = len(place.troubles) - 5
    return NoticeCondition(
        subject=f"workers/{place.id}",
        name=f"Workers of {place.name} are in trouble",
        summary=cut(told + (f"; and {counted(more, 'more worker')}" if more > 0 else ""), 1000),
        since=since,
    )


def own(state: OwnState, known: Mapping[str, OpenNotice], *, now: int) -> list[NoticeCondition]:
    """The troubles of the control plane itself."""
    found = []
    limit = ENOUGH_SPACE if "disk" in known else LOW_SPACE
    if state.size and state.free < limit * state.size:
        summary = (
            f"{state.free / 2**30:.1f} GiB of {state.size / 2**30:.1f} GiB are free on the database's disk. "
            "`serve --retention-days` and `--keep-results-per-test` bound what is kept."
        )
        found.append(
            NoticeCondition(subject="disk", name="The control plane's disk fills up", summary=summary, since=now)
        )
    if state.certificate_ends is not None:
        verb = "ended" if epoch_ms(state.certificate_ends) <= now else "ends"
        summary = (
            f"The certificate of the control plane {verb} at {state.certificate_ends:%Y-%m-%d %H:%M} UTC; workers refuse it from "
            "then on. A new one is read as soon as its file is there."
        )
        found.append(
            NoticeCondition(
                subject="certificate", name="The control plane's certificate ends", summary=summary, since=now
            )
        )
    return found


def epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def begun(condition: NoticeCondition, *, now: int) -> Transition:
    """The transition that tells *condition*."""
    alert = str(uuid.uuid4())
    return _transition(TransitionKind.NOTICE, condition, alert, identity=alert, now=now)


def over(notice: OpenNotice, name: str, *, now: int) -> Transition:
    """The transition that tells the end of *notice*, of the thing called *name*."""
    ended = NoticeCondition(subject=notice.subject, name=name, summary="That is over.", since=notice.since)
    return _transition(TransitionKind.NOTICE_OVER, ended, notice.alert, identity=str(uuid.uuid4()), now=now)


def _transition(kind: TransitionKind, told: NoticeCondition, alert: str, *, identity: str, now: int) -> Transition:
    return Transition(
        id=identity,
        kind=kind,
        alert=alert,
        at=now,
        subject=told.subject[:200],
        name=told.name,
        summary=told.summary,
        detail=TransitionDetail(since=told.since),
    )
