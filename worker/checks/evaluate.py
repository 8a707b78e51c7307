"""Judges any assertion. Belongs in a process that can be killed: engines run in here whose time and memory nothing bounds.

Importing this module has no side effects but loading the engines.
"""

from __future__ import annotations

from typing import assert_never

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
from worker.apitest.extraction import Extraction, Parser
from worker.apitest.result import AssertionResult
from worker.checks import extraction, pattern
from worker.checks.describe import result_of, unjudged
from worker.checks.evidence import Evidence
from worker.checks.jsonpath import find
from worker.checks.judge import judge_found, judge_hash
from worker.checks.judgement import JudgementError
from worker.checks.protocols.table import JUDGES
from worker.checks.schema import violation
from worker.checks.script import judge_script
from worker.checks.xpath import select


def evaluate(assertion: Assertion, evidence: Evidence) -> AssertionResult:
    """Judge *assertion*; whatever keeps it from being judged is its result too."""

    def search(source: str, text: str) -> bool:
        return pattern.search(source, text, evidence.limits.pattern_seconds)

    try:
        match assertion:
            case Comparison():
                return JUDGES[assertion.subject](assertion, evidence, search)
            case BodyHashAssertion():
                return judge_hash(assertion, evidence)
            case JSONPathAssertion(path=path):
                return judge_found(assertion, find(path, evidence.json()), search)
            case XPathAssertion(path=path):
                return judge_found(assertion, select(path, evidence), search)
            case JSONSchemaAssertion(schema=schema, meta_schema=dialect):
                reason = violation(schema, dialect, evidence.json())
                return result_of(assertion, valid=reason is None, reason=reason)
            case JavaScriptAssertion():
                return judge_script(assertion, evidence)
            case Extraction():
                return extraction.result_with(assertion, _extracted(assertion, evidence))
            case UnknownAssertion():
                return unjudged(assertion, "this assertion is not known")
            case _:
                assert_never(assertion)
    except JudgementError as error:
        return unjudged(assertion, error.reason, error.code)


def _extracted(asked: Extraction, evidence: Evidence) -> str:
    """The value that *asked* finds. Raises JudgementError."""
    match asked.parser:
        case Parser.RAW:
            return extraction.source_text(asked, evidence)
        case Parser.REGEX:
            text = extraction.source_text(asked, evidence)
            captured = pattern.capture(asked.expression, text, evidence.limits.pattern_seconds)
            return extraction.first(asked, [] if captured is None else [captured])
        case Parser.JSON_PATH:
            return extraction.first(asked, find(asked.expression, extraction.source_json(asked, evidence)))
        case Parser.XPATH:
            return extraction.first(asked, select(asked.expression, evidence))
