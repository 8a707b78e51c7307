"""Durations of one run by phase, in exact tenths of a millisecond, so that the printed total is the sum of the printed phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

NANOSECONDS_PER_TENTH = 100_000
"""A tenth of a millisecond, the printed resolution of the reference system."""


class Timings(Struct, frozen=True):
    """Phase name → duration in tenths of a millisecond, in the order in which the phases ran."""

    tenths: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_nanoseconds(cls, phases: Mapping[str, int] | Iterable[tuple[str, int]]) -> Timings:
        """Round each phase half up, once; everything after that is integer arithmetic."""
        pairs = phases.items() if isinstance(phases, Mapping) else phases
        half = NANOSECONDS_PER_TENTH // 2
        return cls(tuple((name, (nanoseconds + half) // NANOSECONDS_PER_TENTH) for name, nanoseconds in pairs))

    @property
    def total_tenths(self) -> int:
        return sum(tenths for _, tenths in self.tenths)

    def without(self, *names: str) -> Timings:
        return Timings(tuple(pair for pair in self.tenths if pair[0] not in names))

    def as_json(self) -> dict[str, float]:
        """Milliseconds with one decimal by phase, `total` last."""
        return {name: tenths / 10 for name, tenths in self.tenths} | {"total": self.total_tenths / 10}
