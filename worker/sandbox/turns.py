"""Who is next: start-time fair queueing (Goyal, Vin, Cheng 1996) by test key. Pure: costs are told, no clock is read.

Every key has paid up to some point of a virtual time that follows the work in service. The waiting item whose key has paid least
goes first, so a test whose patterns take half a second each falls behind tests that cost a millisecond, however many items it
queues; alone, it is served at once. What a key has paid is remembered until the virtual time has passed it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import chain, count
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_REMEMBERED = 10_000
"""Keys whose past is kept; beyond it the cheapest are forgotten, which only ever favours them."""


class Turns(Generic[T]):
    """A queue of items by key. `len()` counts items; the caller bounds it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        self._heap: list[tuple[float, int, str]] = []  # start tag, order of arrival and name of each key that waits
        self._paid: dict[str, float] = {}
        self._now = 0.0
        self._order = count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, key: str, item: T) -> None:
        """Add *item* behind the others of its key."""
        self._size += 1
        queue = self._waiting.get(key)
        if queue is not None:
            queue.append(item)
            return
        self._waiting[key] = deque((item,))
        self._enter(key)

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._waiting.values())

    def take(self) -> T | None:
        """The next item, or None when nothing waits. What it turns out to cost is charged to its key later."""
        if not self._heap:
            return None
        start, _, key = heapq.heappop(self._heap)
        while self._paid.get(key, 0.0) > start:  # charged since it took its place: to where it belongs now
            self._enter(key)
            start, _, key = heapq.heappop(self._heap)
        self._now = max(self._now, start)
        queue = self._waiting[key]
        item = queue.popleft()
        self._size -= 1
        if queue:
            self._enter(key)
        else:
            del self._waiting[key]
        return item

    def charge(self, key: str, cost: float) -> None:
        """Book *cost* (seconds, or any unit that all callers share) to *key*."""
        self._paid[key] = max(self._now, self._paid.get(key, 0.0)) + cost
        if len(self._paid) > MAX_REMEMBERED:
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
            self._heap = [entry for entry in self._heap if entry[2] != key]
            heapq.heapify(self._heap)
        return True

    def _enter(self, key: str) -> None:
        start = max(self._now, self._paid.get(key, 0.0))
        heapq.heappush(self._heap, (start, next(self._order), key))

    def _forget(self) -> None:
        """Drop every key that has paid no more than the present, and the cheaper half if that is not enough."""
        self._paid = {key: paid for key, paid in self._paid.items() if paid > self._now}
        if len(self._paid) > MAX_REMEMBERED // 2:
            dearest = heapq.nlargest(MAX_REMEMBERED // 2, self._paid.items(), key=lambda pair: pair[1])
            self._paid = dict(dearest)
