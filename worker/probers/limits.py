"""The bounds on what one run may read, of every protocol that has any."""

from __future__ import annotations

from dataclasses import dataclass

from worker.net.http.response import HTTPLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLimits:
    """A prober takes the member of its protocol."""

    http: HTTPLimits
