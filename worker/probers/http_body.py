"""A body as it comes in, kept in pieces until it is whole.

Growing one buffer copies it again and again (10 ms for 5 MB, on the event loop); a piece for every few bytes would take many
times the body's memory. So large pieces are kept as they came and small ones are gathered first.
"""

from __future__ import annotations

_SMALL = 4096
_GATHERED = 65_536


class Body:
    """Its bounds are its owner's: whoever adds looks at `size`."""

    __slots__ = ("_gathering", "_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._gathering = bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if len(data) < _SMALL:
            self._gathering += data
            if len(self._gathering) >= _GATHERED:
                self._set_aside()
        else:
            self._set_aside()
            self._pieces.append(data)

    def whole(self) -> bytes:
        """All that was added, in order."""
        self._set_aside()
        return b"".join(self._pieces)

    def _set_aside(self) -> None:
        if self._gathering:
            self._pieces.append(bytes(self._gathering))
            self._gathering.clear()
