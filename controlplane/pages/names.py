"""Names as a form has them in one field, separated by commas. Pure."""

from __future__ import annotations


def listed_names(text: str) -> tuple[str, ...]:
    """The names, in their order, each once."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
