"""The directory of one process inside the spool, held by a lock for as long as the process lives.

Its name is the identity of the worker that made it, so that a worker which restarts soon after its death can go on as the same.
The kernel gives the lock back when a process dies, however it dies: who gets it may take over what is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LOCK = "lock"
_SEGMENT = re.compile(r"\d{8}\.segment")
MAX_LOCK_BYTES = 4096
"""More than its few words; whatever is larger was not written by a worker."""
VERSION = 1


@dataclass(slots=True, eq=False)
class Home:
    """A directory whose lock this process holds, in the open file *lock*."""

    path: Path
    lock: int

    @property
    def worker(self) -> str:
        """The identity of the worker that made it."""
        return self.path.name

    @property
    def segments(self) -> list[Path]:
        """The segments in it, the oldest first."""
        return segments_of(self.path)

    def seen(self) -> int:
        """Wall time in nanoseconds at which its worker was last known to live."""
        return os.fstat(self.lock).st_mtime_ns

    def touch(self) -> None:
        """Note that its worker lives."""
        os.utime(self.lock)

    def empty(self) -> None:
        """Delete everything in it but the lock."""
        for path in self.path.iterdir():
            if path.name != LOCK:
                path.unlink()

    def leave(self) -> None:
        """Give the lock back, and remove the directory if no segment is left in it."""
        try:
            if not [path for path in self.path.iterdir() if path.name != LOCK]:
                (self.path / LOCK).unlink()
                self.path.rmdir()
        finally:
            os.close(self.lock)


def create(room: Path, worker: str, location: str) -> Home:
    """Make the directory of *worker* in *room*. Raises OSError."""
    room.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, unlocked = room / worker, room / f"{worker}.new"
    unlocked.mkdir(mode=0o700)
    lock = -1
    try:
        lock = os.open(unlocked / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, json.dumps({"version": VERSION, "location": location}).encode())
        # Under this name others look for it: not before it is locked.
        unlocked.rename(path)
    except OSError:
        if lock >= 0:
            os.close(lock)
        (unlocked / LOCK).unlink(missing_ok=True)
        unlocked.rmdir()
        raise
    return Home(path, lock)


def take_over(path: Path, location: str | None) -> Home | None:
    """The directory at *path* if it is of *location* (of any, if None) and its worker is dead; None otherwise.

    Raises OSError.
    """
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed the file before giving the lock back.
        said = _location(os.pread(lock, MAX_LOCK_BYTES, 0))
        if os.fstat(lock).st_nlink and location in (None, said):
            return Home(path, lock)
    except BlockingIOError:
        pass
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def is_held(path: Path) -> bool:
    """Tell if a living process holds the directory at *path*."""
    try:
        with (path / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def location_of(path: Path) -> str | None:
    """The location of the directory at *path*; None where its lock file does not say. Raises OSError."""
    with (path / LOCK).open("rb") as lock:
        return _location(lock.read(MAX_LOCK_BYTES))


def homes(room: Path) -> list[Path]:
    """Every worker's directory in *room*, the one seen last first. Raises OSError."""
    return [path for _, path in sorted(_dated(room), reverse=True)]


def segments_of(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if _SEGMENT.fullmatch(one.name))


def segment_path(home: Path, number: int) -> Path:
    return home / f"{number:08}.segment"


def segment_number(path: Path) -> int:
    return int(path.stem)


def _dated(room: Path) -> Iterator[tuple[int, Path]]:
    if not room.is_dir():
        return
    for path in room.iterdir():
        if _NAME.fullmatch(path.name):
            try:
                yield (path / LOCK).stat().st_mtime_ns, path
            except (FileNotFoundError, NotADirectoryError):
                continue  # its worker is just leaving


def _location(text: bytes) -> str | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    location = said.get("location") if isinstance(said, dict) and said.get("version") == VERSION else None
    return location if isinstance(location, str) else None
