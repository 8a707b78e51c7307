"""Start-time fair queueing (Goyal, Vin, Cheng 1996) by an opaque key. Pure: costs are told, no clock is read.

Every key has paid up to some point of a virtual time that follows the work in service. The waiting item whose key has paid least
goes first, so a key whose items take half a second each falls behind keys whose items take a millisecond, however many items it
queues; alone, it is served at once. A key whose turns are short is light, and the caller may ask for an item of such a key; a key
that has had no turn yet is not light.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import chain, count
from math import inf
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")

LIGHT_SECONDS: Final = 0.1
"""The usual cost of a light key's turn at most: a hundred times an ordinary test, a fifth of one pattern's default limit."""
SMOOTHING: Final = 0.25
"""Weight of the last turn in the usual cost: one that a busy machine has drawn out to 0.4 s does not make a key heavy yet."""
MAX_REMEMBERED: Final = 10_000
"""Keys whose past is kept; beyond it the cheapest are forgotten, which only favours them."""

_NO_PAST: Final = (0.0, inf)

_Place: TypeAlias = tuple[float, int, str]
"""The place of a key that waits: start tag, order of arrival, key."""


class FairQueue(Generic[T]):
    """A queue of items by key. `len()` counts items; the caller bounds it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        self._light: list[_Place] = []
        self._heavy: list[_Place] = []
        self._past: dict[str, tuple[float, float]] = {}  # by key: paid up to, usual cost of a turn
        self._now = 0.0
        self._order = count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._waiting.values())

    def put(self, key: str, item: T) -> None:
        """Add *item* behind the others of its key."""
        self._size += 1
        queue = self._waiting.get(key)
        if queue is not None:
            queue.append(item)
            return
        self._waiting[key] = deque((item,))
        self._enter(key)

    def take(self, *, light_only: bool = False) -> T | None:
        """Remove and return the next item; None when nothing (light) waits. Its cost is charged to its key later."""
        key = self._leave(light_only=light_only)
        if key is None:
            return None
        queue = self._waiting[key]
        item = queue.popleft()
        self._size -= 1
        if queue:
            self._enter(key)
        else:
            del self._waiting[key]
        return item

    def charge(self, key: str, cost: float) -> None:
        """Charge *key* with the *cost* of one turn, in seconds."""
        _, usual = self._past.get(key, (0.0, cost))
        self._past[key] = (self._start_of(key) + cost, usual + (cost - usual) * SMOOTHING)
        if len(self._past) > MAX_REMEMBERED:
            self._forget()

    def remove(self, key: str, item: T) -> bool:
        """Take *item* out of the queue again; False if it is not in it."""
        queue = self._waiting.get(key)
        if queue is None or item not in queue:
            return False
        queue.remove(item)
        self._size -= 1
        if not queue:
            del self._waiting[key]
            for heap in (self._light, self._heavy):
                heap[:] = [place for place in heap if place[2] != key]
                heapq.heapify(heap)
        return True

    def _start_of(self, key: str) -> float:
        """The start tag of an item of *key* that comes now."""
        return max(self._now, self._past.get(key, _NO_PAST)[0])

    def _enter(self, key: str) -> None:
        heap = self._light if self._past.get(key, _NO_PAST)[1] <= LIGHT_SECONDS else self._heavy
        heapq.heappush(heap, (self._start_of(key), next(self._order), key))

    def _leave(self, *, light_only: bool) -> str | None:
        """Remove and return the next key. The present moves on to its start tag."""
        while heaps := [
            heap for heap in (self._light, self._heavy) if heap and not (light_only and heap is self._heavy)
        ]:
            start, _, key = heapq.heappop(min(heaps))
            if start >= self._past.get(key, _NO_PAST)[0]:
                self._now = max(self._now, start)
                return key
            self._enter(key)  # it was charged since it took its place: to where it belongs now
        return None

    def _forget(self) -> None:
        """Drop every key that has paid no more than the present, and the cheaper half if that is not enough."""
        kept = {key: past for key, past in self._past.items() if past[0] > self._now}
        if len(kept) > MAX_REMEMBERED // 2:
            kept = dict(heapq.nlargest(MAX_REMEMBERED // 2, kept.items(), key=lambda pair: pair[1][0]))
        self._past = kept
