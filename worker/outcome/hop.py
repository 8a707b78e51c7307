"""One exchange of a redirect chain."""

from __future__ import annotations

from msgspec import Struct

from worker.outcome.phases import Timings


class Hop(Struct, frozen=True, kw_only=True):
    """A request that was answered with *status* by *address*; the last one of a chain is a hop too."""

    url: str
    status: int | None
    address: str | None
    timings: Timings
