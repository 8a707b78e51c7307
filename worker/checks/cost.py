"""Assertions that may be judged in place, on the event loop: their cost is bounded by a small input, and none needs an engine.

The input is what the target sent and what the author wrote: both are looked at. Patterns are never judged in place: neither
compiling nor matching one is bounded by its length. Nothing is decompressed here either.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, Never

from worker.apitest.assertion import Assertion, BodyHashAssertion, Comparison, JSONPathAssertion, Scalar, Subject
from worker.apitest.extraction import Extraction, ExtractionSource, Parser
from worker.apitest.observation import Observation
from worker.apitest.responses.dns import DNSAnswers
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.result import AssertionResult
from worker.checks import extraction
from worker.checks.describe import unjudged
from worker.checks.evidence import Evidence
from worker.checks.judge import judge_found, judge_hash
from worker.checks.judgement import JudgementError
from worker.checks.limits import BOUNDED_BODY
from worker.checks.member_path import member_path, walk
from worker.checks.operators import PATTERNS
from worker.checks.preview import is_plain
from worker.checks.protocols.ssl import property_of
from worker.checks.protocols.table import JUDGES
from worker.checks.values import text_of

EACH: Final = 512
"""Bytes that stand for what every assertion costs, however small its input: making its result takes some microseconds."""


def cost_of(assertion: Assertion, evidence: Evidence) -> float:
    """Bytes that judging *assertion* in place looks at. One run may spend `BOUNDED_WORK`; infinite: never in place."""
    match assertion:
        case Comparison(operator=operator, subject=subject, target=target):
            if operator in PATTERNS:
                return inf
            if subject is Subject.BODY:
                return EACH + _small_body(evidence) + _size(target)
            return EACH + _cost_of_values(_values(assertion, evidence), _size(target))
        case BodyHashAssertion(target=target):
            return EACH + _small_body(evidence) + _size(target)
        case JSONPathAssertion(operator=operator, path=path, target=target):
            if operator in PATTERNS or member_path(path) is None:
                return inf
            return EACH + _small_body(evidence) + _size(target)
        case Extraction(parser=parser, expression=path, source=source, field=field):
            if parser is Parser.RAW or (parser is Parser.JSON_PATH and member_path(path) is not None):
                return EACH + (
                    _small_body(evidence) if source is ExtractionSource.BODY else _size_of_header(field, evidence)
                )
            return inf
        case _:
            return inf


def evaluate_bounded(assertion: Assertion, evidence: Evidence) -> AssertionResult:
    """Judge an assertion for which `cost_of` is finite; never raises."""
    try:
        match assertion:
            case Comparison():
                return JUDGES[assertion.subject](assertion, evidence, _no_pattern)
            case BodyHashAssertion():
                return judge_hash(assertion, evidence)
            case JSONPathAssertion(path=path) if (steps := member_path(path)) is not None:
                return judge_found(assertion, walk(steps, evidence.json()), _no_pattern)
            case Extraction(parser=Parser.RAW):
                return extraction.result_with(assertion, extraction.source_text(assertion, evidence))
            case Extraction(expression=path) if (steps := member_path(path)) is not None:
                found = walk(steps, extraction.source_json(assertion, evidence))
                return extraction.result_with(assertion, extraction.first(assertion, found))
            case _:
                return unjudged(assertion, "it cannot be judged in place")
    except JudgementError as error:
        return unjudged(assertion, error.reason, error.code)


def _values(assertion: Comparison, evidence: Evidence) -> Sequence[str]:
    """Texts of the target's that *assertion* is compared with, one by one; the others have single small values."""
    response = evidence.observation.response
    if assertion.subject is Subject.HEADER and isinstance(response, HTTPResponse):
        values = evidence.headers().get((assertion.property or "").strip().lower(), [])
        return values if len(values) < 2 else [", ".join(values), *values]
    if isinstance(response, DNSAnswers):
        return [record for answer in response.answers for record in answer.records]
    if assertion.subject is Subject.PROPERTY and isinstance(response, SSLResponse):
        return [text_of(property_of(response, assertion.property or ""))]
    return ()


def _size_of_header(name: str, evidence: Evidence) -> int:
    """Bytes of the header's values; a status has three digits."""
    if not isinstance(evidence.observation.response, HTTPResponse):
        return 0
    return sum(map(len, evidence.headers().get(name.strip().lower(), ())))


def _cost_of_values(values: Sequence[str], size: int) -> int:
    return sum(map(len, values)) + max(1, len(values)) * size


def _size(target: Scalar) -> int:
    return len(target) if isinstance(target, str) else 0


def _small_body(evidence: Evidence) -> float:
    return evidence.once("small body", lambda: _size_if_small(evidence.observation))


def _size_if_small(observation: Observation) -> float:
    response = observation.response
    if not isinstance(response, HTTPResponse):
        return 0
    return len(response.body) if len(response.body) <= BOUNDED_BODY and is_plain(response) else inf


def _no_pattern(_pattern: str, _text: str) -> Never:
    raise JudgementError("a pattern is not judged in place")
