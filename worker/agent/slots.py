"""The right to run jobs: bounded permits, taken before asking for work and never after. Taking never waits."""

from __future__ import annotations

import asyncio


class Slots:
    """*size* permits. A worker without a free one still pulls (with 0): the pull is the heartbeat, so taking must not block."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a worker needs at least one slot, not {size}")
        self.size = size
        self._free = size
        self._freed = asyncio.Event()

    @property
    def free(self) -> int:
        return self._free

    @property
    def taken(self) -> int:
        return self.size - self._free

    def take(self, at_most: int) -> int:
        """Take as many permits as are free, up to *at_most*; possibly none."""
        count = max(0, min(at_most, self._free))
        self._free -= count
        return count

    def redeem(self, taken: int) -> int:
        """The number of the *taken* permits that still hold once what they were taken for has come: here, all of them."""
        return taken

    def release(self, count: int = 1) -> None:
        """Give permits back. Raises ValueError when more come back than were taken: that is a bug in the caller."""
        if count < 0 or self._free + count > self.size:
            raise ValueError(f"{count} permits given back, {self.taken} taken")
        self._free += count
        if count:
            self._freed.set()

    async def wait_for_free(self) -> None:
        """Return once a permit is free; it is not taken."""
        while not self.free:
            self._freed.clear()
            await self._freed.wait()

    def __repr__(self) -> str:
        return f"<Slots {self._free} free of {self.size}>"
