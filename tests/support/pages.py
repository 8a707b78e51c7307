"""The commands that a page shows: what stands in its blocks of shell, as a reader would type it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+#\s.*$")


def shell_blocks(page: str) -> list[list[str]]:
    """The commands of each block, in their order; those of several lines keep them, comments are left away."""
    return [list(_commands(block)) for block in _BLOCK.findall(page)]


def _commands(block: str) -> Iterator[str]:
    begun: list[str] = []
    for line in block.splitlines():
        begun.append(_COMMENT.sub("", line))
        command = "\n".join(begun)
        if not command.strip():
            begun.clear()
        elif not command.endswith("\\") and command.count("'") % 2 == 0:
            yield command
            begun.clear()
