"""Results beyond the newest ones of their test: found by an index alone, dropped a bounded number at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import results


async def beyond(
    connection: AsyncConnection, *, after: str, kept: int, before: int, tests: int
) -> tuple[str, tuple[str, ...]]:
    """Look at some *tests* in order of their ids behind *after*: the last of them, empty where there are no more, and those of
    them that have results beyond the newest *kept* that were stored before *before*."""
    found: list[str] = []
    for _ in range(tests):
        following = await connection.scalar(select(func.min(results.c.test_id)).where(results.c.test_id > after))
        if following is None:
            return "", tuple(found)
        after = following
        if (await connection.scalar(_beyond(after, kept, before).limit(1))) is not None:
            found.append(after)
    return after, tuple(found)


async def drop(connection: AsyncConnection, test: str, *, kept: int, before: int, limit: int) -> int:
    """Delete at most *limit* results of *test* beyond its newest *kept*, stored before *before*; how many there were."""
    gone = await connection.execute(delete(results).where(results.c.seq.in_(_beyond(test, kept, before).limit(limit))))
    return gone.rowcount


def _beyond(test: str, kept: int, before: int) -> Any:
    newest = (results.c.stored_at.desc(), results.c.seq.desc())
    older = (
        select(results.c.seq, results.c.stored_at)
        .where(results.c.test_id == test)
        .order_by(*newest)
        .offset(kept)
        .subquery()
    )
    return select(older.c.seq).where(older.c.stored_at < before)
