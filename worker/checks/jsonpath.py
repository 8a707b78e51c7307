"""JSONPath by libraries: jsonpath-ng's extended dialect first, and what it refuses by RFC 9535 as python-jsonpath reads it.

jsonpath-ng reads escapes in quoted member names wrongly and in silence, so those go to the second reader at once. Arrays have
`.length`, as in JavaScript; other forms of its readers are rewritten first (`javascript_path`). Patterns in `match` and `search`
are I-Regexp. Neither library bounds its work: this belongs in a process that can be killed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import cast

import jsonpath as rfc9535
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath_ng.ext.parser import parse as parse_extended

from worker.checks import iregexp, javascript_path
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_PATH
from worker.checks.member_path import member_path, walk
from worker.checks.values import JSON

_ESCAPED_NAME = re.compile(r"""\[\s*(?:'[^']*\\|"[^"]*\\)""")
_LENGTH = ".length"


def find(expression: str, document: JSON) -> list[JSON]:
    """The values that *expression* leads to, in order. Raises JudgementError where it is not valid or fails."""
    steps = member_path(expression)
    if steps is not None:
        return walk(steps, document)
    if len(expression) > MAX_PATH:
        raise JudgementError(f"the JSONPath has {len(expression)} characters, more than {MAX_PATH}")
    found = _run(expression, document)
    if not found and expression.rstrip().endswith(_LENGTH):
        arrays = find(expression.rstrip().removesuffix(_LENGTH), document)
        found = [len(array) for array in arrays if isinstance(array, list)]
    return found


def _run(expression: str, document: JSON) -> list[JSON]:
    try:
        return _compiled(expression)(document)
    except JudgementError:
        raise
    except MemoryError as error:
        raise JudgementError("the JSONPath needs more memory than an assertion may use") from error
    except Exception as error:  # assertion, type, recursion and pattern errors of both libraries escape
        raise JudgementError(f"the JSONPath cannot be evaluated here: {_first_line(error)}") from error


class _Function(FilterFunction):
    """A function of filters, all of whose arguments are values."""

    def __init__(self, arguments: int, returned: ExpressionType, compute: Callable[..., object]) -> None:
        self._arguments = arguments
        self._returned = returned
        self._compute = compute

    @property
    def arg_types(self) -> list[ExpressionType]:
        return [ExpressionType.VALUE] * self._arguments

    @property
    def return_type(self) -> ExpressionType:
        return self._returned

    def __call__(self, *values: object) -> object:
        return self._compute(*values)


def _on_texts(test: Callable[[str, str], bool]) -> Callable[[object, object], bool]:
    """Apply *test* to texts; no other value matches."""
    return lambda value, source: isinstance(value, str) and isinstance(source, str) and test(source, value)


def _environment() -> rfc9535.JSONPathEnvironment:
    environment = rfc9535.JSONPathEnvironment()
    logical, value = ExpressionType.LOGICAL, ExpressionType.VALUE
    nothing = rfc9535.UNDEFINED
    environment.function_extensions |= {
        "match": _Function(2, logical, _on_texts(iregexp.matches)),
        "search": _Function(2, logical, _on_texts(iregexp.found_in)),
        javascript_path.LENGTH: _Function(1, value, partial(javascript_path.length_or_member, nothing=nothing)),
        javascript_path.REMAINDER: _Function(2, value, partial(javascript_path.remainder, nothing=nothing)),
    }
    return environment


_RFC9535 = _environment()


@lru_cache(maxsize=128)
def _compiled(expression: str) -> Callable[[JSON], list[JSON]]:
    """Parsing costs a third of a millisecond, so that it is worth remembering."""
    rewritten = javascript_path.rewritten(expression)
    if rewritten == expression and _ESCAPED_NAME.search(expression) is None:
        with suppress(Exception):  # what the first reader refuses, in whichever of its many ways, is the second one's
            return _extended(expression)
    try:
        compiled = _RFC9535.compile(rewritten)
    except Exception as error:  # whatever it is, this is not a JSONPath
        with suppress(Exception):  # unless it is one with arithmetic, which only the first reader has
            if rewritten != expression:
                return _extended(rewritten)
        raise JudgementError(f"this is not a valid JSONPath: {_first_line(error)}") from error
    return lambda document: cast("list[JSON]", compiled.findall(document))


def _extended(expression: str) -> Callable[[JSON], list[JSON]]:
    extended = parse_extended(expression)
    return lambda document: [match.value for match in extended.find(document)]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
