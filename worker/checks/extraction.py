"""The source of an extraction's value and the result that holds the value. No engine: patterns and paths are `evaluate`'s.

A value is text: that of the source, of what a pattern's first group finds, or of what a path leads to first, as assertions write
it. What is not there, or is too large to hand on, is the reason of a result that does not hold.
"""

from __future__ import annotations

from msgspec.structs import replace

from worker.apitest.extraction import MAX_VALUE_BYTES, Extraction, ExtractionSource
from worker.apitest.result import AssertionResult
from worker.checks import json_text
from worker.checks.describe import result_of
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.operators import spoken
from worker.checks.values import JSON, text_of


def source_text(extraction: Extraction, evidence: Evidence) -> str:
    """The text of the body, of a header's values joined, or of the status. Raises JudgementError."""
    match extraction.source:
        case ExtractionSource.BODY:
            return evidence.text()
        case ExtractionSource.STATUS_CODE:
            return str(evidence.http().status)
        case ExtractionSource.HEADER:
            values = evidence.headers().get(extraction.field.strip().lower())
            if values is None:
                raise JudgementError(f"there is no header {extraction.field}")
            return ", ".join(values)


def source_json(extraction: Extraction, evidence: Evidence) -> JSON:
    """The JSON value of that text. Raises JudgementError."""
    if extraction.source is ExtractionSource.BODY:
        return evidence.json()
    return json_text.parse(source_text(extraction, evidence))


def result_with(extraction: Extraction, value: str) -> AssertionResult:
    """The result that holds *value*, whole, as its `actual`. Raises JudgementError for one that is too large."""
    if (size := len(value.encode("utf-8", "replace"))) > MAX_VALUE_BYTES:
        raise JudgementError(f"the value has {size} bytes, more than the {MAX_VALUE_BYTES} of a variable")
    return replace(result_of(extraction, valid=True), actual=value)


def first(extraction: Extraction, values: list[JSON]) -> str:
    """The text of the first of *values*. Raises JudgementError where there is none."""
    if not values:
        raise JudgementError(f"{spoken(extraction.expression)} finds nothing")
    return text_of(values[0])
