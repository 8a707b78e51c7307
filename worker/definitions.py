"""Reads API-test definitions from files: a JSON object, an array, or JSON lines. What they mean is `apitest`'s knowledge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from worker.written import Mistake, read_bytes

STDIN = "-"
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


def read_definitions(files: Iterable[str], stdin: BinaryIO) -> Iterator[Definition | Unusable]:
    """Everything that *files* hold, in order; `-` is *stdin*. What cannot be read is among the answers, not an error."""
    for file in files:
        try:
            data = _content(file, stdin)
        except Mistake as mistake:
            yield Unusable(file=file, reason=str(mistake))
        else:
            found = list(_definitions(file, data))
            yield from found or [Unusable(file=file, reason="holds no definition")]


def _content(file: str, stdin: BinaryIO) -> bytes:
    if file != STDIN:
        data = read_bytes(file, called="the file", at_most=MAX_BYTES)
    elif len(data := stdin.read(MAX_BYTES + 1)) > MAX_BYTES:
        raise Mistake(f"standard input is larger than {MAX_BYTES} bytes")
    return data.removeprefix(b"\xef\xbb\xbf")


def _definitions(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    if Path(file).suffix in LINES or _is_json_lines(data):
        yield from _lines(file, data)
        return
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        yield Unusable(file=file, reason=_not_json(error))
        return
    match content:
        case dict():
            yield Definition(file=file, value=content, index=0)
        case list():
            for index, value in enumerate(content):
                yield Definition(file=file, value=value, index=index)
        case _:
            yield Unusable(file=file, reason="holds neither a JSON object nor an array of them")


def _is_json_lines(data: bytes) -> bool:
    """Whether the first line with anything in it is a whole JSON object, and there is more behind it."""
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
    return f"is no valid JSON: {error.msg} at line {line or error.lineno}, column {error.colno}"
