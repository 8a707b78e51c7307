from __future__ import annotations

from tests.support.running_programs import control_plane, start_worker, target

__all__ = ("control_plane", "start_worker", "target")  # fixtures
