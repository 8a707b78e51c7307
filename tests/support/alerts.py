"""Builders for alerts: transitions, a queue with them, and a dispatcher that is done with what is due before a test goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from controlplane import epoch
from controlplane.alerts.transitions import Transition, TransitionDetail, TransitionKind, notification_key
from controlplane.counters import Counters
from controlplane.delivery.dispatcher import Deliver, NotificationDispatcher
from controlplane.delivery.egress import AlertEgress
from controlplane.delivery.telling import ChannelTeller
from controlplane.service import channels
from controlplane.service.principal import operator
from controlplane.store import notifications, transitions
from controlplane.store.database import Database
from controlplane.store.notifications import NotificationState
from worker.clock import Clock, SystemClock

LOOPBACK = ip_network("127.0.0.1/32")
BY = operator("tests")


def transition(number: int = 1, **changes: Any) -> Transition:
    """An alert; *number* tells it from others."""
    made = Transition(
        id=f"transition-{number}",
        kind=TransitionKind.ALERT,
        alert=f"alert-{number}",
        at=1_000_000,
        subject="abc-def-ghi",
        name="Checkout",
        summary="Checkout fails at Lab",
        detail=TransitionDetail(since=990_000),
        test="abc-def-ghi",
        tags=("env:prod",),
    )
    return replace(made, **changes)


class Outbound:
    """A dispatcher over *database*, whose time is *clock*'s; what it sends is timed by the machine's own."""

    def __init__(
        self, database: Database, clock: Clock, *, ca_files: Sequence[Path] = (), deliver: Deliver | None = None
    ) -> None:
        self.database, self.clock = database, clock
        egress = AlertEgress(allow=(LOOPBACK,), ca_files=tuple(ca_files))
        teller = ChannelTeller(egress, SystemClock(), lambda told: f"https://cp.example/{told.subject}")
        self.deliver = deliver or teller.tell
        self.counters = Counters()
        self.dispatcher = NotificationDispatcher(database, clock, self.deliver, self.counters)

    async def add(self, name: str, **settings: Any) -> None:
        await channels.create(self.database, self.clock, BY, name, settings)

    async def queue(self, told: Transition, *addresses: str) -> list[str]:
        """Put *told* into the queue; the keys of its notifications."""
        async with self.database.write() as connection:
            await transitions.put(connection, told, addresses, now=epoch.milliseconds(self.clock))
        return [notification_key(told.id, address) for address in addresses]

    async def send(self) -> None:
        """Do what is due, to its end."""
        await self.dispatcher.look()
        await asyncio.gather(*under_way())

    async def state(self, key: str) -> NotificationState:
        async with self.database.read() as connection:
            found = await notifications.state(connection, key)
        assert found is not None
        return found


def under_way() -> list[asyncio.Task[Any]]:
    """The tasks that tell channels now."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("deliver ")]
