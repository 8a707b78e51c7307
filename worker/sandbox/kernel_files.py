"""Reading of the kernel's files about processes and control groups. It understands none of them."""

from __future__ import annotations

from pathlib import Path


def lines_of(path: Path) -> list[str]:
    """The lines of *path*; none where it is not there or may not be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
