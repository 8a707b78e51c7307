"""The words for a place in a JSON document."""

from __future__ import annotations

from collections.abc import Sequence


def pointer(path: Sequence[str | int]) -> str:
    """RFC 6901; the whole document is named, as its pointer is empty."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps) or "the top"
