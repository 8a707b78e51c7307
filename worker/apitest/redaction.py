"""Secure values taken out of a result, before it is logged, encoded, shown or stored.

A value is found in every spelling in which a target or this program may have written it: as it is, percent-encoded, escaped for
JSON, HTML or a terminal, in base64 at any alignment, whatever the case; and at the end of a text that was cut, its beginning.
Words that only this program writes are left alone, so that a result stays readable whatever a value is. A digest of a value is
not found.
"""

from __future__ import annotations

import base64
import html
import json
import string
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import Enum
from itertools import chain, islice
from typing import Any, Final, TypeVar
from urllib.parse import quote, quote_plus

from msgspec import Struct
from msgspec.structs import replace

from worker.secret import REDACTED, Secret
from worker.text import printable

T = TypeVar("T")

SHORTEST: Final = 4
"""Characters from which on a value is looked for inside of words; a shorter one would take every text apart."""
_LINE: Final = 8
"""Characters from which on each line of a value of several lines counts as a value: keys come in lines."""
_MOST_LINES: Final = 200
"""Lines of one value that count as values: a chain of certificates has a hundred."""
_NEEDLE: Final = 256
"""Characters by which a longer spelling is looked for, to be compared from there on: repetitive values would cost seconds."""
_BASE64: Final = 8
"""Characters of base64 that are not there by chance."""
_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "+/-_")
_ELLIPSIS: Final = "…"
_MOST_CUTS: Final = 64
"""Places of one text at which it may have been cut, and at which a value may begin before one: our own texts have few."""

_OWN_WORDS: Final = frozenset(
    {
        "code",
        "cut",
        "http_version",
        "operator",
        "outcome",
        "public_id",
        "status",
        "subtype",
        "target_path_operator",
        "test_public_id",
        "test_subtype",
        "type",
        "version",
        "worker_id",
        "worker_version",
    }
)
"""Members of a result whose text is never a target's or an author's."""
_FOREIGN_NAMES: Final = frozenset({"headers", "metadata", "subject", "issuer"})
"""Members that are objects whose member names are a target's."""
_FOREIGN_NUMBERS: Final = frozenset({"actual", "dns_server_port", "expected", "port", "target", "value", "values"})
"""Members whose numbers may be a target's or come from a template."""
_MOSTLY_UNSAFE: Final = "!#$%&'()*+,/:;=?@[]~"
"""Characters that a URL may hold unescaped: a URL is sent as it is written."""


class Redaction:
    """The spellings of some secure values, made once a run."""

    def __init__(self, secrets: Iterable[Secret[str]]) -> None:
        values = {part for secret in secrets for part in _parts(secret.reveal())}
        self._spellings = sorted(set(chain.from_iterable(map(_spellings, values))), key=len, reverse=True)
        self._encoded = sorted(set(chain.from_iterable(map(_base64_cores, values))), key=len, reverse=True)
        every = {*self._spellings, *map(_folded, self._encoded)}
        self._beginnings = sorted(spelling for spelling in every if len(spelling) > SHORTEST)
        self._plain = frozenset(_folded(value) for value in values)

    @property
    def size(self) -> int:
        """Searches of a text that this takes: the measure of its cost."""
        return len(self._spellings) + len(self._encoded)

    def __bool__(self) -> bool:
        return bool(self._plain)

    def __call__(self, outcome: T) -> T:
        """Return a copy of *outcome*, a struct or a JSON value, without the secure values. Raises TypeError for anything else."""
        redacted: T = self._value(outcome, "") if self else outcome
        return redacted

    def text(self, text: str) -> str:
        """Return *text* without the secure values."""
        spans = sorted(chain(self._found(text), self._cut_off(text)))
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for start, stop in _merged(spans):
            parts += text[end:start], REDACTED
            end = stop
        return "".join((*parts, text[end:]))

    def _value(self, value: Any, member: str) -> Any:
        match value:
            case str():
                return value if member in _OWN_WORDS else self.text(value)
            case dict():
                return self._object(value, foreign=member in _FOREIGN_NAMES)
            case list():
                return [self._value(each, member) for each in value]
            case tuple():
                return tuple(self._value(each, member) for each in value)
            case bool() | None | Enum() | datetime():
                return value
            case int() | float():
                return REDACTED if member in _FOREIGN_NUMBERS and self._is_secret(value) else value
            case Struct():
                return replace(
                    value, **{name: self._value(getattr(value, name), name) for name in value.__struct_fields__}
                )
        raise TypeError(f"a {type(value).__name__} is not looked into for secure values")

    def _object(self, members: dict[str, Any], *, foreign: bool) -> dict[str, Any]:
        if not foreign:
            return {name: self._value(each, name) for name, each in members.items()}
        redacted: dict[str, Any] = {}
        for name, each in members.items():
            key = self.text(name)
            value = self._value(each, "")
            redacted[key] = f"{redacted[key]}, {value}" if key in redacted else value
        return redacted

    def _is_secret(self, number: float) -> bool:
        text = str(number)
        return text.removesuffix(".0") in self._plain or any(self._found(text))

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        lowered = _folded(text)
        for spelling in self._spellings:
            for start, stop in _occurrences(lowered, spelling):
                if len(spelling) >= SHORTEST or _is_word(text, start, stop):
                    yield start, stop
        for core in self._encoded:
            for start, stop in _occurrences(text, core):
                yield _with_neighbours(text, start, stop)

    def _cut_off(self, text: str) -> Iterator[tuple[int, int]]:
        """The beginnings of values that stand before an ellipsis, or at the end."""
        lowered, ends = _folded(text), [len(text)]
        for _ in range(_MOST_CUTS):
            if (at := text.rfind(_ELLIPSIS, 0, ends[-1])) < 0:
                break
            ends.append(at)
        for end in ends:
            for spelling in self._beginnings:
                start = _beginning_of(spelling, lowered, end)
                if start >= 0:
                    yield start, end


def _beginning_of(spelling: str, text: str, end: int) -> int:
    """The place from which *text*, up to *end*, is the beginning of *spelling*; -1 where there is none."""
    head = spelling[:SHORTEST]
    start = text.find(head, max(0, end - len(spelling) + 1), end)
    for _ in range(_MOST_CUTS):
        if start < 0 or spelling.startswith(text[start:end]):
            break
        start = text.find(head, start + 1, end)
    return start


def _with_neighbours(text: str, start: int, stop: int) -> tuple[int, int]:
    """The span of a base64 core with the character on each side: that holds bits of the value, too."""
    if start and text[start - 1] in _ALPHABET:
        start -= 1
    if stop < len(text) and text[stop] in _ALPHABET:
        stop += 1
    return start, stop


def _parts(value: str) -> Iterator[str]:
    """The value, without the blanks around it too, and its lines."""
    stripped = value.strip()
    if not stripped:
        return
    yield value
    yield stripped
    lines = [line.strip() for line in stripped.splitlines()]
    if len(lines) > 1:
        yield from islice((line for line in lines if len(line) >= _LINE), _MOST_LINES)


def _spellings(value: str) -> Iterator[str]:
    """Every way of writing *value* as text, in lower case."""
    once = (
        value,
        value.encode("utf-8", "surrogatepass").decode("latin-1"),
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote(value, safe=_MOSTLY_UNSAFE, errors="replace"),
        quote_plus(value, errors="replace"),
        html.escape(value),
        html.escape(value).replace("&#x27;", "&#39;"),
        html.escape(value, quote=False),
        printable(value),
    )
    for text in once:
        yield _folded(text)
        for inner in _as_json(text):
            yield _folded(inner)
            yield from map(_folded, _as_json(inner))


def _as_json(text: str) -> tuple[str, str, str]:
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return escaped, json.dumps(text)[1:-1], escaped.replace("/", "\\/")


def _base64_cores(value: str) -> Iterator[str]:
    """The base64 that *value* has within any longer text, at each of the three alignments, in both alphabets."""
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data + bytes(2)).decode()
        first = -(-before * 8 // 6)
        core = encoded[first : (before + len(data)) * 8 // 6]
        if len(core) >= _BASE64:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _folded(text: str) -> str:
    """*text* in lower case, each character at its place."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def _occurrences(text: str, spelling: str) -> Iterator[tuple[int, int]]:
    """Spans that cover every place of *spelling* in *text*, as far as it goes on there; overlapping ones in long steps."""
    needle = spelling[:_NEEDLE]
    start = text.find(needle)
    while start >= 0:
        stop = _agreeing(text, start, spelling)
        yield start, stop
        overlapping = text.rfind(needle, max(start + 1, stop - len(needle)), stop + len(needle))
        start = overlapping if overlapping >= 0 else text.find(needle, stop)


def _agreeing(text: str, start: int, spelling: str) -> int:
    """The place up to which *text* reads as *spelling* does from *start*, where its needle stands."""
    if len(spelling) <= _NEEDLE:
        return start + len(spelling)
    agree, differ = _NEEDLE, len(spelling) + 1
    while differ - agree > 1:
        middle = (agree + differ) // 2
        if text.startswith(spelling[agree:middle], start + agree):
            agree = middle
        else:
            differ = middle
    return start + agree


def _is_word(text: str, start: int, stop: int) -> bool:
    before, after = text[start - 1 : start], text[stop : stop + 1]
    return not before.isalnum() and not after.isalnum()


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted *spans* with those that touch made one."""
    open_span: tuple[int, int] | None = None
    for start, stop in spans:
        if open_span is not None and start <= open_span[1]:
            open_span = (open_span[0], max(open_span[1], stop))
            continue
        if open_span is not None:
            yield open_span
        open_span = (start, stop)
    if open_span is not None:
        yield open_span
