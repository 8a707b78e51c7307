"""Reads untrusted JSON member by member: each mistake is noted with its path and reading goes on, so that all are told at once.

Nothing here knows the test language, and nothing raises: a value of the wrong kind is noted and its default returned.
JSON null counts as absent. Text that would be executed is read with `text`, which notes that there are templates in it; text for
people is read with `label`, which leaves templates alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from worker.apitest.template import first_template
from worker.text import nearest, printable

_SHOWN = 60
"""Characters of a foreign value that a sentence repeats."""
_OBJECT = (dict, Mapping)
"""A mapping: the class that nearly all are comes first, as the abstract one takes ten times as long to tell."""
_LARGEST = 1 << 1024
"""Whole numbers from here on have no floating-point value, and beyond 4,300 digits no text either."""

_LIKENESS = 0.8
"""The likeness of a misspelt word to one of the language: a letter or two of it, its case, its separators."""
_MOST = 100
"""Sentences of one sort that a definition can earn; what comes after them helps nobody and is counted."""


@dataclass(slots=True)
class Sentences:
    """The first sentences of one sort, each beginning with a JSON path, and the number of those left out."""

    kept: list[str] = field(default_factory=list)
    left_out: int = 0

    def note(self, sentence: str) -> None:
        if len(self.kept) < _MOST:
            self.kept.append(sentence)
        else:
            self.left_out += 1

    def __bool__(self) -> bool:
        return bool(self.kept)

    def told(self) -> tuple[str, ...]:
        return (*self.kept, f"$: {self.left_out} more of this sort") if self.left_out else tuple(self.kept)


@dataclass(slots=True)
class Findings:
    """Mistakes, parts that are right but not there yet (*missing*), and parts that a run does without (*ignored*).

    *asked*, where it is not None, collects for each object, by its path, the members that a reader asked for. *templated*: a text
    that would be executed holds a template. *rendered*: templates have been replaced, and braces that are left are text.
    """

    mistakes: Sentences = field(default_factory=Sentences)
    missing: Sentences = field(default_factory=Sentences)
    ignored: Sentences = field(default_factory=Sentences)
    asked: dict[str, AskedObject] | None = None
    templated: bool = False
    rendered: bool = False


@dataclass(frozen=True, slots=True)
class AskedObject:
    """An object of the definition, and the names of the members that a reader asked for, there or not."""

    content: Mapping[str, object]
    names: set[str] = field(default_factory=set)


class Node(Struct, frozen=True):
    """A value at *path*, or its absence (None)."""

    value: object
    path: str
    findings: Findings

    def __getitem__(self, key: str) -> Node:
        """The member *key*; absent where this is not an object or has no such member."""
        value = None
        if self.value is not None and isinstance(self.value, _OBJECT):
            value = self.value.get(key)
            if (asked := self.findings.asked) is not None:
                (asked.get(self.path) or asked.setdefault(self.path, AskedObject(self.value))).names.add(key)
        return Node(value, key if self.path == "$" else f"{self.path}.{key}", self.findings)

    @property
    def present(self) -> bool:
        return self.value is not None

    def mistake(self, reason: str) -> None:
        self.findings.mistakes.note(f"{self.path}: {reason}")

    def requires(self, what: str) -> None:
        """Note something that a newer version may know."""
        self.findings.missing.note(f"{self.path}: {what}")

    def ignores(self, what: str) -> None:
        """Note something that is left out of a run which makes sense all the same."""
        self.findings.ignored.note(f"{self.path}: {what}")

    def object(self, *, required: bool = False) -> Node:
        """This node if it holds an object, else an absent one; anything else than an object is a mistake."""
        if isinstance(self.value, _OBJECT):
            return self
        if self.present:
            self.mistake(f"must be an object, not {json_type(self.value)}")
        elif required:
            self.mistake("is missing")
        return Node(None, self.path, self.findings)

    def items(self, *, required: bool = False) -> list[Node]:
        if not self.present:
            if required:
                self.mistake("is missing")
            return []
        if not isinstance(self.value, list | tuple):
            self.mistake(f"must be a list, not {json_type(self.value)}")
            return []
        return [Node(item, f"{self.path}[{index}]", self.findings) for index, item in enumerate(self.value)]

    def members(self) -> Iterator[tuple[str, Node]]:
        if not isinstance(self.value, _OBJECT):
            return
        for key, value in self.value.items():
            if not isinstance(key, str) or not _encodable(key):
                self.mistake("has a member whose name is not text")
                continue
            node = Node(value, f"{self.path}.{printable(key, _SHOWN)}", self.findings)
            node.note_templates(key)
            yield key, node

    def label(self) -> str | None:
        """Text for people."""
        if not self.present:
            return None
        if not isinstance(self.value, str):
            self.mistake(f"must be text, not {json_type(self.value)}")
            return None
        if not _encodable(self.value):
            self.mistake("holds half a surrogate pair, which UTF-8 text cannot")
            return None
        return self.value

    def text(self, *, required: bool = False) -> str | None:
        """Text that would be executed; an empty one counts as missing where it is *required*."""
        value = self.label()
        if value:
            self.note_templates(value)
        elif required and (not self.present or value == ""):
            self.mistake("is missing" if not self.present else "is empty")
        return value

    def texts(self) -> str | None:
        """Text, or the text of a number or of true and false."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, int | float):
            number = self.number()
            return None if number is None else str(number)
        return self.text()

    def number(self) -> int | float | None:
        """A finite number; one that needs more than 64 bits becomes the nearest floating-point one, as in JavaScript."""
        if not self.present:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.mistake(f"must be a number, not {json_type(self.value)}")
        elif not _finite(self.value):
            self.mistake("must be a finite number of sensible size")
        else:
            return self.value if -(1 << 63) <= self.value < 1 << 64 else float(self.value)
        return None

    def whole(self, low: int, high: int) -> int | None:
        """A whole number from *low* to *high*, both included; 60.0 is one."""
        value = self.number()
        if value is None:
            return None
        if value != int(value) or not low <= value <= high:
            self.mistake(f"must be a whole number from {low} to {high}, not {printable(str(value), _SHOWN)}")
            return None
        return int(value)

    def flag(self) -> bool | None:
        if self.present and not isinstance(self.value, bool):
            self.mistake(f"must be true or false, not {json_type(self.value)}")
        return self.value if isinstance(self.value, bool) else None

    def scalar(self) -> str | int | float | bool | None:
        """Text that would be executed, a number, or true and false."""
        if isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, int | float):
            return self.number()
        if isinstance(self.value, str) or not self.present:
            return self.text()
        self.mistake(f"must be text or a number, not {json_type(self.value)}")
        return None

    def note_templates(self, text: str) -> None:
        if self.holds_template(text):
            self.findings.templated = True

    def holds_template(self, text: str) -> bool:
        """True where a run will put something else in the place of *text*: what it must be like is judged only then."""
        return "{{" in text and not self.findings.rendered and first_template(text) is not None


def quote(value: str) -> str:
    """A foreign text for a sentence: cut, on one line, printable."""
    return f"'{printable(value, _SHOWN)}'"


def perhaps(word: str, known: Iterable[str]) -> str:
    """The question whether the one of *known* that is most like the misspelt *word* was meant; nothing where none is."""
    found = nearest(word, known, likeness=_LIKENESS)
    return f": did you mean {quote(found)}?" if found else ""


def json_type(value: object) -> str:
    """The name of a value's JSON type."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return "a value outside JSON"


def _finite(value: float) -> bool:
    return -_LARGEST < value < _LARGEST if isinstance(value, int) else math.isfinite(value)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
