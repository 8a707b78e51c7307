"""Files of API-test JSON → tests to be stored: an object, an array, or one a line. Every mistake with its place."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.errors import UnusableError
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.errors import TestError

MAX_FILE_BYTES = 64 * 1024 * 1024
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
        try:
            entries = _entries(path)
        except UnusableError as error:
            mistakes.append(str(error))
            continue
        for place, content in entries:
            try:
                found.append(_definition(place, content))
            except TestError as error:
                mistakes += [f"{place}: {mistake}" for mistake in error.errors]
    return found, mistakes


def public_id() -> str:
    """Three times three of [a-z2-9]."""
    return "-".join("".join(secrets.choice(PUBLIC_ID_ALPHABET) for _ in range(3)) for _ in range(3))


def is_public_id(text: str) -> bool:
    parts = text.split("-")
    return len(parts) == 3 and all(len(part) == 3 and set(part) <= set(PUBLIC_ID_ALPHABET) for part in parts)


def _definition(place: str, content: object) -> Definition:
    parsed = parse(content)
    mistakes = []
    if not parsed.name.strip():
        mistakes.append("name: is missing")
    if parsed.tick_every is None:
        mistakes.append("options.tick_every: is missing: a scheduled test needs its period in seconds")
    if parsed.public_id and not is_public_id(parsed.public_id):
        mistakes.append(f"public_id: {parsed.public_id[:40]!r} has not the form xxx-xxx-xxx of [a-z2-9]")
    try:
        if len(json.dumps(content, allow_nan=False)) > MAX_DEFINITION_CHARACTERS:
            mistakes.append(f"$: is larger than {MAX_DEFINITION_CHARACTERS} characters")
    except ValueError:
        mistakes.append("$: holds a number that no JSON can hold")
    if mistakes:
        raise TestError(mistakes)
    assert isinstance(content, dict)
    return Definition(place=place, content=content, parsed=parsed)


def _entries(path: Path) -> list[tuple[str, object]]:
    """(place, decoded JSON) of every definition in a file. Raises UnusableError."""
    text = _read(path)
    try:
        whole = _decode(text)
    except ValueError as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].lstrip().startswith("{") or not lines[0][1].rstrip().endswith("}"):
            raise UnusableError(f"{path}: not JSON: {error}") from error
        return [(f"{path}:{number}", _decode_line(f"{path}:{number}", line)) for number, line in lines]
    if isinstance(whole, list):
        if not whole:
            raise UnusableError(f"{path}: an empty list")
        return [(f"{path}[{index}]", entry) for index, entry in enumerate(whole)]
    return [(str(path), whole)]


def _decode_line(place: str, line: str) -> object:
    try:
        return _decode(line)
    except ValueError as error:
        raise UnusableError(f"{place}: not JSON: {error}") from error


def _decode(text: str) -> object:
    """Raises ValueError, also for what JSON does not have (NaN) and for nesting without end."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnusableError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise UnusableError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError(f"{path}: not UTF-8 at byte {error.start}") from error
