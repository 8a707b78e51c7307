"""The preloaded library of faults in a process: it is compiled here, and a page of memory says what it does."""

from __future__ import annotations

import mmap
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "shim.c"


def build(folder: Path, compiler: str) -> Path:
    """Compile the library into *folder*. Raises subprocess.CalledProcessError."""
    library = folder / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


class Shim:
    """Clock and disk of one program: *page* is shared with every process that was started with `environment`."""

    def __init__(self, library: Path, page: Path, disk: Path) -> None:
        page.write_bytes(bytes(mmap.PAGESIZE))
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.environment = {"LD_PRELOAD": str(library), "FAULTS_PAGE": str(page), "FAULTS_DISK": str(disk)}

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock *seconds* from the machine's."""
        self._write(0, round(seconds * 1e9))

    def fill_disk(self) -> None:
        self._write(1, 1)

    def slow_disk(self, milliseconds: int) -> None:
        self._write(2, milliseconds)

    def mend(self) -> None:
        """Undo everything."""
        for place in range(3):
            self._write(place, 0)

    def close(self) -> None:
        self._page.close()

    def _write(self, place: int, value: int) -> None:
        struct.pack_into("=q", self._page, place * 8, value)
