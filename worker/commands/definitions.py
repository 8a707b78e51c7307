"""Opens the definition files that a command was given. What is in them is `apitest.files`' knowledge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from worker.apitest import files
from worker.apitest.files import MAX_BYTES, Definition, Unusable
from worker.apitest.subtests import embed
from worker.config.files import read_bytes
from worker.config.mistake import Mistake

STDIN = "-"


def with_subtests(found: Iterable[Definition | Unusable]) -> list[Definition | Unusable]:
    """All that was *found*, each definition whole: with the subtests it plays in it, as far as they were found beside it.

    Of two definitions with one public id, the first one is played.
    """
    everything = list(found)
    known: dict[str, object] = {}
    for one in everything:
        if isinstance(one, Definition) and isinstance(one.value, dict):
            known.setdefault(str(one.value.get("public_id")), one.value)
    return [
        replace(one, value=embed(one.value, known.get)) if isinstance(one, Definition) else one for one in everything
    ]


def read_definitions(names: Iterable[str], stdin: BinaryIO | None) -> Iterator[Definition | Unusable]:
    """Everything in the files *names*, in order; `-` is *stdin*, None where it is closed.

    What cannot be read is among the answers, not an error.
    """
    for name in names:
        try:
            data = _read(name, stdin)
        except Mistake as mistake:
            yield Unusable(file=name, reason=str(mistake))
        else:
            yield from files.read(name, data)


def _read(name: str, stdin: BinaryIO | None) -> bytes:
    if name != STDIN:
        return read_bytes(name, called="the file", at_most=MAX_BYTES)
    if stdin is None:
        raise Mistake("standard input is closed")
    return stdin.read(MAX_BYTES + 1)
