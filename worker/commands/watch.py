"""`check --watch`: run again whenever one of the files changes, until Ctrl-C.

It looks at the files at intervals, which works on every file system, a container's mounted folder included. A round that has
begun is finished; a change in the meantime starts the next one at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from worker.clock import Clock
from worker.text import printable

INTERVAL = 0.5
"""Seconds between two looks: a person who has just saved a file does not notice them."""

FileStamp = tuple[int, int, int]
"""A file's time of modification, size and inode: editors write in place or put a new file there."""


async def watch(
    names: Sequence[str], once: Callable[[], Awaitable[int]], clock: Clock, announce: Callable[[str], None]
) -> NoReturn:
    """Await *once*, and again after each change of a file in *names*, which is told to *announce*. Ends by being cancelled."""
    while True:
        seen = stamps(names)  # before they are read: what changes while they are counts as a change
        await once()
        changed = await change(names, seen, clock)
        announce(printable(f"{clock.now().astimezone():%H:%M:%S}  changed: {', '.join(changed)}"))


async def change(names: Sequence[str], seen: Mapping[str, FileStamp | None], clock: Clock) -> list[str]:
    """Wait until files differ from *seen* and have not changed for one interval, so that none is read half written."""
    before = dict(seen)
    while True:
        now = stamps(names)
        if now == before and now != seen:
            return [name for name in names if now[name] != seen[name]]
        before = now
        await clock.sleep(INTERVAL)


def stamps(names: Sequence[str]) -> dict[str, FileStamp | None]:
    """The stamp of each file; None for one that is not there, or cannot be looked at."""
    return {name: _stamp(name) for name in names}


def _stamp(name: str) -> FileStamp | None:
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
