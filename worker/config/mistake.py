"""Errors about one value. Their text is the reason alone: the caller adds the option and the place."""

from __future__ import annotations

from worker.errors import SyntheticsError


class Mistake(SyntheticsError):  # noqa: N818  # made by a person, not by the program
    """A value that cannot be used: the reason alone. The caller, who knows option and place, makes a ConfigError of it."""


class AbsentFile(Mistake):
    """A file that does not exist. For the config file at its default place it is not a mistake."""
