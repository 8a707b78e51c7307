"""Judges everything that needs no engine but the one for patterns, which is handed in: status, headers, body, hash, response
time, connection, records, and what a path found.

What is not there satisfies nothing: a missing header, an empty record set and a path without matches fail every operator but
`doesNotExist` and `isUndefined`, the negative ones included, so that a vanished value is never a silent success.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias, assert_never

from worker.apitest.assertion import (
    BodyHashAssertion,
    Comparison,
    Elements,
    JSONPathAssertion,
    Operator,
    Subject,
    XPathAssertion,
)
from worker.apitest.observation import TCPConnection
from worker.apitest.result import AssertionResult
from worker.checks.describe import outcome, unjudged
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.operators import NEGATIVE, Search, complaint, holds, spoken
from worker.checks.records import judge_records
from worker.checks.values import JSON

Compared: TypeAlias = Comparison | JSONPathAssertion | XPathAssertion
"""What has an operator and a target."""
Held: TypeAlias = bool | JudgementError
"""Whether a value satisfies an assertion, or why that cannot be told."""

_SNIPPET = 50
"""Characters of a whole body that a result shows beside an assertion that holds."""


def judge_comparison(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    """Raises JudgementError."""
    match assertion.subject:
        case Subject.STATUS_CODE:
            return _judge(assertion, "the status", evidence.http().status, search)
        case Subject.HEADER:
            return _header(assertion, evidence, search)
        case Subject.BODY:
            return _body(assertion, evidence, search)
        case Subject.RESPONSE_TIME:
            return _response_time(assertion, evidence, search)
        case Subject.CONNECTION:
            response = evidence.observation.response
            if not isinstance(response, TCPConnection):
                raise JudgementError("no connection was attempted")
            return _judge(assertion, "the connection", response.outcome, search)
        case Subject.RECORD_EVERY | Subject.RECORD_SOME:
            return judge_records(assertion, evidence, search)
        case Subject.NETWORK_HOP:
            raise JudgementError("network hops are not there yet")
        case _:
            assert_never(assertion.subject)


def judge_hash(assertion: BodyHashAssertion, evidence: Evidence) -> AssertionResult:
    """Over the body's bytes without their content coding. Letter case does not matter. Raises JudgementError."""
    digest = hashlib.new(assertion.algorithm, evidence.body(), usedforsecurity=False).hexdigest()
    valid = digest == assertion.target.strip().lower()
    reason = f"the body's {assertion.algorithm} is {digest}, not {spoken(assertion.target)}"
    return outcome(assertion, valid=valid, actual=digest, reason=None if valid else reason)


def judge_found(assertion: JSONPathAssertion | XPathAssertion, found: list[JSON], search: Search) -> AssertionResult:
    """*found* is what the path led to, in document order. Raises JudgementError."""
    elements = assertion.elements if isinstance(assertion, JSONPathAssertion) else Elements.FIRST
    where = spoken(assertion.path).strip("'")
    if assertion.operator is Operator.IS_UNDEFINED:
        reason = f"{where} is there" if found else None
        return outcome(assertion, valid=not found, actual=found[0] if found else None, reason=reason)
    if elements is Elements.SERIALIZATION:
        return _judge(assertion, f"what {where} finds, as JSON,", found, search)
    if not found:
        return unjudged(assertion, f"{where} finds nothing")
    match elements:
        case Elements.FIRST:
            return _judge(assertion, f"the value at {where}", found[0], search)
        case Elements.EVERY:
            return _every(assertion, where, found, search)
        case Elements.AT_LEAST_ONE:
            return _at_least_one(assertion, where, found, search)
        case _:
            assert_never(elements)


def _judge(assertion: Compared, subject: str, actual: JSON, search: Search) -> AssertionResult:
    """One value against the operator and target."""
    return _settle(assertion, subject, actual, _held(assertion, actual, search))


def _held(assertion: Compared, actual: JSON, search: Search) -> Held:
    try:
        return holds(assertion.operator, actual, assertion.target, search)
    except JudgementError as error:
        return error


def _settle(assertion: Compared, subject: str, actual: JSON, held: Held) -> AssertionResult:
    if isinstance(held, JudgementError):
        return outcome(assertion, valid=False, actual=actual, reason=f"{subject}: {held.reason}", code=held.code)
    reason = None if held else complaint(subject, assertion.operator, actual, assertion.target)
    return outcome(assertion, valid=held, actual=actual, reason=reason)


def _every(assertion: Compared, where: str, found: list[JSON], search: Search) -> AssertionResult:
    for index, value in enumerate(found):
        held = _held(assertion, value, search)
        if held is not True:
            return _settle(assertion, f"value {index + 1} of {len(found)} at {where}", value, held)
    return outcome(assertion, valid=True, actual=found)


def _at_least_one(assertion: Compared, where: str, found: list[JSON], search: Search) -> AssertionResult:
    """A value that cannot be compared is passed over, a limit that was hit is not."""
    for value in found:
        held = _held(assertion, value, search)
        if held is True or (isinstance(held, JudgementError) and held.code is not None):
            return _settle(assertion, f"the value at {where}", value, held)
    first = _settle(assertion, f"the value at {where}", found[0], _held(assertion, found[0], search))
    reason = f"none of {len(found)}: {first.error_message}" if len(found) > 1 else first.error_message
    return outcome(assertion, valid=False, actual=found, reason=reason)


def _header(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    """A repeated header holds by any of its values or by all of them joined; a negative operator needs all to pass."""
    name = assertion.property or ""
    values = evidence.headers().get(name.strip().lower())
    subject = f"header {name}"
    if assertion.operator is Operator.DOES_NOT_EXIST:
        actual = None if values is None else ", ".join(values)
        reason = None if values is None else f"{subject} is there: {spoken(actual)}"
        return outcome(assertion, valid=values is None, actual=actual, reason=reason)
    if values is None:
        return unjudged(assertion, f"there is no header {name}")
    if len(values) == 1:
        return _judge(assertion, subject, values[0], search)
    joined = ", ".join(values)
    judged = [_judge(assertion, subject, value, search) for value in (joined, *values)]
    decisive = assertion.operator not in NEGATIVE
    return next((each for each in judged if each.valid is decisive), judged[0])


def _body(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    text = evidence.text()
    held = _held(assertion, text, search)
    if held is True and len(text) > _SNIPPET:
        return outcome(assertion, valid=True, actual=text[: _SNIPPET - 1] + "…")
    return _settle(assertion, "the body", text, held)


def _response_time(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    timings, subject = evidence.observation.timings, "the response time in ms"
    if assertion.without_dns:
        timings, subject = timings.without("dns"), "the response time in ms without its look-up"
    return _judge(assertion, subject, timings.total_tenths / 10, search)
