"""Collections of files that were applied: what belongs to each."""

from __future__ import annotations

from controlplane.service.plans import check_collection
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import applied
from controlplane.store.applied import Applied, AppliedKind
from controlplane.store.database import Database


async def managed(
    database: Database, by: Principal, kind: AppliedKind, *, collection: str, after: str, limit: int
) -> tuple[Applied, ...]:
    """List what belongs to a collection, by id, after *after*."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await applied.page(connection, kind, check_collection(collection), after=after, limit=limit))
