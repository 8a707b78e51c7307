"""Judges values, hashes, response times and what a path found, with no engine but the one for patterns, which is handed in.

`protocols` says which value of a response an assertion is about.

What is not there satisfies nothing: a missing header, an empty record set and a path without matches fail every operator but
`doesNotExist` and `isUndefined`, the negative ones included, so that a vanished value is never a silent success. Only
`everyElementMatches` holds where there is no element, as JavaScript's `every` does.
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
    XPathAssertion,
)
from worker.apitest.result import AssertionResult
from worker.checks.describe import result_of, unjudged
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.operators import Search, complaint, holds, spoken
from worker.checks.values import JSON

Compared: TypeAlias = Comparison | JSONPathAssertion | XPathAssertion
"""Assertions with an operator and a target."""
Held: TypeAlias = bool | JudgementError
"""True or false, or the error that says why that cannot be told."""


def judge_hash(assertion: BodyHashAssertion, evidence: Evidence) -> AssertionResult:
    """Over the body's bytes without their content coding. Letter case does not matter. Raises JudgementError."""
    digest = hashlib.new(assertion.algorithm, evidence.body(), usedforsecurity=False).hexdigest()
    valid = digest == assertion.target.strip().lower()
    reason = f"the body's {assertion.algorithm} is {digest}, not {spoken(assertion.target)}"
    return result_of(assertion, valid=valid, actual=digest, reason=None if valid else reason)


def judge_found(assertion: JSONPathAssertion | XPathAssertion, found: list[JSON], search: Search) -> AssertionResult:
    """*found* is what the path led to, in document order. Raises JudgementError."""
    elements = assertion.elements if isinstance(assertion, JSONPathAssertion) else Elements.FIRST
    where = spoken(assertion.path).strip("'")
    if assertion.operator is Operator.IS_UNDEFINED:
        reason = f"{where} is there" if found else None
        return result_of(assertion, valid=not found, actual=found[0] if found else None, reason=reason)
    if elements is Elements.SERIALIZATION:
        return judge_value(assertion, f"what {where} finds, as JSON,", found, search)
    if not found and elements is not Elements.EVERY:
        return unjudged(assertion, f"{where} finds nothing")
    match elements:
        case Elements.FIRST:
            return judge_value(assertion, f"the value at {where}", found[0], search)
        case Elements.EVERY:
            return _every(assertion, where, found, search)
        case Elements.AT_LEAST_ONE:
            return _at_least_one(assertion, where, found, search)
        case _:
            assert_never(elements)


def judge_value(assertion: Compared, subject: str, actual: JSON, search: Search) -> AssertionResult:
    """One value against the operator and target."""
    return settle(assertion, subject, actual, held(assertion, actual, search))


def held(assertion: Compared, actual: JSON, search: Search) -> Held:
    """True where *actual* satisfies the operator and target, or the error that says why that cannot be told."""
    try:
        return holds(assertion.operator, actual, assertion.target, search)
    except JudgementError as error:
        return error


def settle(assertion: Compared, subject: str, actual: JSON, satisfied: Held) -> AssertionResult:
    """The result of a value for which `held` returned *satisfied*. *subject* begins the sentence that says why not."""
    if isinstance(satisfied, JudgementError):
        return result_of(
            assertion, valid=False, actual=actual, reason=f"{subject}: {satisfied.reason}", code=satisfied.code
        )
    reason = None if satisfied else complaint(subject, assertion.operator, actual, assertion.target)
    return result_of(assertion, valid=satisfied, actual=actual, reason=reason)


def _every(assertion: Compared, where: str, found: list[JSON], search: Search) -> AssertionResult:
    for index, value in enumerate(found):
        satisfied = held(assertion, value, search)
        if satisfied is not True:
            return settle(assertion, f"value {index + 1} of {len(found)} at {where}", value, satisfied)
    return result_of(assertion, valid=True, actual=found)


def _at_least_one(assertion: Compared, where: str, found: list[JSON], search: Search) -> AssertionResult:
    """A value that cannot be compared is passed over, a limit that was hit is not."""
    for value in found:
        satisfied = held(assertion, value, search)
        if satisfied is True or (isinstance(satisfied, JudgementError) and satisfied.code is not None):
            return settle(assertion, f"the value at {where}", value, satisfied)
    first = settle(assertion, f"the value at {where}", found[0], held(assertion, found[0], search))
    reason = f"none of {len(found)}: {first.error_message}" if len(found) > 1 else first.error_message
    return result_of(assertion, valid=False, actual=found, reason=reason)


def judge_response_time(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    """Raises JudgementError."""
    timings, subject = evidence.observation.timings, "the response time in ms"
    if assertion.without_dns:
        timings, subject = timings.without("dns"), "the response time in ms without its look-up"
    return judge_value(assertion, subject, timings.total_tenths / 10, search)
