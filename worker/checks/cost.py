"""Assertions that may be judged in place, on the event loop: their cost is bounded by a small input, and none needs an engine.

Patterns never are: neither compiling nor matching one is bounded by its length. Nothing is decompressed here either.
"""

from __future__ import annotations

from typing import Never

from worker.apitest.assertion import Assertion, BodyHashAssertion, Comparison, JSONPathAssertion, Subject
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPResponse
from worker.apitest.result import AssertionResult
from worker.checks import charset
from worker.checks.describe import unjudged
from worker.checks.evidence import Evidence
from worker.checks.judge import judge_found, judge_hash
from worker.checks.judgement import JudgementError
from worker.checks.limits import BOUNDED_BODY
from worker.checks.member_path import member_path, walk
from worker.checks.operators import PATTERNS
from worker.checks.protocols.table import JUDGES


def is_bounded(assertion: Assertion, evidence: Evidence) -> bool:
    """True: `evaluate_bounded` may judge it in place. False: it belongs in a process that can be killed."""
    match assertion:
        case Comparison(operator=operator, subject=subject):
            return operator not in PATTERNS and (subject is not Subject.BODY or _has_small_body(evidence))
        case BodyHashAssertion():
            return _has_small_body(evidence)
        case JSONPathAssertion(operator=operator, path=path):
            return operator not in PATTERNS and member_path(path) is not None and _has_small_body(evidence)
        case _:
            return False


def evaluate_bounded(assertion: Assertion, evidence: Evidence) -> AssertionResult:
    """Judge an assertion for which `is_bounded` is true; never raises."""
    try:
        match assertion:
            case Comparison():
                return JUDGES[assertion.subject](assertion, evidence, _no_pattern)
            case BodyHashAssertion():
                return judge_hash(assertion, evidence)
            case JSONPathAssertion(path=path) if (steps := member_path(path)) is not None:
                return judge_found(assertion, walk(steps, evidence.json()), _no_pattern)
            case _:
                return unjudged(assertion, "it cannot be judged in place")
    except JudgementError as error:
        return unjudged(assertion, error.reason, error.code)


def _has_small_body(evidence: Evidence) -> bool:
    return evidence.once("small body", lambda: _is_small(evidence.observation))


def _is_small(observation: Observation) -> bool:
    response = observation.response
    if not isinstance(response, HTTPResponse):
        return True
    if response.content_encodings or len(response.body) > BOUNDED_BODY:
        return False
    return all(charset.is_built_in(value) for name, value in response.headers if name.lower() == "content-type")


def _no_pattern(_pattern: str, _text: str) -> Never:
    raise JudgementError("a pattern is not judged in place")
