"""Every way in which a command of the control plane can end in one clear line and exit 2."""

from __future__ import annotations

from worker.errors import SyntheticsError


class ControlPlaneError(SyntheticsError):
    """The operator's to mend. The text names the thing, the value and the place, and holds no secret."""


class DatabaseError(ControlPlaneError):
    """A database that is missing, foreign, newer than this program, or closed to its key."""


class UnusableError(ControlPlaneError):
    """An argument, a file or a definition that cannot be used as it is."""
