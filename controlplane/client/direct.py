"""Operations on a database that is open in this process."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.operations.operation import Operation, R, S
from controlplane.service.principal import Principal
from controlplane.store.database import Database
from worker.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectClient:
    """A PlaneClient, for *by*."""

    database: Database
    clock: Clock
    by: Principal

    async def ask(self, operation: Operation[S, R], sent: S) -> R:
        return await operation.run(self.database, self.clock, self.by, sent)
