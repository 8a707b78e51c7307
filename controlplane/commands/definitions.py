"""Files of API-test JSON → valid definitions, every mistake with its place. The form of a file: `worker.apitest.files`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from controlplane.operations.operation import encode
from controlplane.operations.tests import SentDefinition
from controlplane.service import definitions
from controlplane.service.definitions import CheckedDefinition
from worker.apitest import files
from worker.errors import TestError

PORTION_BYTES = 8 * 1024 * 1024
"""Of definitions sent at once, their places and brackets beside them: less than the API reads."""


@dataclass(frozen=True, slots=True)
class ReadDefinitions:
    """Valid definitions; a line for every mistake, which keeps all of them back, and for every member that looks misspelt."""

    valid: list[CheckedDefinition] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    misspelt: list[str] = field(default_factory=list)


def read_all(paths: Sequence[Path]) -> ReadDefinitions:
    """Read every definition in the files, in order."""
    found = ReadDefinitions()
    for path in paths:
        for entry in _entries(path):
            if isinstance(entry, files.Unusable):
                found.mistakes.append(str(entry))
            else:
                _definition(entry, found)
    found.mistakes.extend(definitions.conflicts(found.valid))
    return found


def _definition(entry: files.Definition, found: ReadDefinitions) -> None:
    try:
        checked, misspelt = definitions.check_spelled(entry.place, entry.value)
    except TestError as error:
        found.mistakes.extend(f"{entry.place}: {mistake}" for mistake in error.errors)
        return
    found.valid.append(checked)
    found.misspelt.extend(f"{entry.place}: {suspicion}" for suspicion in misspelt)


def portions(sent: Sequence[SentDefinition]) -> Iterator[list[SentDefinition]]:
    """Definitions in portions that a control plane takes at once; one always fits."""
    portion: list[SentDefinition] = []
    room = PORTION_BYTES
    for one in sent:
        size = len(encode(one))
        if portion and size > room:
            yield portion
            portion, room = [], PORTION_BYTES
        portion.append(one)
        room -= size
    yield portion


def _entries(path: Path) -> Iterator[files.Definition | files.Unusable]:
    try:
        with click.open_file(str(path), "rb") as file:  # `-` is standard input
            data = file.read(files.MAX_BYTES + 1)
    except OSError as error:
        yield files.Unusable(file=str(path), reason=error.strerror or "cannot be read")
    except RuntimeError:  # click's, for a standard input that is closed
        yield files.Unusable(file=str(path), reason="standard input is closed")
    else:
        yield from files.read(str(path), data)
