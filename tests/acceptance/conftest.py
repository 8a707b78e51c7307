from __future__ import annotations

from tests.support.browser import browser
from tests.support.running_programs import control_plane, start_worker, target

__all__ = ("browser", "control_plane", "start_worker", "target")  # fixtures
