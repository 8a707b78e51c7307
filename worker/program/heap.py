"""Set malloc so that freed buffers above 256 KiB return to the system, and that threads share one heap: one bad hour sets no size
for good.

glibc decides by what it has seen what it maps apart and what it puts on the heap, which does not shrink below anything
that lives on (mallopt(3), "M_MMAP_THRESHOLD"). Here the limit stands still. A heap for each thread (M_ARENA_MAX) serves
threads that allocate at the same time; those of Python take turns, and what each leaves behind is lost to the others. Other
C libraries keep their own ways.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Of malloc.h."""
_LARGE: Final = 256 * 1024
"""Bytes: bodies and batches of results, not what a run usually needs."""


def give_back() -> None:
    """Return every page of the heap that nothing lies on to the system: what a start has used and left, mostly."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_heap_small() -> None:
    """Set it for this process from now on: freed buffers go back to the system."""
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, 1)
