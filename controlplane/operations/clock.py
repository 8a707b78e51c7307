"""The control plane's clock, by which ages are told: that of another machine may be wrong."""

from __future__ import annotations

import msgspec

from controlplane import epoch
from controlplane.operations.operation import Operation
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from worker.clock import Clock


class ReadClock(msgspec.Struct, frozen=True):
    """A question without members."""


async def _read(_database: Database, clock: Clock, by: Principal, _sent: ReadClock) -> int:
    by.require(KeyScope.READ)
    return epoch.milliseconds(clock)


READ: Operation[ReadClock, int] = Operation(
    name="clock/read",
    about="Read the control plane's clock: epoch milliseconds.",
    sent=ReadClock,
    reply=int,
    run=_read,
    scopes=(KeyScope.READ,),
)
OPERATIONS = (READ,)
