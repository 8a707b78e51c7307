"""The queue's loop: for each channel with something due, one task that sends one notification after another.

A slow receiver holds up its own channel alone. What is sent is claimed first, in a transaction, and its end is written in another
one: a process that is killed between the two leaves a notification that is sent again, under the same key. Nothing is decided
here but when: the words are `alerts.wording`'s, the waits `alerts.attempts`'.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from controlplane import epoch
from controlplane.alerts import attempts
from controlplane.alerts.addressing import channel_of
from controlplane.alerts.channels.post import Reception, TakenReply
from controlplane.counters import Counters
from controlplane.errors import DatabaseError, NotFoundError, StatementError
from controlplane.store import channels, notifications
from controlplane.store.database import Database
from controlplane.store.notifications import ClaimedNotification, WaitingAddress
from worker.clock import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between looks at the queue: one indexed query, and soon enough for people."""
MOST_WAITING: Final = 1000
"""Notifications that wait for one address; beyond them the oldest are given up. Nobody reads a thousand alerts."""
MOST_CLAIMED_MS: Final = 90_000
"""Milliseconds for which a notification is claimed: an attempt takes less, its end is written within a few seconds more."""
MOST_AT_ONCE: Final = 50
"""Channels that are being told at a time; the others have their turns as these end, which each attempt's own bound sees to."""

Deliver = Callable[[ClaimedNotification, channels.StoredChannel], Awaitable[TakenReply]]
"""Tell a channel of a notification; how it was received."""


@dataclass(slots=True)
class _Line:
    """A channel's own: the task that tells it, failures in a row, and until when it is left alone (monotonic nanoseconds)."""

    task: asyncio.Task[None] | None = None
    failures: int = 0
    alone_until_ns: int = 0
    chances: random.Random = field(default_factory=random.Random)

    @property
    def busy(self) -> bool:
        return self.task is not None and not self.task.done()


class NotificationDispatcher:
    """Delivers what is queued in *database* by *deliver*, for as long as it runs. *counters* are for metrics."""

    def __init__(self, database: Database, clock: Clock, deliver: Deliver, counters: Counters) -> None:
        self._database = database
        self._clock = clock
        self._deliver = deliver
        self._counters = counters
        self._lines: defaultdict[str, _Line] = defaultdict(_Line)

    async def run(self) -> None:
        """Deliver until cancelled. A database that fails for a while is logged and tried again."""
        begun = False
        try:
            while True:
                try:
                    if not begun:
                        await self._take_over()
                        begun = True
                    await self.look()
                except StatementError as error:
                    extra = {"action": "database_failed", "trouble": error.trouble.value}
                    log.warning("cannot look for notifications: %s", error.reason, extra=extra)
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """End what is under way; it is sent again by whoever comes next."""
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> None:
        """Start what is due."""
        async with self._database.read() as connection:
            waiting = await notifications.waiting(connection)
            known = await channels.kinds(connection) if waiting else {}
        self._counters.waiting_notifications = sum(one.waiting for one in waiting)
        self._forget(known)
        now = epoch.milliseconds(self._clock)
        for name, found in _by_channel(waiting, known).items():
            if any(one.waiting > MOST_WAITING for one in found):
                await self._shed(found)
            if name is None:
                await self._refuse(found)
            elif min(one.due_at for one in found) <= now:
                self._start(name, [one.address for one in found])

    def _forget(self, known: Collection[str]) -> None:
        """Drop what is remembered of channels that nothing waits for or that are gone."""
        for name in [name for name, line in self._lines.items() if name not in known and not line.busy]:
            del self._lines[name]

    def _start(self, name: str, addresses: Sequence[str]) -> None:
        line = self._lines[name]
        under_way = sum(each.busy for each in self._lines.values())
        if line.busy or under_way >= MOST_AT_ONCE or self._clock.monotonic_ns() < line.alone_until_ns:
            return
        line.task = asyncio.create_task(self._tell(name, addresses, line), name=f"deliver {name}")

    async def _tell(self, name: str, addresses: Collection[str], line: _Line) -> None:
        """Tell one channel what is due, until nothing is or an attempt fails."""
        try:
            while await self._tell_next(name, addresses, line):
                pass
        except StatementError as error:
            extra = {"action": "database_failed", "trouble": error.trouble.value}
            log.warning("cannot go on delivering to %s: %s", name, error.reason, extra=extra)
        except DatabaseError as error:  # the key of the database does not open the channel
            self._leave_alone(line)
            log.error("cannot deliver to %s: %s", name, error, extra={"action": "channel_unusable"})  # noqa: TRY400
        except Exception:  # a mistake of ours about one channel must not keep the others waiting
            self._leave_alone(line)
            log.exception("cannot deliver to %s", name, extra={"action": "channel_unusable"})

    def _leave_alone(self, line: _Line) -> None:
        line.alone_until_ns = self._clock.monotonic_ns() + round(attempts.LONGEST_PAUSE * 1e9)

    async def _tell_next(self, name: str, addresses: Collection[str], line: _Line) -> bool:
        """Send the oldest notification that is due; tell if there may be another one at once."""
        async with self._database.read() as connection:  # what waits behind an older one is no reason to write
            if not await notifications.is_due(connection, addresses, now=epoch.milliseconds(self._clock)):
                return False
        async with self._database.write() as connection:
            now = epoch.milliseconds(self._clock)  # after the wait for the lock, as that of whom was waited for
            try:
                channel = await channels.get(connection, self._database.sealer, name)
            except NotFoundError:  # deleted meanwhile: the next look says so of each that waits
                return False
            claimed = await notifications.claim(connection, addresses, now=now, until=now + MOST_CLAIMED_MS)
        if claimed is None:
            return False
        reply = await self._delivered(claimed, channel)
        await self._note(claimed, channel.name, reply, line)
        return reply.reception is not Reception.RETRY

    async def _delivered(self, claimed: ClaimedNotification, channel: channels.StoredChannel) -> TakenReply:
        """Deliver; a mistake of ours about one notification is a failed attempt, so that no other waits behind it for ever."""
        try:
            return await self._deliver(claimed, channel)
        except Exception:
            log.exception("cannot deliver to %s", channel.name, extra={"action": "notification", "key": claimed.key})
            return TakenReply(
                reception=Reception.RETRY, reason="a mistake of the control plane's own; its log says more"
            )

    async def _note(self, claimed: ClaimedNotification, name: str, reply: TakenReply, line: _Line) -> None:
        """Write down what became of an attempt."""
        key = claimed.key
        line.failures = line.failures + 1 if reply.reception is Reception.RETRY else 0
        wait = max(attempts.pause(line.failures, line.chances.random()), reply.wait or 0.0)
        line.alone_until_ns = self._clock.monotonic_ns() + round(wait * 1e9)
        later = round(1000 * attempts.next_wait(claimed.attempts, reply.wait, line.chances.random()))
        async with self._database.write() as connection:
            now = epoch.milliseconds(self._clock)
            due_at = now + later
            if reply.reception is Reception.TAKEN:
                outcome = "delivered"
                await notifications.delivered(connection, key, reply.reason, now=now)
            elif reply.reception is Reception.REFUSED or attempts.is_over(claimed.created_at, due_at):
                outcome = "given_up"
                await notifications.given_up(connection, key, reply.reason, now=now)
            else:
                outcome = "retried"
                await notifications.put_off(connection, key, reply.reason, due_at=due_at)
        self._counters.notifications[outcome] += 1
        _tell_log(name, claimed, reply)

    async def _take_over(self) -> None:
        async with self._database.write() as connection:
            left = await notifications.release_all(connection)
        if left:
            log.info("%d notifications may be sent twice", left, extra={"action": "notifications_released"})

    async def _shed(self, found: Sequence[WaitingAddress]) -> None:
        reason = f"more than {MOST_WAITING} notifications waited for this address"
        now = epoch.milliseconds(self._clock)
        for one in found:
            if one.waiting > MOST_WAITING:
                async with self._database.write() as connection:
                    gone = await notifications.shed(connection, one.address, reason, kept=MOST_WAITING, now=now)
                self._counters.notifications["given_up"] += gone
                log.error("%d notifications for %s are given up: too many waited", gone, one.address, extra=_GIVEN_UP)

    async def _refuse(self, found: Sequence[WaitingAddress]) -> None:
        """Give up what is for an address that no channel has: it is told who reads the list of alerts."""
        now = epoch.milliseconds(self._clock)
        for one in found:
            reason = f"no channel is called {one.address!r}; `alert channel list` shows those that there are"
            async with self._database.write() as connection:
                gone = await notifications.shed(connection, one.address, reason, kept=0, now=now)
            self._counters.notifications["given_up"] += gone
            log.error("%d notifications are given up: %s", gone, reason, extra=_GIVEN_UP)


_GIVEN_UP: Final = {"action": "notifications_given_up"}


def _by_channel(waiting: Sequence[WaitingAddress], known: dict[str, str]) -> dict[str | None, list[WaitingAddress]]:
    """Group what waits by the channel that its address means; under None where it means none."""
    found: defaultdict[str | None, list[WaitingAddress]] = defaultdict(list)
    for one in waiting:
        found[channel_of(one.address, known)].append(one)
    return dict(found)


def _tell_log(name: str, claimed: ClaimedNotification, reply: TakenReply) -> None:
    extra = {"action": "notification", "channel": name, "key": claimed.key, "attempt": claimed.attempts}
    if reply.reception is Reception.TAKEN:
        log.info("told %s of %s", name, claimed.transition.name, extra=extra)
    else:
        log.warning("could not tell %s of %s: %s", name, claimed.transition.name, reply.reason, extra=extra)
