"""One pool of slots for pulled tasks and for requests of people: each leaves the other some, and a pull lends what it reserved.

A pull reserves slots before it asks, and holds them while it waits for work, which may take ten seconds. A request takes one of
those where none is free: the pull then starts a task less, and gives back what came for the slot that is gone. What runs is never
touched. Taking never waits.
"""

from __future__ import annotations

from worker.agent.slots import Slots


class SharedSlots(Slots):
    """*size* permits, of which each side leaves *reserved* to the other; the poller's face is that of `Slots`."""

    def __init__(self, size: int, reserved: int) -> None:
        super().__init__(size)
        self._most = size - min(reserved, size // 2)
        self._pulled = 0
        self._promised = 0
        self._lent = 0
        self._requested = 0

    @property
    def free(self) -> int:
        """Permits that a pull could take."""
        return max(0, min(self._most - self._pulled, self.size - self.taken))

    @property
    def taken(self) -> int:
        return self._pulled + self._requested

    def take(self, at_most: int) -> int:
        """Reserve permits for a pull; `redeem` says how many of them there still are when its work has come."""
        count = max(0, min(at_most, self.free))
        self._pulled += count
        self._promised += count
        return count

    def redeem(self, taken: int) -> int:
        """The number of the *taken* permits that were not lent meanwhile. Nothing is lent of them any more."""
        left = taken - self._lent
        self._promised = self._lent = 0
        return left

    def release(self, count: int = 1) -> None:
        """Give a pull's permits back. Raises ValueError when more come back than were taken."""
        if not 0 <= count <= self._pulled:
            raise ValueError(f"{count} permits given back, {self._pulled} taken by pulls")
        self._pulled -= count
        if count:
            self._freed.set()

    def take_for_request(self) -> bool:
        """Take one permit for a person's request, if need be one that a pull merely reserved; False where there is none."""
        if self._requested >= self._most:
            return False
        if self.taken >= self.size:
            if not self._promised:
                return False
            self._promised -= 1
            self._lent += 1
            self._pulled -= 1
        self._requested += 1
        return True

    def release_request(self) -> None:
        """Give a request's permit back. Raises ValueError when more come back than were taken."""
        if not self._requested:
            raise ValueError("a permit given back that no request took")
        self._requested -= 1
        self._freed.set()
