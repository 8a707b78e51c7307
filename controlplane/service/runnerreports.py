"""A runner's report of itself: asked for when its digest is new, stored once, and read for people."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store import runnerreports
from controlplane.store.runners import RunnerInstance
from worker.errors import MessageError
from worker.wire.runner_details import RunnerDetails, decode_details, details_digest
from worker.wire.runner_messages import RunnerPull

log = logging.getLogger(__name__)


async def take(connection: AsyncConnection, instance: RunnerInstance, message: RunnerPull) -> str | None:
    """Store what a pull tells; the digest that its instance stands for now, or None where its details are still to be sent.

    What cannot be read is stored as nothing: the same would come again.
    """
    if message.report in ("", instance.report) or await runnerreports.has(connection, instance.runner, message.report):
        return message.report
    if message.details is None:
        return None
    try:
        decode_details(message.details)
    except MessageError as error:
        extra = {"action": "report_unreadable", "runner": instance.runner}
        log.warning("the report of runner %s is not readable: %s", instance.runner, error, extra=extra)
        return message.report
    if details_digest(message.details) != message.report:
        return None
    await runnerreports.put(connection, instance.runner, message.report, message.details)
    return message.report


async def read(
    connection: AsyncConnection, instances: Iterable[RunnerInstance]
) -> dict[tuple[str, str], RunnerDetails]:
    """The details that *instances* stand for, by runner and digest."""
    wanted = {one.report for one in instances if one.report}
    found = await runnerreports.by_digest(connection, wanted) if wanted else {}
    return {key: decode_details(details) for key, details in found.items()}
