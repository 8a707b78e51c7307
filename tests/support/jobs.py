"""The one builder of jobs, as a worker gets them from a control plane."""

from __future__ import annotations

from typing import Any

from worker.wire.messages import Job, raw


def job(
    name: str = "a",
    *,
    lease: str = "",
    test: Any = None,
    scheduled_at: int = 0,
    start_by: int = 30_000,
    **variables: Any,
) -> Job:
    """The first delivery of the job *name*. Without *test* it carries only its name, which no worker could run.

    *variables* are members of a job: `variables`, `secure` and `one_time`.
    """
    return Job(
        job=name,
        lease=lease or f"lease-{name}",
        lease_ms=15_000,
        scheduled_at=scheduled_at,
        start_by=start_by,
        delivery=1,
        test=raw({"name": name} if test is None else test),
        **variables,
    )
