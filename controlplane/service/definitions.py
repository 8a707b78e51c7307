"""Files of API-test JSON → tests to be stored, every mistake with its place. How a file may look: `worker.apitest.files`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.apitest import files
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.errors import TestError

MAX_DEFINITION_CHARACTERS = 8 * 1024 * 1024
"""One definition: it must fit a reply of 16 MiB sealed, beside others."""

PUBLIC_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A valid definition. *place* is where it came from, for error lines."""

    place: str
    content: dict[str, Any]
    parsed: APITest


def read_all(paths: Sequence[Path]) -> tuple[list[Definition], list[str]]:
    """Every valid definition in the files, and a line for every mistake."""
    found: list[Definition] = []
    mistakes: list[str] = []
    for path in paths:
        for entry in _entries(path):
            if isinstance(entry, files.Unusable):
                mistakes.append(str(entry))
                continue
            try:
                found.append(_definition(entry))
            except TestError as error:
                mistakes += [f"{entry.place}: {mistake}" for mistake in error.errors]
    return found, mistakes


def public_id() -> str:
    """Three times three of [a-z2-9]."""
    return "-".join("".join(secrets.choice(PUBLIC_ID_ALPHABET) for _ in range(3)) for _ in range(3))


def is_public_id(text: str) -> bool:
    parts = text.split("-")
    return len(parts) == 3 and all(len(part) == 3 and set(part) <= set(PUBLIC_ID_ALPHABET) for part in parts)


def _definition(entry: files.Definition) -> Definition:
    content = entry.value
    parsed = parse(content)
    mistakes = []
    if not parsed.name.strip():
        mistakes.append("name: is missing")
    if parsed.tick_every is None:
        mistakes.append("options.tick_every: is missing: a scheduled test needs its period in seconds")
    if parsed.public_id and not is_public_id(parsed.public_id):
        mistakes.append(f"public_id: {parsed.public_id[:40]!r} has not the form xxx-xxx-xxx of [a-z2-9]")
    if len(json.dumps(content)) > MAX_DEFINITION_CHARACTERS:
        mistakes.append(f"$: is larger than {MAX_DEFINITION_CHARACTERS} characters")
    if mistakes:
        raise TestError(mistakes)
    assert isinstance(content, dict)
    return Definition(place=entry.place, content=content, parsed=parsed)


def _entries(path: Path) -> Iterator[files.Definition | files.Unusable]:
    try:
        with path.open("rb") as file:
            data = file.read(files.MAX_BYTES + 1)
    except OSError as error:
        yield files.Unusable(file=str(path), reason=error.strerror or "cannot be read")
    else:
        yield from files.read(str(path), data)
