"""One number in a page of memory that a child shares with its parent. The child writes it; it can be read after its death."""

from __future__ import annotations

import mmap
import os
import struct
import sys
from typing import BinaryIO, Final

_NUMBER: Final = struct.Struct("=I")


class Position:
    """The number. A child that has gone wrong may have written any: its reader has to check it."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, mmap.PAGESIZE)

    def read(self) -> int:
        (number,) = _NUMBER.unpack_from(self._page)
        return int(number)

    def write(self, number: int) -> None:
        _NUMBER.pack_into(self._page, 0, number)

    def close(self) -> None:
        self._page.close()


def open_shared_page() -> BinaryIO:
    """A file of one page that has no name: memory where the system has such files, else the folder for temporary ones."""
    if sys.platform == "linux":
        page: BinaryIO = os.fdopen(os.memfd_create("position"), "r+b", buffering=0)
    else:
        import tempfile  # noqa: PLC0415  # it brings compression, and most systems have no need of it

        page = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    page.truncate(mmap.PAGESIZE)
    return page
