"""Judges `javascript` assertions: they hold when the script ends without throwing. Its log and variables go with the result.

A script that runs before the request is judged the same way, on an observation without a response.
"""

from __future__ import annotations

from msgspec.structs import replace

from worker.apitest.assertion import JavaScriptAssertion
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.result import AssertionResult, ScriptVariable
from worker.checks.describe import result_of
from worker.checks.evidence import Evidence
from worker.checks.javascript.engine import ScriptInput, ScriptReport, run
from worker.checks.judgement import JudgementError

_NEVER_ENDED = "the script waits for something that never comes"


def judge_script(assertion: JavaScriptAssertion, evidence: Evidence) -> AssertionResult:
    """Raises JudgementError, also the one for which a body that the script has asked for could not be read."""
    given, unread = _given(evidence)
    report = run(assertion.code, given, dict(assertion.variables), evidence.limits.pattern_seconds)
    if report.withheld and report.failure is not None and unread is not None:
        raise unread
    failure = report.failure if report.ended else _NEVER_ENDED
    result = result_of(assertion, valid=failure is None, reason=failure)
    return replace(result, log=report.log or None, variables=_variables(report))


def _given(evidence: Evidence) -> tuple[ScriptInput | None, JudgementError | None]:
    """The response as the script sees it, and the error for which its body is missing there."""
    response = evidence.observation.response
    if not isinstance(response, HTTPResponse):
        return None, None
    headers = {name: ", ".join(values) for name, values in evidence.headers().items()}
    try:
        return ScriptInput(status=response.status, headers=headers, body=evidence.text()), None
    except JudgementError as error:
        return ScriptInput(status=response.status, headers=headers, body=None, withheld=error.reason), error


def _variables(report: ScriptReport) -> tuple[ScriptVariable, ...]:
    return tuple(
        ScriptVariable(name=name, value=each.value, secure=each.secure) for name, each in report.variables.items()
    )
