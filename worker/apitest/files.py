"""The bytes of a definition file → the definitions in it: a JSON object, an array, or JSON lines.

It opens nothing, and does not ask what a definition means: `parse` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import orjson

MAX_BYTES = 64 * 1024 * 1024
"""Largest file: some ten thousand large definitions."""
LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One decoded definition and where it stood: the *line* of a JSON-lines file, or the *index* in an array, or neither."""

    file: str
    value: object
    line: int | None = None
    index: int | None = None

    @property
    def place(self) -> str:
        if self.line is not None:
            return f"{self.file}:{self.line}"
        return self.file if self.index is None else f"{self.file}[{self.index}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A file, or a line of one, that holds no definition at all. *reason* in one sentence."""

    file: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.reason}"


def read(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    """Yield everything that *data*, the content of *file*, holds, in order; an `Unusable` for what cannot be used."""
    found = list(_read(file, data.removeprefix(b"\xef\xbb\xbf")))
    yield from found or [Unusable(file=file, reason="holds no definition")]


def _read(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    if len(data) > MAX_BYTES:
        yield Unusable(file=file, reason=f"is larger than {MAX_BYTES} bytes")
        return
    if PurePath(file).suffix in LINES or _is_json_lines(data):
        yield from _lines(file, data)
        return
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        yield Unusable(file=file, reason=_not_json(error))
        return
    match content:
        case dict():
            yield Definition(file=file, value=content)
        case list():
            for index, value in enumerate(content):
                yield Definition(file=file, value=value, index=index)
        case _:
            yield Unusable(file=file, reason="holds neither a JSON object nor an array of them")


def _is_json_lines(data: bytes) -> bool:
    """True when the first line with anything in it is a whole JSON object, and there is more behind it."""
    first, _, rest = data.lstrip().partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def _lines(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Unusable(file=file, line=number, reason=_not_json(error, line=number))
        else:
            yield Definition(file=file, line=number, value=value)


def _not_json(error: orjson.JSONDecodeError, line: int = 0) -> str:
    return f"is not valid JSON: {error.msg} at line {line or error.lineno}, column {error.colno}"
