"""Opens the definition files that a command was given. What is in them is `apitest.files`' knowledge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from worker.apitest import files
from worker.apitest.files import MAX_BYTES, Definition, Unusable
from worker.config.files import read_bytes
from worker.config.mistake import Mistake

STDIN = "-"


def read_definitions(names: Iterable[str], stdin: BinaryIO) -> Iterator[Definition | Unusable]:
    """Everything in the files *names*, in order; `-` is *stdin*. What cannot be read is among the answers, not an error."""
    for name in names:
        try:
            data = (
                stdin.read(MAX_BYTES + 1) if name == STDIN else read_bytes(name, called="the file", at_most=MAX_BYTES)
            )
        except Mistake as mistake:
            yield Unusable(file=name, reason=str(mistake))
        else:
            yield from files.read(name, data)
