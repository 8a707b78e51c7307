"""A file replaced as a whole: whoever reads it finds the old content or the new one, never a part.

Only a regular file, or none, is replaced. What else has the name (a link, a device, a folder, a pipe) was put there for another
use, and stays.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def in_the_way(path: Path) -> str | None:
    """Name what stands at *path* and is not a regular file; None if there is such a file, or nothing, or it cannot be told."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    return next((words for is_kind, words in _KINDS if is_kind(mode)), None)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Put *content* at *path*, with the permissions *mode* less the umask. Raises OSError, and leaves what is there.

    The new file is made beside the old one as `NAME.part`. What has that name is removed first, and nothing is opened that the
    name may lead to.
    """
    other = in_the_way(path)
    if other is not None:
        raise OSError(errno.EEXIST, f"it is {other}, not a regular file", str(path))
    partial = path.with_name(f"{path.name}.part")
    partial.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(partial, flags, mode), "wb") as file:  # noqa: PTH123 - the flags are the point
            file.write(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # a full disk keeps an empty file where it cannot keep the content
        raise
