"""An assertion as its result names it: type, operator, expected text, where it looked. The same however it ended."""

from __future__ import annotations

from typing import Any, assert_never

from worker.apitest.assertion import (
    Assertion,
    BodyHashAssertion,
    Comparison,
    JavaScriptAssertion,
    JSONPathAssertion,
    JSONSchemaAssertion,
    UnknownAssertion,
    XPathAssertion,
)
from worker.apitest.extraction import Extraction
from worker.apitest.result import AssertionResult
from worker.checks.limits import MAX_PATH, SHOWN
from worker.checks.values import JSON, shown, text_of
from worker.outcome.failure import FailureCode
from worker.text import cut

_LONGEST_REASON = 1_000
"""Characters of an error message, whatever a library put into it."""


def result_of(
    assertion: Assertion,
    *,
    valid: bool,
    actual: JSON = None,
    reason: str | None = None,
    code: FailureCode | None = None,
) -> AssertionResult:
    """The result of *assertion*. *actual* and *reason* are cut here; *code* names a limit that kept it from being judged."""
    seen = shown(actual)
    reason = None if reason is None else cut(reason, _LONGEST_REASON)
    operator_name: str | None
    path: str | None = None
    inner: str | None = None
    match assertion:
        case Comparison(subject=subject, operator=operator, target=target, property=asked):
            return AssertionResult(
                type=subject.value,
                operator=operator.value,
                expected=cut(text_of(target), SHOWN),
                actual=seen,
                valid=valid,
                property=None if asked is None else cut(asked, SHOWN),
                error_message=reason,
                code=code,
            )
        case JSONPathAssertion() | XPathAssertion():
            kind, expected = "body", text_of(assertion.target)
            operator_name = "validatesJSONPath" if isinstance(assertion, JSONPathAssertion) else "validatesXPath"
            path, inner = assertion.path, assertion.operator.value
        case _:
            kind, operator_name, expected = _plain(assertion)
    return AssertionResult(
        type=kind,
        operator=operator_name,
        expected=cut(expected, SHOWN),
        actual=seen,
        valid=valid,
        target_path=None if path is None else cut(path, MAX_PATH),
        target_path_operator=inner,
        error_message=reason,
        code=code,
    )


def unjudged(assertion: Assertion, reason: str, code: FailureCode | None = None) -> AssertionResult:
    """The result of an assertion that could not be judged: it does not hold, for *reason*."""
    return result_of(assertion, valid=False, reason=reason, code=code)


def target_of(assertion: Assertion) -> JSON:
    """The `target` member as the definition has it, texts cut: composed ones stay composed."""
    members: dict[str, Any]
    match assertion:
        case Comparison(target=target) | BodyHashAssertion(target=target):
            return shown(target)
        case JSONPathAssertion():
            members = {
                "jsonPath": assertion.path,
                "operator": assertion.operator.value,
                "targetValue": assertion.target,
                "elementsOperator": assertion.elements.value,
            }
        case XPathAssertion():
            members = {
                "xPath": assertion.path,
                "operator": assertion.operator.value,
                "targetValue": assertion.target,
            }
        case JSONSchemaAssertion():
            members = {"jsonSchema": assertion.schema, "metaSchema": assertion.meta_schema}
        case JavaScriptAssertion() | UnknownAssertion() | Extraction():
            return None
        case _:
            assert_never(assertion)
    return {name: cut(value, SHOWN) if isinstance(value, str) else value for name, value in members.items()}


def _plain(
    assertion: BodyHashAssertion | JSONSchemaAssertion | JavaScriptAssertion | UnknownAssertion | Extraction,
) -> tuple[str, str | None, str]:
    """Type, operator and expected text."""
    match assertion:
        case BodyHashAssertion(algorithm=algorithm, target=target):
            return "bodyHash", algorithm, target
        case JSONSchemaAssertion(schema=schema):
            return "body", "validatesJSONSchema", schema
        case JavaScriptAssertion(code=code):
            return "javascript", None, code
        case UnknownAssertion(type=kind, operator=operator):
            return kind, operator, ""
        case Extraction(source=source, parser=parser):
            return source.value, parser.value, ""
        case _:
            assert_never(assertion)
