"""An HTTP response judged and reported: status, headers, redirects, and as much of the body as somebody needs.

The body is kept, up to 64 KiB, only when an assertion on it failed; 50 characters when all of them hold; nothing without such
assertions or when the test says so. Nothing is decompressed here: that comes with the verdict.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson

from worker.apitest.assertion import Comparison, Operator, Subject
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.result import AssertionResult, Verdict
from worker.checks import content
from worker.checks.describe import result_of, unjudged
from worker.checks.evidence import Evidence
from worker.checks.judge import held, judge_response_time, judge_value, settle
from worker.checks.limits import MAX_CODINGS, MAX_KEPT_ESCAPED, SNIPPET
from worker.checks.operators import NEGATIVE, Search, spoken
from worker.checks.preview import is_plain, preview_of
from worker.checks.protocols.protocol import ProtocolChecks
from worker.text import cut

if TYPE_CHECKING:
    from worker.apitest.definition import APITest


def report(test: APITest, response: HTTPResponse, verdict: Verdict) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for name, value in response.headers:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    hops = response.hops
    handshake, unknown = response.handshake, content.unknown(response.content_encodings)
    return {
        "status_code": response.status,
        "http_version": response.http_version,
        **({} if handshake is None else {"handshake": handshake.as_json()}),
        **({"unknown_content_encodings": [cut(name, SNIPPET) for name in unknown[:MAX_CODINGS]]} if unknown else {}),
        "headers": headers,
        "redirects": [{"status_code": hop.status, "location": after.url} for hop, after in pairwise(hops)],
        "body_size": len(response.body),
    } | _kept_body(test, response, verdict)


def _kept_body(test: APITest, response: HTTPResponse, verdict: Verdict) -> dict[str, Any]:
    judged = [result.valid for result in verdict.assertions if result.type in ("body", "bodyHash", "javascript")]
    if not judged or not test.save_response_body:
        return {}
    preview = preview_of(response) if is_plain(response) else verdict.preview
    if preview is None:
        return {}
    text, is_cut = preview.text, preview.is_cut
    if all(judged):
        is_cut = is_cut or len(text) > SNIPPET
        text = text[:SNIPPET]
    while (escaped := len(orjson.dumps(text))) > MAX_KEPT_ESCAPED:
        is_cut = True
        text = text[: len(text) * MAX_KEPT_ESCAPED // escaped]
    return {"body": text, "is_body_truncated": is_cut}


def _judge_status(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    return judge_value(assertion, "the status", evidence.http().status, search)


def _judge_header(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    """A repeated header holds by any of its values or by all of them joined; a negative operator needs all to pass."""
    name = assertion.property or ""
    values = evidence.headers().get(name.strip().lower())
    subject = f"header {name}"
    if assertion.operator is Operator.DOES_NOT_EXIST:
        actual = None if values is None else ", ".join(values)
        reason = None if values is None else f"{subject} is there: {spoken(actual)}"
        return result_of(assertion, valid=values is None, actual=actual, reason=reason)
    if values is None:
        return unjudged(assertion, f"there is no header {name}")
    if len(values) == 1:
        return judge_value(assertion, subject, values[0], search)
    joined = ", ".join(values)
    judged = [judge_value(assertion, subject, value, search) for value in (joined, *values)]
    decisive = assertion.operator not in NEGATIVE
    return next((each for each in judged if each.valid is decisive), judged[0])


def _judge_body(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    text = evidence.text()
    satisfied = held(assertion, text, search)
    if satisfied is True and len(text) > SNIPPET:
        return result_of(assertion, valid=True, actual=text[: SNIPPET - 1] + "…")
    return settle(assertion, "the body", text, satisfied)


CHECKS = ProtocolChecks(
    response=HTTPResponse,
    judges={
        Subject.BODY: _judge_body,
        Subject.HEADER: _judge_header,
        Subject.RESPONSE_TIME: judge_response_time,
        Subject.STATUS_CODE: _judge_status,
    },
    report=report,
)
