"""What is wrong with a value, in words; the option and the place are told by whoever knows them."""

from __future__ import annotations


class Mistake(ValueError):  # noqa: N818  # the word for what a person made
    """A value that cannot be used: the reason alone. Whoever knows option and place makes a ConfigError of it."""


class AbsentFile(Mistake):
    """A file that does not exist. For the config file at its default place it is not a mistake."""
