"""Runs one script in a context of its own, and says how it ended.

A context with Chai in it takes longer to make than most scripts to run, so one stands ready for the next script, in a process
that has seen a script. The engine counts the CPU time of the whole process: not to be shared between threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import _quickjs  # type: ignore[import-not-found]  # the module `quickjs` around it starts a thread when it is imported
import msgspec
from msgspec import Struct

from worker.checks.javascript import library
from worker.checks.javascript.digests import Digester
from worker.checks.judgement import JudgementError
from worker.checks.limits import (
    MAX_SCRIPT,
    MAX_SCRIPT_JOBS,
    MAX_SCRIPT_LOG,
    MAX_SCRIPT_VARIABLES,
    MAX_SCRIPT_VARIABLES_TEXT,
    SCRIPT_MEMORY,
    SCRIPT_STACK,
)
from worker.outcome.failure import FailureCode

Start: TypeAlias = Callable[[str, str, str | None], Callable[[], str]]
"""`start` of dd.js: (script, input as JSON, body) → function for the report as JSON."""

_LIMITS: Final = {"log": MAX_SCRIPT_LOG, "text": MAX_SCRIPT_VARIABLES_TEXT, "variables": MAX_SCRIPT_VARIABLES}
_TOO_MUCH_MEMORY: Final = "the script needs more memory than an assertion may use"
_OUT_OF_MEMORY: Final = "InternalError: out of memory"
"""A script can catch it, so that it may also be what the script failed with."""


class ScriptValue(msgspec.Struct, frozen=True):
    """A variable that a script has set. *secure*: it must not be shown."""

    value: str
    secure: bool


class ScriptReport(msgspec.Struct, frozen=True):
    """The end of a script: *failure* says why it failed; not *ended*: it waits for something that never comes.

    *withheld*: it asked for a body that could not be given.
    """

    ended: bool
    failure: str | None
    withheld: bool
    log: str
    variables: dict[str, ScriptValue]


class ScriptInput(Struct, frozen=True, kw_only=True):
    """Everything that a script sees. *withheld*: the reason for which there is no body to give."""

    status: int
    headers: Mapping[str, str]
    body: str | None
    withheld: str = ""


class FreshContext(Struct, frozen=True, kw_only=True):
    """A context that no script has seen, with the functions that dd.js and web.js evaluate to."""

    context: _quickjs.Context
    start: Start
    digests: Callable[..., str]


@dataclass(slots=True)
class Contexts:
    """The fresh contexts of this process: one is ready, once a script has been seen. A lent one lives until the next call.

    Freeing one takes as long as running most scripts, and nobody is to wait for that either.
    """

    _ready: list[FreshContext] = field(default_factory=list)
    _lent: FreshContext | None = None

    @property
    def ready(self) -> int:
        return len(self._ready)

    def take(self) -> FreshContext:
        self._lent = None
        self._lent = self._ready.pop() if self._ready else _fresh()
        return self._lent

    def prepare(self) -> None:
        """Free the context that was lent, and make the next one. For the time in which nothing else is to be done."""
        if self._lent is not None:
            self._ready.append(
                _fresh()
            )  # before the other one is freed: else its memory goes back to the kernel and comes again
            self._lent = None


CONTEXTS: Final = Contexts()


def run(code: str, given: ScriptInput | None, variables: Mapping[str, str], seconds: float) -> ScriptReport:
    """Run *code*, which sees the response *given* and *variables*. Raises JudgementError at a limit."""
    if len(code) > MAX_SCRIPT:
        raise JudgementError(f"the script has {len(code)} characters, more than {MAX_SCRIPT}")
    fresh = CONTEXTS.take()
    fresh.context.set_time_limit(seconds)
    try:
        report = fresh.start(code, _input(given, variables), None if given is None else given.body)
        if not _settled(fresh):
            raise _out_of_time(seconds)
        text = report()
    except _quickjs.JSException as error:
        raise _limit_hit(str(error), seconds) from error
    return _decoded(text)


def _settled(fresh: FreshContext) -> bool:
    """Run what the script has left for later, and give it the digests that it asks for; False if it goes on for ever."""
    digester = Digester()
    for _ in range(MAX_SCRIPT_JOBS):
        if fresh.context.execute_pending_job():
            continue
        answers = digester.answers(fresh.digests())
        if answers is None:
            return True
        fresh.digests(answers)
    return False


def _input(given: ScriptInput | None, variables: Mapping[str, str]) -> str:
    response = None
    if given is not None:
        response = {"statusCode": given.status, "headers": dict(given.headers), "withheld": given.withheld}
    return json.dumps({"response": response, "variables": dict(variables), "limits": _LIMITS})


def _fresh() -> FreshContext:
    context = _quickjs.Context()
    context.set_memory_limit(SCRIPT_MEMORY)
    context.set_max_stack_size(SCRIPT_STACK)
    chai, web, dd = library.sources()
    context.eval(chai)
    return FreshContext(context=context, digests=context.eval(web), start=context.eval(dd))


def _decoded(text: Any) -> ScriptReport:
    try:
        report = msgspec.json.decode(text, type=ScriptReport)
    except (msgspec.DecodeError, TypeError, UnicodeEncodeError) as error:
        raise JudgementError("the script has left its engine unable to report") from error
    if report.failure == _OUT_OF_MEMORY:
        raise JudgementError(_TOO_MUCH_MEMORY)
    return report


def _limit_hit(message: str, seconds: float) -> JudgementError:
    """The engine says in its message only which limit it was."""
    return _out_of_time(seconds) if "interrupted" in message else JudgementError(_TOO_MUCH_MEMORY)


def _out_of_time(seconds: float) -> JudgementError:
    return JudgementError(f"the script was not done within {round(seconds * 1000)} ms", FailureCode.TIMEOUT)
