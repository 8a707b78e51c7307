"""Results that the control plane rejects: set aside, sealed as they would have travelled, and never read again here."""

from __future__ import annotations

from pathlib import Path

from worker.program.file import replace_file

MAX_FILES = 1000
"""A control plane that rejects everything must not fill the disk: beyond this many files nothing more is written."""


def set_aside(directory: Path, result: str, sealed: bytes) -> Path | None:
    """Write one sealed result (0600, atomically) as `RESULT.jwe`; None when the directory is full. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if len(found(directory)) >= MAX_FILES:
        return None
    path = directory / f"{_safe_name(result)}.jwe"
    replace_file(path, sealed, 0o600)
    return path


def found(directory: Path) -> list[Path]:
    """The results set aside in *directory*, by name."""
    return sorted(directory.glob("*.jwe"))


def _safe_name(result: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in result)[:100]
