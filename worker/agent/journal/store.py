"""The journal of one process on disk: results written, results done, and what dead workers of the location left.

All calls block and belong in a thread; a lock lets one in at a time. A failure of the disk is an OSError, after which the next
call tries anew. Nothing is ever deleted but a segment whose results are all done.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import msgspec

from worker.agent.journal import codec, home, segment
from worker.agent.journal.codec import Record, SegmentKeys
from worker.agent.journal.home import Home
from worker.agent.journal.segment import SEGMENT_BYTES, Left, Segment
from worker.wire.messages import ResultItem

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode

ROOM = 2 * SEGMENT_BYTES
"""Bytes that must be free on the file system before more work is taken: what runs already will want to be written, too."""


@dataclass(slots=True)
class Counts:
    """Counts of records since the start, for `/metrics`."""

    written: int = 0
    taken_over: int = 0
    damaged: int = 0


class Store:
    """Segments in *room*. *worker* is the identity under which a directory is made if none is taken over.

    *age_ns* tells how long ago a time stamp of a file was (`Clock.age_ns`); *salt* makes random bytes.
    """

    def __init__(
        self,
        room: Path,
        keys: SegmentKeys,
        *,
        worker: str,
        age_ns: Callable[[int], int],
        salt: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.worker = worker
        self.bytes = 0
        """Size of all segments that this process has, its own and those taken over."""
        self.counts = Counts()
        self.room = room
        self._keys = keys
        self._age_ns = age_ns
        self._salt = salt
        self._home: Home | None = None
        self._others: list[Home] = []
        self._left: deque[tuple[Home, Path]] = deque()
        self._current: Segment | None = None
        self._segments: set[Segment] = set()
        self._places: dict[str, tuple[Segment, int]] = {}
        self._superseded: list[tuple[Segment, int]] = []
        """Older forms of results whose newer one is not known to be on disk."""
        self._passed_over: set[Path] = set()
        self._lock = RLock()

    @property
    def results(self) -> int:
        """Results on disk that are not done."""
        return len(self._places)

    def holds(self, result: str) -> bool:
        """Tell if *result* is on disk and not done; of one that is being written, either. Does not block."""
        return result in self._places

    def open(self, *, within: float) -> list[ResultItem]:
        """Go on as the worker that died less than *within* seconds ago, where there is one: `worker` is its identity then.

        Returns its results. Raises OSError.
        """
        with self._lock:
            for path in home.homes(self.room):
                taken = home.take_over(path, self._keys.location)
                if taken is None:
                    continue
                if not 0 <= self._age_ns(taken.seen()) <= within * 1e9:
                    taken.leave()
                    continue
                self._home, self.worker = taken, taken.worker
                return list(
                    {item.result: item for left in taken.segments for item in self._take_in(taken, left)}.values()
                )
            return []

    def write(self, items: Iterable[ResultItem], done: Collection[str]) -> None:
        """Note which results are *done*, and have *items* on disk. Raises OSError; then some may be."""
        with self._lock:
            self._forget([self._places.pop(result) for result in done if result in self._places])
            current = self._ensure_current()
            waiting = deque(items)
            if not waiting:
                self._note_done(current)
                return
            written = len(waiting)
            self._fill(current, waiting)
            while waiting:
                current = self._ensure_current()
                self._fill(current, waiting)
            current.sync()
            self.counts.written += written
            if self._superseded:
                # Not before: until the newer form is on disk, the older one is what the disk has of a result.
                superseded, self._superseded = self._superseded, []
                self._forget(superseded)

    def tend(self) -> bool:
        """Note that this worker lives; returns whether there is room on the file system. Raises OSError."""
        with self._lock:
            self._ensure_current()
            assert self._home is not None
            self._home.touch()
            system = os.statvfs(self.room)
            return system.f_bavail * system.f_frsize >= ROOM

    def inherit(self, *, after: float) -> list[ResultItem] | None:
        """The results of one more segment of a worker that died more than *after* seconds ago; None where there is none.

        Raises OSError.
        """
        with self._lock:
            if not self._left:
                self._look_around(after)
            if not self._left:
                return None
            owner, path = self._left.popleft()
            items = self._take_in(owner, path)
            self._leave_empty()
            return items

    def close(self) -> None:
        """Give everything back; what is left on disk is for the next worker. Raises OSError."""
        with self._lock:
            self._others = [*self._others, *([self._home] if self._home else [])]
            self._home, self._current = None, None
            self._left.clear()
            for one in tuple(self._segments):
                if one.live:
                    one.close()
                else:
                    self._remove(one)
            self._segments.clear()
            self._leave_empty(everyone=True)

    def _ensure_current(self) -> Segment:
        """The segment that is written to, and that is not full."""
        current = self._current
        if current is not None and current.is_writable and current.size < SEGMENT_BYTES:
            return current
        if self._home is None:
            self._home = home.create(self.room, self.worker, self._keys.location)
        number = max(map(home.segment_number, self._home.segments), default=0) + 1
        key = self._keys.new(self._salt(codec.SALT_BYTES))
        self._current = Segment.create(self._home, home.segment_path(self._home.path, number), key)
        self._segments.add(self._current)
        self.bytes += self._current.size
        if current is not None:
            self._give_up(current)
        return self._current

    def _give_up(self, full: Segment) -> None:
        """*full* takes no more results; those in it must be on disk before the next are."""
        full.sync()
        if full.live:
            self._note_done(full)
        else:
            self._remove(full)

    def _fill(self, current: Segment, waiting: deque[ResultItem]) -> None:
        """Move results from *waiting* into *current* until it is full."""
        batch: list[ResultItem] = []
        payloads: list[bytes] = []
        room = SEGMENT_BYTES - current.size
        while waiting and room > 0:
            batch.append(waiting.popleft())
            payloads.append(_encode(batch[-1]))
            room -= len(payloads[-1]) + codec.FRAME_BYTES
        places = self._places
        for number, item in enumerate(batch, self._append(current, payloads)):
            if item.result in places:
                self._superseded.append(places[item.result])
            places[item.result] = (current, number)

    def _append(self, one: Segment, payloads: Sequence[bytes]) -> int:
        size = one.size
        try:
            return one.append(payloads)
        finally:
            self.bytes += one.size - size

    def _note_done(self, one: Segment) -> None:
        """Write down what is done in *one*, alone.

        Not worth a failure: unnoted, it is pushed once more after a restart, and is a duplicate there.
        """
        if one.done and one.is_writable:
            with suppress(OSError):
                self._append(one, ())

    def _forget(self, places: Iterable[tuple[Segment, int]]) -> None:
        """The results at *places* wait no more: a segment in which none does is deleted."""
        others: set[Segment] = set()
        for one, number in places:
            one.forget(number)
            if one is not self._current:
                others.add(one)
        for one in others:
            if not one.live:
                self._remove(one)
            else:
                self._note_done(one)
        if others:
            self._leave_empty()

    def _remove(self, one: Segment) -> None:
        self._segments.discard(one)
        self.bytes -= one.size
        one.remove()

    def _look_around(self, after: float) -> None:
        """Take over the directories of workers that died more than *after* seconds ago."""
        held = {one.path for one in (*self._others, *([self._home] if self._home else []))}
        for path in home.homes(self.room):
            if path in held:
                continue
            taken = home.take_over(path, self._keys.location)
            if taken is None:
                continue
            segments = [one for one in taken.segments if one not in self._passed_over]
            if 0 <= self._age_ns(taken.seen()) < after * 1e9 or (not segments and taken.segments):
                os.close(taken.lock)
                continue
            self._others.append(taken)
            self._left.extend((taken, one) for one in segments)
        self._leave_empty()

    def _leave_empty(self, *, everyone: bool = False) -> None:
        """Give back the directories of others of which everything is delivered."""
        busy = set() if everyone else {one.home for one in self._segments} | {owner for owner, _ in self._left}
        for owner in [one for one in self._others if one not in busy]:
            self._others.remove(owner)
            owner.leave()

    def _take_in(self, owner: Home, path: Path) -> list[ResultItem]:
        """The results in the segment at *path* that are not done. It is deleted when they are."""
        left = segment.read(path, self._keys)
        if left.contents is None:
            self._pass_over(left)
            return []
        found = [(record.number, self._decoded(path, record)) for record in codec.undone(left.contents.records)]
        items = [(number, item) for number, item in found if item is not None]
        self._report(left)
        # Of one that was written again before it was delivered, the last form counts.
        last = {item.result: (number, item) for number, item in items}
        taken = Segment(owner, path, size=left.size, live={number for number, _ in last.values()})
        self._segments.add(taken)
        self.bytes += taken.size
        superseded = [self._places[result] for result in last if result in self._places]
        self._places |= {result: (taken, number) for result, (number, _) in last.items()}
        self._forget(superseded)
        if not taken.live:
            self._remove(taken)
        self.counts.taken_over += len(last)
        return [item for _, item in last.values()]

    def _decoded(self, path: Path, record: Record) -> ResultItem | None:
        try:
            return msgspec.json.decode(record.payload, type=ResultItem)
        except msgspec.DecodeError:
            self._count_damage(path, 1)
            return None

    def _pass_over(self, left: Left) -> None:
        """Leave what cannot be read where it is, and say so once."""
        self._passed_over.add(left.path)
        if left.is_sound:
            log.warning(
                "the journal segment %s is sealed under another key and stays where it is",
                left.path,
                extra={"action": "journal_foreign", "segment": str(left.path)},
            )
        else:
            self._count_damage(left.path, 1)
            with suppress(OSError):
                left.path.rename(left.path.with_suffix(".unreadable"))

    def _report(self, left: Left) -> None:
        contents = left.contents
        if contents is not None and contents.damaged:
            self._count_damage(left.path, contents.damaged)
        if contents is not None and contents.torn:
            log.warning(
                "the journal segment %s ends in %d bytes of a record that was not complete; they are cut",
                left.path,
                contents.torn,
                extra={"action": "journal_torn", "segment": str(left.path), "bytes": contents.torn},
            )

    def _count_damage(self, path: Path, records: int) -> None:
        self.counts.damaged += records
        log.error(
            "%d records of the journal segment %s are damaged and lost",
            records,
            path,
            extra={"action": "journal_damaged", "segment": str(path), "records": records},
        )
