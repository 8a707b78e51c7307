"""One segment on disk: written by appending only, by the process that made it, and read by whoever takes it over.

Calls block; they belong in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.agent.journal import codec
from worker.agent.journal.codec import Contents, RecordKind, SegmentKey, SegmentKeys
from worker.agent.journal.home import Home

SEGMENT_BYTES = 4 * 1024 * 1024
"""A segment that has grown to this takes no more results. Disk is given back by whole segments, and one is in memory while it
is read."""
_RESULT, _DONE = int(RecordKind.RESULT), int(RecordKind.DONE)
MAX_SEGMENT_BYTES = SEGMENT_BYTES + 2 * codec.MAX_RECORD_BYTES
"""The last result may be as large as one can be, and what is noted as done comes on top."""


class Segment:
    """The state of one file: its *size*, and *live*, the numbers of its results that still wait.

    Numbers that wait no more are in *done* until a note of them is written, with the next records or alone.
    """

    __slots__ = ("_descriptor", "_key", "_next", "done", "home", "live", "path", "size")

    def __init__(self, home: Home, path: Path, *, size: int, live: set[int]) -> None:
        self.home = home
        self.path = path
        self.size = size
        self.live = live
        self.done: list[int] = []
        self._descriptor: int | None = None
        self._key: SegmentKey | None = None
        self._next = 0

    @classmethod
    def create(cls, home: Home, path: Path, key: SegmentKey) -> Segment:
        """Make a new file that begins with the header of *key*, and have it on disk. Raises OSError."""
        segment = cls(home, path, size=0, live=set())
        segment._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        segment._key = key
        try:
            segment._write(key.header)
            segment.sync()
            _sync_directory(path.parent)
        except OSError:
            segment.remove()
            raise
        return segment

    @property
    def is_writable(self) -> bool:
        """False for a segment of another process, and for one that a write to it has failed."""
        return self._descriptor is not None

    def append(self, payloads: Sequence[bytes]) -> int:
        """Write results, and what is done before them, all or none; returns the number of the first, from which others count on.

        After an OSError the segment takes no more.
        """
        assert self._key is not None
        first = self._next
        records = [(number, _RESULT, payload) for number, payload in enumerate(payloads, first)]
        if self.done:
            records.append((first + len(payloads), _DONE, codec.done(self.done)))
        # Counted before the attempt: what a failed write has left on the disk was sealed under these numbers.
        self._next += len(records)
        self._write(self._key.seal(records))
        self.live.update(range(first, first + len(payloads)))
        self.done.clear()
        return first

    def forget(self, number: int) -> None:
        """The result of this *number* waits no more. To be noted with what is written next."""
        self.live.discard(number)
        self.done.append(number)

    def sync(self) -> None:
        """Return when everything written is on the disk. Raises OSError."""
        if self._descriptor is not None:
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                # The kernel reports a failure once and forgets it: what this file holds is not known any more.
                self.close()
                raise

    def close(self) -> None:
        """Write no more. Repeatable."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Close and delete the file. Raises OSError."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            self.close()
            raise
        self.size += len(data)


@dataclass(frozen=True, slots=True)
class Left:
    """A segment that a dead worker left, and what is in it; *contents* is None where this location's keys do not open it."""

    path: Path
    size: int
    contents: Contents | None
    is_sound: bool
    """False where nothing in it can be read by anybody."""


def read(path: Path, keys: SegmentKeys) -> Left:
    """Read a segment whole. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_SEGMENT_BYTES + 1)
    if len(data) > MAX_SEGMENT_BYTES:
        return Left(path, path.stat().st_size, None, is_sound=False)
    if len(data) < codec.HEADER_BYTES:
        # Its worker died before a record could be in it.
        return Left(path, len(data), Contents(records=(), damaged=0, torn=len(data)), is_sound=True)
    key = keys.find(data)
    if key is None:
        return Left(path, len(data), None, is_sound=codec.has_header(data))
    return Left(path, len(data), codec.read(data, key), is_sound=True)


def _sync_directory(path: Path) -> None:
    """A new file is on the disk only when its name is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
