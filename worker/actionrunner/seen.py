"""The ids of tasks that were taken here: an order is obeyed once, however often it is delivered. No clock, no IO."""

from __future__ import annotations

import heapq

KEPT_MS = 10 * 60 * 1000
"""Milliseconds after its `exp` for which an id is kept: more than the clocks may be apart."""
MOST_TASKS_SEEN = 200_000
"""Ids in memory, some 40 MB: 200 tasks a second that may each start within 300 s."""


class SeenTasks:
    """Task ids with their `exp`. Times are epoch milliseconds of the control plane."""

    def __init__(self, most: int = MOST_TASKS_SEEN, *, kept_ms: int = KEPT_MS) -> None:
        self._most = most
        self._kept_ms = kept_ms
        self._ends: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._ends)

    def is_full(self, now: int) -> bool:
        """Tell if no more ids can be kept: then no more orders may be taken, as a repetition would not be noticed."""
        self._drop(now)
        return len(self._ends) >= self._most

    def add(self, task: str, exp: int, *, now: int) -> bool:
        """Note *task*; False where it was seen before."""
        self._drop(now)
        if task in self._ends:
            return False
        self._ends[task] = exp + self._kept_ms
        heapq.heappush(self._queue, (exp + self._kept_ms, task))
        return True

    def forget(self, task: str) -> None:
        """Let *task* come again: it was given back, and never begun."""
        self._ends.pop(task, None)

    def _drop(self, now: int) -> None:
        while self._queue and self._queue[0][0] <= now:
            end, task = heapq.heappop(self._queue)
            if self._ends.get(task) == end:
                del self._ends[task]
