"""Values in place of `{{ NAME }}`, in every text of a JSON value, its member names included.

A template is a pair of double braces around a name or a call, as in `{{ HOST }}` or `{{ numeric(3) }}`; other text between
braces, as of Handlebars' `{{#each}}`, stays as it is. One that is quoted for another engine, `{{ '{{ HOST }}' }}`, is the
template that this engine would have written. A name without a value is an error and never becomes empty text. A value that was
put in is not looked into again. Which parts of a definition are templatable is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from worker.errors import SyntheticsError, TemplateError
from worker.text import listed, nearest, printable

BuiltIn = Callable[[str], str | None]
"""The text of an expression, as `uuid` or `numeric(3)`; None where there is no such built-in. Raises ExpressionError."""

MAX_INSERTED: Final = 1024 * 1024
"""Characters that all values of one rendering may add: ten times the largest request that the language allows."""
MAX_EXPRESSION: Final = 200
"""Characters between the braces; what is longer is no name."""
_DEEPEST: Final = 64
"""Levels of lists and objects; a definition has ten."""
_MOST_MISTAKES: Final = 20
_SHOWN: Final = 60
_LIKENESS: Final = 0.8
_BRACES: Final = re.compile(r"\{\{\s*+'\{\{([^{}]*+)\}\}'\s*+\}\}|\{\{([^{}]*+)\}\}")
_NAME: Final = re.compile(r"\w[\w .-]*")
_EXPRESSION: Final = re.compile(r"\w[\w .-]*(\(.*\))?", re.DOTALL)


class ExpressionError(SyntheticsError):
    """An expression whose arguments are not valid. *reason* goes on after the expression itself."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def _no_built_in(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """Everything that a template may name: *values* by name, *absent* names with the reason of their absence, and *built_in*."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    absent: Mapping[str, str] = field(default_factory=dict)
    built_in: BuiltIn = _no_built_in


def render(value: Any, namespace: Namespace, *, path: str = "$", at_most: int = MAX_INSERTED) -> Any:
    """Return a copy of the JSON *value*, which stands at *path*, with its templates replaced by at most *at_most* characters.

    Raises TemplateError with every name that has no value and where it stands.
    """
    rendering = _Rendering(namespace, at_most)
    rendered = rendering.value(value, path, _DEEPEST)
    if rendering.mistakes:
        raise TemplateError(listed(rendering.mistakes, _MOST_MISTAKES))
    return rendered


def first_template(text: str) -> str | None:
    """The first template in *text*, with its braces."""
    return next((found.group() for found in _templates(text)), None) if "{{" in text else None


def is_name(text: str) -> bool:
    """True for what a template can name without parentheses."""
    return len(text) <= MAX_EXPRESSION and text == text.strip() and _NAME.fullmatch(text) is not None


def _templates(text: str) -> Iterator[re.Match[str]]:
    return (found for found in _BRACES.finditer(text) if _is_expression(_expression(found)))


def _expression(found: re.Match[str]) -> str:
    return (found.group(1) or found.group(2) or "").strip()


def _is_expression(text: str) -> bool:
    return len(text) <= MAX_EXPRESSION and _EXPRESSION.fullmatch(text) is not None


class _Rendering:
    """One rendering: the mistakes so far, and the characters that are left."""

    def __init__(self, namespace: Namespace, left: int) -> None:
        self._namespace = namespace
        self._at_most = self._left = left
        self.mistakes: list[str] = []

    def value(self, value: Any, path: str, levels: int) -> Any:
        match value:
            case str():
                return self._text(value, path)
            case list() | dict() if not levels:
                self.mistakes.append(f"{path}: is nested too deeply for a definition with templates")
                return value
            case list():
                return [self.value(each, f"{path}[{index}]", levels - 1) for index, each in enumerate(value)]
            case dict():
                return self._object(value, path, levels - 1)
            case _:
                return value

    def _object(self, members: dict[str, Any], path: str, levels: int) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for name, member in members.items():
            place = printable(name, _SHOWN) if path == "$" else f"{path}.{printable(name, _SHOWN)}"
            key = self._text(name, place)
            if key in rendered:
                self.mistakes.append(f"{place}: has the name of another member once its templates are replaced")
            rendered[key] = self.value(member, place, levels)
        return rendered

    def _text(self, text: str, path: str) -> str:
        if "{{" not in text:
            return text
        parts: list[str] = []
        end = 0
        for found in _templates(text):
            if len(self.mistakes) > _MOST_MISTAKES:
                return text
            parts += text[end : found.start()], self._inserted(_expression(found), path)
            end = found.end()
        return "".join((*parts, text[end:]))

    def _inserted(self, expression: str, path: str) -> str:
        value = self._looked_up(expression, path)
        exhausted, self._left = self._left < 0, self._left - len(value)
        if self._left >= 0:
            return value
        if not exhausted:
            self.mistakes.append(f"{path}: the values of templates add more than {self._at_most} characters")
        return ""

    def _looked_up(self, expression: str, path: str) -> str:
        """The value; empty where there is none, and then a mistake is noted."""
        known = self._namespace.values.get(expression)
        if known is not None:
            return known
        try:
            reason = self._namespace.absent.get(expression)
            built = self._namespace.built_in(expression) if reason is None else None
        except ExpressionError as error:
            built, reason = None, f"the template {_quoted(expression)} {error.reason}"
        if built is not None:
            return built
        self.mistakes.append(f"{path}: {reason or self._unknown(expression)}")
        return ""

    def _unknown(self, expression: str) -> str:
        meant = nearest(expression, self._namespace.values, likeness=_LIKENESS)
        question = f": did you mean {_quoted(meant)}?" if meant else ""
        what = "built-in" if "(" in expression else "variable"
        return f"no {what} is called {_quoted(expression)}{question}"


def _quoted(text: str) -> str:
    return f"'{printable(text, _SHOWN)}'"
