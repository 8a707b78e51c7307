"""JSON text → value, for all that `JSON.parse` reads, up to a stated nesting.

orjson reads nearly everything, and fast. It refuses unpaired surrogates, numbers beyond a double's range and more than 1,024
levels, which RFC 8259 allows and JavaScript reads; the standard library, in C too, takes those.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

import orjson

from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_NESTING
from worker.checks.values import JSON

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FRAMES = 1_500
"""Levels of the interpreter's recursion limit that callers of ours and the reader itself may have taken."""


def parse(text: str) -> JSON:
    """The value of *text*; what no UTF-8 can carry is U+FFFD in it, what no double can is infinite. Raises JudgementError."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _as_javascript_reads_it(text, str(error))
    return value


def _as_javascript_reads_it(text: str, reason: str) -> JSON:
    """*reason*: the words of the reader that could not."""
    try:
        with _deep():
            value: JSON = json.loads(text, parse_int=float, parse_constant=_refuse)
            if _SURROGATE_ESCAPE.search(text) is not None:
                value = json.loads(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    except RecursionError as error:
        raise JudgementError(f"the body is nested to more than {MAX_NESTING} levels, and not read as JSON") from error
    except ValueError as error:
        reason = f"the body is not valid JSON: {reason}" if text.strip() else "the body is empty, not JSON"
        raise JudgementError(reason) from error
    return value


@contextmanager
def _deep() -> Iterator[None]:
    """Let MAX_NESTING levels be read: Python 3.11 counts those of C against the interpreter's own limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, MAX_NESTING + _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _refuse(constant: str) -> Never:
    """NaN and Infinity are no JSON."""
    raise ValueError(constant)
