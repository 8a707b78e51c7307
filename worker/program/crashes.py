"""The last words of a process that a signal of its own ends, a fault in a library or an abort: no core file is left of it.

Python's own errors are told where they are caught. An end by the kernel (SIGKILL) leaves no time for words.
"""

from __future__ import annotations

import faulthandler

_STANDARD_ERROR = 2


def tell_of_crashes() -> None:
    """Write where every thread was to standard error when such a signal comes, and end by it all the same."""
    faulthandler.enable(_STANDARD_ERROR)
