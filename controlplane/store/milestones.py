"""Two facts about a whole control plane: if it has a test, and if a run of one has ever passed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.tables import assignments, results, tests

NEWEST = 1000
"""Results that are looked through where no test passes now: a control plane in which everything fails has millions."""


async def any_test(connection: AsyncConnection) -> tuple[str, str] | None:
    """The public id and the name of a test, the oldest one; None where there is none."""
    oldest = select(tests.c.public_id, tests.c.name).order_by(tests.c.created_at, tests.c.public_id).limit(1)
    row = (await connection.execute(oldest)).first()
    return None if row is None else (row.public_id, row.name)


async def has_passed(connection: AsyncConnection) -> bool:
    """Tell if the newest run of a test has passed, or one of the `NEWEST` results."""
    now = select(assignments.c.test_id).where(assignments.c.last_status == "passed").limit(1)
    if await connection.scalar(now) is not None:
        return True
    newest = select(results.c.status).order_by(results.c.seq.desc()).limit(NEWEST).subquery()
    return await connection.scalar(select(newest.c.status).where(newest.c.status == "passed").limit(1)) is not None
