"""The JavaScript files that stand in every context, mapped into memory: opened early, read when a script first needs them."""

from __future__ import annotations

import mmap
import re
from functools import lru_cache
from pathlib import Path

CHAI = Path(__file__).with_name("chai-4.5.0.js")
WEB = Path(__file__).with_name("web.js")
DD = Path(__file__).with_name("dd.js")
_COMMENTS = re.compile(r"^[ \t]*/\*[*!].*?\*/", re.MULTILINE | re.DOTALL)


@lru_cache(maxsize=1)
def opened() -> tuple[mmap.mmap, ...]:
    """The files' bytes, in the order in which they are run. For a process that gives up its files: call it before."""
    return tuple(map(_mapped, (CHAI, WEB, DD)))


@lru_cache(maxsize=1)
def sources() -> tuple[str, ...]:
    """The files' texts without the comments that take up lines: they are half of Chai, and each context reads it anew."""
    return tuple(_COMMENTS.sub("", str(source[:], "utf-8")) for source in opened())


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
