"""The addresses that notifications may go to, as `serve` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.egress.address_table import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEgress:
    """*allow* are ranges beside public addresses, *ca_files* authorities beside the system's."""

    allow: tuple[Network, ...] = ()
    ca_files: tuple[Path, ...] = ()


PUBLIC = AlertEgress()
"""Public addresses alone."""
