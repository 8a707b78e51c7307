"""What a stream that people may look at can show: colours, and how many characters a line."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

NARROWEST = 40
"""Columns below which nothing is wrapped any more narrowly: words would stand one below the other."""


def coloured(stream: TextIO) -> bool:
    """True for a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal knows no colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int | None:
    """The width of a terminal, or what COLUMNS says of it. None for a file or a pipe, where a line stays a line."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if stream.isatty() else None
