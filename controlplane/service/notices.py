"""The control plane's own notices: look once a minute, tell what began and what is over, each in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.alerts import notices as decide
from controlplane.alerts import routing
from controlplane.alerts.notices import NoticeCondition, OpenNotice, OwnState, Patience, PlaceSight
from controlplane.errors import StatementError
from controlplane.service.locations import HEALTHY
from controlplane.store import notices, silences, transitions
from controlplane.store.database import Database
from worker.clock import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
"""Between looks: what is told of has lasted for minutes."""


class NoticeWatch:
    """Looks at *database* and at what *own* says of this process and its disk, which may take a while."""

    def __init__(self, database: Database, clock: Clock, own: Callable[[], OwnState]) -> None:
        self._database = database
        self._clock = clock
        self._own = own
        self._patience = Patience()
        self._began_ns = clock.monotonic_ns()

    async def run(self) -> None:
        """Look until cancelled. A database that fails for a while is logged and tried again."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StatementError as error:
                extra = {"action": "database_failed", "trouble": error.trouble.value}
                log.warning("cannot look for notices: %s", error.reason, extra=extra)

    async def look(self) -> None:
        """Tell what began to hold since the last look, and what is over."""
        try:
            own = await asyncio.to_thread(self._own)  # a disk that hangs must not hold the loop
        except RuntimeError as error:  # no thread can be started: for a while, and no reason to end
            log.warning("cannot look for notices: %s", error, extra={"action": "thread_missing"})
            return
        now = epoch.milliseconds(self._clock)
        async with self._database.read() as connection:
            places = await notices.sights(connection, seen_since=now - HEALTHY)
            known = await notices.known(connection)
        holds = {one.subject: one for one in self._conditions(places, own, known, now)}
        if holds.keys() != known.keys():
            async with self._database.write() as connection:
                known = await notices.known(connection)
                for subject in holds.keys() - known.keys():
                    await _begin(connection, holds[subject], now=now)
                for subject in known.keys() - holds.keys():
                    await _end(connection, known[subject], now=now)

    def _conditions(
        self, places: Sequence[PlaceSight], own: OwnState, known: dict[str, OpenNotice], now: int
    ) -> list[NoticeCondition]:
        served_ms = (self._clock.monotonic_ns() - self._began_ns) // 1_000_000
        return [
            *decide.absent(places, known, served_ms=served_ms, now=now),
            *self._patience.lasting(places, served_ms=served_ms, now=now),
            *decide.own(own, known, now=now),
        ]


async def _begin(connection: AsyncConnection, condition: NoticeCondition, *, now: int) -> None:
    told = decide.begun(condition, now=now)
    to = routing.addresses((), (), await silences.list_routes(connection))
    await transitions.put(connection, told, to, now=now)
    await notices.add(connection, OpenNotice(subject=condition.subject, alert=told.alert, since=condition.since))
    log.warning("%s. %s", condition.name, condition.summary, extra={"action": "notice", "subject": condition.subject})


async def _end(connection: AsyncConnection, notice: OpenNotice, *, now: int) -> None:
    """Tell the end to whoever was told the beginning."""
    told = await transitions.of_alert(connection, notice.alert, limit=1)
    name = told[0].name if told else notice.subject
    to = await transitions.addresses_of(connection, notice.alert)
    await transitions.put(connection, decide.over(notice, name, now=now), to, now=now)
    await notices.remove(connection, notice.subject)
    log.info("over: %s", name, extra={"action": "notice_over", "subject": notice.subject})
