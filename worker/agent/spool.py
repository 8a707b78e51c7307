"""Results that the control plane rejects, set aside on disk, sealed as they would have travelled, and never read again here."""

from __future__ import annotations

from pathlib import Path

from worker.file import replace_file

MAX_FILES = 1000
"""A control plane that rejects everything must not fill the disk: beyond this many files nothing more is written."""


def set_aside(directory: Path, name: str, sealed: bytes) -> Path | None:
    """Write one sealed result (0600, atomically) as `NAME.jwe`; None when the directory is full. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if sum(1 for _ in directory.glob("*.jwe")) >= MAX_FILES:
        return None
    path = directory / f"{name}.jwe"
    replace_file(path, sealed, 0o600)
    return path
