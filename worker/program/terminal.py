"""The abilities of a stream that people may look at: colours, and characters a line."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

NARROWEST = 40
"""Columns below which nothing is wrapped any more narrowly: words would stand one below the other."""


def coloured(stream: TextIO | None) -> bool:
    """True for a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal knows no colours."""
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def rewritable(stream: TextIO | None) -> bool:
    """True for a terminal on which a line can be erased and written over."""
    return _is_terminal(stream) and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO | None) -> int | None:
    """The width of a terminal, or what COLUMNS says of it. None for a file or a pipe, where a line stays a line."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if _is_terminal(stream) else None


def _is_terminal(stream: TextIO | None) -> bool:
    """None is what Python makes of an output that was closed before the start."""
    return stream is not None and stream.isatty()
