"""Patterns in JavaScript's dialect, in a JavaScript engine with a limit on CPU time and memory.

The target is the pattern's source as it stands, without delimiters and without flags: what `new RegExp(target)` makes of it. The
engine counts the CPU time of the whole process and is not to be shared between threads, so it belongs in a single-threaded
process; compiling is interrupted less finely than matching, for which the process needs a limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import _quickjs  # type: ignore[import-not-found]  # the module `quickjs` around it starts a thread when it is imported

from worker.checks import json_text
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_PATTERN, PATTERN_MEMORY
from worker.outcome.failure import FailureCode

_TEST = """(source, flags, text) => {
    let pattern;
    try {
        pattern = new RegExp(source, flags);
    } catch (error) {
        if (error instanceof SyntaxError) return error.message;
        throw error;
    }
    return pattern.test(text);
}"""
_CAPTURE = """(source, text) => {
    let pattern;
    try {
        pattern = new RegExp(source);
    } catch (error) {
        if (error instanceof SyntaxError) return JSON.stringify({error: error.message});
        throw error;
    }
    const found = pattern.exec(text);
    return found === null ? null : JSON.stringify({value: found[1] === undefined ? found[0] : found[1]});
}"""


def search(pattern: str, text: str, seconds: float) -> bool:
    """True when *pattern* is found in *text*. Raises JudgementError where it is not valid, or at a limit."""
    return test(pattern, "", text, seconds)


def test(pattern: str, flags: str, text: str, seconds: float) -> bool:
    """The same for a pattern with *flags*, as `new RegExp(pattern, flags)` takes them."""
    found = _run(_TEST, seconds, pattern, flags, text)
    if isinstance(found, str):
        raise _not_valid(found)
    return bool(found)


def capture(pattern: str, text: str, seconds: float) -> str | None:
    """The text that the first group of *pattern* finds in *text*, or all that is found where it has none or that took no part.

    None where nothing is found. Raises JudgementError as `search` does.
    """
    answer = _run(_CAPTURE, seconds, pattern, text)
    if not isinstance(answer, str):
        return None
    found = json_text.parse(answer)
    if not isinstance(found, dict) or "error" in found:
        raise _not_valid(str(found["error"] if isinstance(found, dict) else found))
    return str(found["value"])


def _run(program: str, seconds: float, pattern: str, *more: str) -> bool | str | None:
    if len(pattern) > MAX_PATTERN:
        raise JudgementError(f"the pattern has {len(pattern)} characters, more than {MAX_PATTERN}")
    try:
        return _engine(program, seconds)(pattern, *more)
    except _quickjs.JSException as error:
        _engine.cache_clear()
        raise _limit_hit(str(error), seconds) from error


@lru_cache(maxsize=2)
def _engine(program: str, seconds: float) -> Callable[..., bool | str | None]:
    """One engine per process and program, made when first needed and made anew after it hit a limit."""
    context = _quickjs.Context()
    context.set_time_limit(seconds)
    context.set_memory_limit(PATTERN_MEMORY)
    engine: Callable[..., bool | str | None] = context.eval(program)
    return engine


def _not_valid(reason: str) -> JudgementError:
    return JudgementError(f"the pattern is not a valid JavaScript regular expression: {reason}")


def _limit_hit(message: str, seconds: float) -> JudgementError:
    """The engine says in its message only which limit it was."""
    if "interrupted" in message:
        milliseconds = round(seconds * 1000)
        return JudgementError(f"the pattern was not done within {milliseconds} ms", FailureCode.TIMEOUT)
    return JudgementError("the pattern needs more memory than an assertion may use")
