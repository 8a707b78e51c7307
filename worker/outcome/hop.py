"""One exchange of a redirect chain."""

from __future__ import annotations

from dataclasses import dataclass

from worker.outcome.phases import Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A request that was answered with *status* by *address*; the last one of a chain is a hop too."""

    url: str
    status: int | None
    address: str | None
    timings: Timings
