"""Bounds on what one run may read, of every protocol that has any, and who asks: given to a prober beside its request."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.net.http.response import HTTPLimits
from worker.probers.identification import Identification


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLimits:
    """A prober takes the member of its protocol; *identification* is for those whose requests have headers."""

    http: HTTPLimits
    identification: Identification = field(default_factory=Identification)
