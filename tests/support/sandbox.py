"""What a system on which the tests pass may lack: all else is missed."""

from __future__ import annotations

from worker.sandbox import landlock

MAY_BE_MISSING = set() if landlock.version() else {"no way to files by name (Landlock)"}
