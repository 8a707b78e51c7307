"""What every handler is given: one value, made by `app`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web

from controlplane.leases import Grace
from controlplane.store.database import Database
from worker.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """*hosts* are the authorities that requests may be signed for: the public URLs' own."""

    database: Database
    clock: Clock
    grace: Grace
    hosts: Collection[str]

    def now(self) -> int:
        """Epoch milliseconds."""
        return round(self.clock.now().timestamp() * 1000)


SERVICE = web.AppKey("service", Service)
