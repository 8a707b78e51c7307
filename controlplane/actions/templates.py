"""Templates of workflows: `{{ params.x }}`, `{{ trigger.x }}` and `{{ steps.NAME.outputs.x }}` in the texts of a JSON value.

A text that is one template becomes the value with its type; inside other text only texts, numbers, true and false have a form. A
path that is not there is an error and never empty text. A value that was put in is not looked into again. Names of members are no
templates. `{{ '{{ X }}' }}` is the text `{{ X }}`, for those who read it later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from controlplane.errors import TemplatePathError, UnusableError

ROOTS: Final = ("params", "trigger", "steps")
MAX_RENDERED: Final = 256 * 1024
"""Characters that all values of one rendering may add: an input has no more bytes."""
_BRACES: Final = re.compile(r"\{\{\s*'(\{\{[^{}]*\}\})'\s*\}\}|\{\{([^{}]*)\}\}")
_PATH: Final = re.compile(r"(?:params|trigger|steps)(?:\.[A-Za-z0-9_-]{1,100}){1,20}")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Reference:
    """A template at a *place*: the parts of its path. *whole* where the text is nothing else."""

    place: str
    parts: tuple[str, ...]
    whole: bool


def references(value: Any, place: str) -> Iterator[Reference]:
    """Every template in *value*, which stands at *place*. Raises UnusableError for one that is not valid."""
    if isinstance(value, str):
        for found in _BRACES.finditer(value):
            if found[2] is not None:
                yield Reference(place, _parts(found[2], place), whole=found[0] == value.strip())
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from references(each, f"{place}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from references(each, f"{place}[{index}]")


def _parts(written: str, place: str) -> tuple[str, ...]:
    path = written.strip()
    if _PATH.fullmatch(path) is None:
        expected = "expected params.NAME, trigger.NAME or steps.NAME.outputs.NAME"
        raise UnusableError(f"{place}: {path[:_SHOWN]!r} is not a valid template: {expected}")
    return tuple(path.split("."))


@dataclass(slots=True)
class Rendering:
    """One rendering of values with the same *scope*: the objects that `params`, `trigger` and `steps` stand for."""

    scope: Mapping[str, Any]
    left: int = MAX_RENDERED

    def render(self, value: Any, place: str, *, encoded: frozenset[str] = frozenset()) -> Any:
        """A copy of *value* with its templates replaced. Of its members, texts of those in *encoded* are parts of a URL.

        Raises TemplatePathError with the place and the path.
        """
        if isinstance(value, str):
            return self._text(value, place, in_url=False)
        if isinstance(value, list):
            return [self.render(each, f"{place}[{index}]") for index, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        return {
            name: self._text(each, f"{place}.{name}", in_url=True)
            if name in encoded and isinstance(each, str)
            else self.render(each, f"{place}.{name}")
            for name, each in value.items()
        }

    def _text(self, text: str, place: str, *, in_url: bool) -> Any:
        if "{{" not in text:
            return text
        whole = _BRACES.fullmatch(text.strip())
        if whole is not None and whole[2] is not None and not in_url:
            return self._counted(_at(self.scope, _parts(whole[2], place), place), place)
        return _BRACES.sub(lambda found: self._inserted(found, place, in_url=in_url), text)

    def _inserted(self, found: re.Match[str], place: str, *, in_url: bool) -> str:
        if found[2] is None:
            return found[1]
        parts = _parts(found[2], place)
        value = _at(self.scope, parts, place)
        if value is None or isinstance(value, (dict, list)):
            raise TemplatePathError(place, ".".join(parts), "has no form as text")
        text = value if isinstance(value, str) else json.dumps(value)
        if in_url:
            if text in ("", ".", ".."):
                raise TemplatePathError(place, ".".join(parts), "is not a valid part of a URL")
            text = quote(text, safe="")
        self._counted(text, place)
        return text

    def _counted(self, value: Any, place: str) -> Any:
        self.left -= len(value) if isinstance(value, str) else len(json.dumps(value))
        if self.left < 0:
            raise TemplatePathError(place, "", f"makes more than {MAX_RENDERED} characters")
        return value


def _at(scope: Mapping[str, Any], parts: tuple[str, ...], place: str) -> Any:
    value: Any = scope
    for part in parts:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and part.isascii() and int(part[:9]) < len(value):
            value = value[int(part[:9])]
        else:
            raise TemplatePathError(place, ".".join(parts), "is not there")
    return value
