"""The run under way, for whoever tells of it before it has ended: the job that it is for, and what must not be told. Whoever runs
it says so; tasks that it starts inherit it. Results are redacted by who makes them; this is for timelines and single log records.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

JOB: ContextVar[str | None] = ContextVar("job", default=None)
"""The id of the job, None where nobody noted one."""
_HIDE: ContextVar[Callable[[str], str] | None] = ContextVar("hide", default=None)


def hide(redact: Callable[[str], str] | None) -> None:
    """Have every text on this run go through *redact* from now on; None ends that."""
    _HIDE.set(redact)


def told(text: str) -> str:
    """*text* on the run under way, without its secure values."""
    redact = _HIDE.get()
    return text if redact is None else redact(text)
