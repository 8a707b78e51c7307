"""The observation of a prober, before anyone says what it means: phases, attempts, and the protocol's own answer."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from worker.outcome.failure import Failure
from worker.outcome.phases import Timings
from worker.outcome.resolution import Resolution


class ProbeResponse(Struct, frozen=True, kw_only=True):
    """The base of each protocol's response; their classes stand in `protocols`."""


class Observation(Struct, frozen=True, kw_only=True):
    """Everything a prober reports. A failed probe is a value: *failure* says why, *timings* hold every phase that ran.

    A failure does not exclude a response: a refused TCP connection is both, and the verdict decides which one counts.
    """

    timings: Timings
    failure: Failure | None = None
    resolution: Resolution | None = None
    response: ProbeResponse | None = None
    trouble: str | None = None
    """The worker's own trouble while it probed, in words: then a failure is not the target's."""

    def resolution_as_json(self) -> dict[str, Any] | None:
        """The `dns_resolution` object of a result, or None when nothing was looked up or dialled."""
        return None if self.resolution is None else self.resolution.as_json()


NOTHING_SEEN: Final = Observation(timings=Timings())
"""The observation of a run that sent nothing."""
