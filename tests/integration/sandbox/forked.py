"""A program for a fork server: its children say what they are and what they have, and write back what they read.

Its argument: `whole`, or `unforkable`, a system that allows no more processes.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import sys
from pathlib import Path

from worker.sandbox.child import ParentChannel, attach
from worker.sandbox.forking import fork_on_request

LOADED_BY = os.getpid()
PR_GET_DUMPABLE = 3


def refuse() -> int:
    raise BlockingIOError(errno.EAGAIN, "no more processes")


def introduction(parent: ParentChannel, missing: tuple[str, ...]) -> bytes:
    return json.dumps(
        {
            "arguments": parent.arguments,
            "missing": missing,
            "pid": os.getpid(),
            "loaded by": LOADED_BY,
            "hash": hash("a"),
            "random": random.random(),
        }
    ).encode()


def inherited() -> bytes:
    """What a child has of its server before it is confined itself."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return json.dumps(
        {
            "descriptors": sorted(str(link.readlink()).partition(":")[0] for link in links),
            "dumpable": ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
            "files": opens(__file__),
        }
    ).encode()


def opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def main() -> None:
    first = attach(sys.argv)
    if first.arguments[0] == "unforkable":
        os.fork = refuse
    parent = fork_on_request(first)
    held = inherited()
    missing = parent.confine(1024**3)
    parent.write(introduction(parent, missing))
    parent.write(held)
    while (payload := parent.read()) is not None:
        parent.position.write(len(payload))
        parent.write(payload[::-1])


if __name__ == "__main__":
    main()
