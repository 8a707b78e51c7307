"""The standard streams of a process, as it finds them: a closed one is opened again, and nothing else is done to them."""

from __future__ import annotations

import os


def hold_standard_streams() -> None:
    """Open the null device for every standard stream that was closed (`<&-`): the next file would take its number, and libuv
    aborts the process for a socket of such a number.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
