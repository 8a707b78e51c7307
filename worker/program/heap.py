"""Set malloc thresholds so that freed buffers above 256 KiB return to the system: one bad hour sets no size for good.

glibc decides by what it has seen what it maps apart and what it puts on the heap, which does not shrink below anything
that lives on (mallopt(3), "M_MMAP_THRESHOLD"). Here the limit stands still. Other C libraries keep their own ways.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Of malloc.h."""
_LARGE: Final = 256 * 1024
"""Bytes: bodies and batches of results, not what a run usually needs."""


def give_back_large_buffers() -> None:
    """For this process, from now on."""
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _LARGE)
