"""The result of an assertion that was not judged to its end: not valid, with the reason in words."""

from __future__ import annotations

from worker.apitest.assertion import (
    Assertion,
    BodyHashAssertion,
    Comparison,
    JSONPathAssertion,
    JSONSchemaAssertion,
    XPathAssertion,
)
from worker.apitest.result import AssertionResult


def stopped(assertion: Assertion, reason: str) -> AssertionResult:
    """*assertion* as failed, without an actual value."""
    match assertion:
        case Comparison():
            return AssertionResult(
                type=assertion.subject.value,
                operator=assertion.operator.value,
                property=assertion.property,
                expected=str(assertion.target),
                actual=None,
                valid=False,
                error_message=reason,
            )
        case JSONPathAssertion() | XPathAssertion():
            return AssertionResult(
                type="body",
                operator="validatesJSONPath" if isinstance(assertion, JSONPathAssertion) else "validatesXPath",
                expected=str(assertion.target),
                target_path=assertion.path,
                target_path_operator=assertion.operator.value,
                actual=None,
                valid=False,
                error_message=reason,
            )
        case JSONSchemaAssertion():
            return AssertionResult(
                type="body",
                operator="validatesJSONSchema",
                expected=assertion.schema,
                actual=None,
                valid=False,
                error_message=reason,
            )
        case BodyHashAssertion():
            return AssertionResult(
                type="bodyHash",
                operator=assertion.algorithm,
                expected=assertion.target,
                actual=None,
                valid=False,
                error_message=reason,
            )
        case _:
            return AssertionResult(
                type="javascript", operator=None, expected="", actual=None, valid=False, error_message=reason
            )
