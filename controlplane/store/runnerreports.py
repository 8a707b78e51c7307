"""The details that runners told of themselves, as they came, by their digest."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.runnertables import runner_instances, runner_reports


async def has(connection: AsyncConnection, runner: str, digest: str) -> bool:
    mine = (runner_reports.c.runner_id == runner) & (runner_reports.c.digest == digest)
    return (await connection.execute(select(runner_reports.c.digest).where(mine))).first() is not None


async def put(connection: AsyncConnection, runner: str, digest: str, details: str) -> None:
    """Store a report that is not there, and drop those that no instance of the runner stands for any more."""
    told = select(runner_instances.c.report).where(runner_instances.c.runner_id == runner)
    mine = runner_reports.c.runner_id == runner
    await connection.execute(delete(runner_reports).where(mine, runner_reports.c.digest.not_in(told)))
    await connection.execute(runner_reports.insert().values(runner_id=runner, digest=digest, details=details))


async def by_digest(connection: AsyncConnection, digests: Collection[str]) -> dict[tuple[str, str], str]:
    """The details of these digests, by runner and digest."""
    query = select(runner_reports).where(runner_reports.c.digest.in_(tuple(digests)))
    return {(row.runner_id, row.digest): row.details for row in await connection.execute(query)}
