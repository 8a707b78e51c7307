"""A body as it comes in, kept in pieces until it is whole.

Growing one buffer copies it again and again (10 ms for 5 MB, on the event loop); a piece for every few bytes would take many
times the body's memory. So small pieces are gathered, and what is large goes to blocks of memory of its own, which the
system has back the moment they are dropped: a heap that has once held the bodies of ten attackers never shrinks again.
"""

from __future__ import annotations

import mmap

_SMALL = 4096
_GATHERED = 16_384
_LARGE = 131_072
"""A body up to this size stays on the heap, where memory that was used before costs nothing."""
_BLOCK = 1 << 20
"""Only pages that were written to take memory."""


class Body:
    """Its bounds are its owner's: whoever adds looks at `size`."""

    __slots__ = ("_blocks", "_gathering", "_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._blocks: list[mmap.mmap] = []
        self._pieces: list[bytes] = []
        self._gathering = bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if len(data) < _SMALL:
            self._gathering += data
            if len(self._gathering) >= _GATHERED:
                self._keep_gathered()
        else:
            self._keep_gathered()
            self._keep(data)

    def whole(self) -> bytes:
        """All that was added, in order."""
        self._keep_gathered()
        return b"".join((*(memoryview(block)[: block.tell()] for block in self._blocks), *self._pieces))

    def _keep_gathered(self) -> None:
        if self._gathering:
            self._keep(bytes(self._gathering))
            self._gathering.clear()

    def _keep(self, piece: bytes) -> None:
        """Pieces until they are many, then blocks: these hold what came first."""
        self._pieces.append(piece)
        if self._blocks or self.size > _LARGE:
            for waiting in self._pieces:
                self._fill(waiting)
            self._pieces.clear()

    def _fill(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            if not self._blocks or self._blocks[-1].tell() == _BLOCK:
                self._blocks.append(mmap.mmap(-1, _BLOCK))
            block = self._blocks[-1]
            taken = block.write(rest[: _BLOCK - block.tell()])
            rest = rest[taken:]
