"""JSONPath by libraries: jsonpath-ng's extended dialect first, and what it refuses by RFC 9535 as python-jsonpath reads it.

jsonpath-ng reads escapes in quoted member names wrongly and in silence, so those go to the second reader at once. Arrays have
`.length`, as in JavaScript. Neither library bounds its work: this belongs in a process that can be killed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import cast

import jsonpath as rfc9535
from jsonpath_ng.ext.parser import parse as parse_extended

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


@lru_cache(maxsize=128)
def _compiled(expression: str) -> Callable[[JSON], list[JSON]]:
    """Parsing costs a third of a millisecond, so that it is worth remembering."""
    if _ESCAPED_NAME.search(expression) is None:
        with suppress(Exception):  # what the first reader refuses, in whichever of its many ways, is the second one's
            extended = parse_extended(expression)
            return lambda document: [match.value for match in extended.find(document)]
    try:
        compiled = rfc9535.compile(expression)
    except Exception as error:  # whatever it is, this is not a JSONPath
        raise JudgementError(f"this is not a valid JSONPath: {_first_line(error)}") from error
    return lambda document: cast("list[JSON]", compiled.findall(document))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
