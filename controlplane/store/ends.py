"""The one place that every decided scheduled run passes, in the transaction that stores it: what follows from the end of a run.

It decides nothing itself, and runs that somebody asked for do not come here: they bring definitions of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store import alerting, starts, states
from controlplane.store.states import RunEnd


async def put(connection: AsyncConnection, ended: Sequence[RunEnd], *, now: int) -> None:
    """Write down the ends of runs, in their order, and what follows from them."""
    await alerting.follow(connection, ended, now=now)  # first: it asks what was newest before
    await states.put(connection, ended)
    await starts.note(connection, ended)
