"""Serving: enrol where that is due, then pull and act until a signal."""

from __future__ import annotations

from worker.actionrunner import app
from worker.actionrunner.commands.session import environment, loaded, ran
from worker.errors import ExitCode


def serve(directory: str | None) -> ExitCode:
    """Serve with the config of *directory*; the exit code. Raises ConfigError."""
    found = loaded(directory)
    return ran(app.run(found.config, environment(), found.warnings))
