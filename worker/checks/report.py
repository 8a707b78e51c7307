"""What of a response goes into the result: status, headers, redirects, records, and as much of the body as somebody needs.

The body is kept, up to 64 KiB, only when an assertion on it failed; 50 characters when all of them hold; nothing without such
assertions or when the test says so. In place this costs little whatever came: only as much is decompressed as is kept.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, assert_never

import orjson

from worker.apitest.definition import APITest
from worker.apitest.observation import DNSAnswers, HTTPResponse, Observation, TCPConnection
from worker.apitest.result import Verdict
from worker.checks import charset, content
from worker.checks.judgement import JudgementError

MAX_BODY = 64 * 1024
"""Bytes of a body that a result keeps."""
MAX_ESCAPED = MAX_BODY * 3 // 2
"""Bytes of it as JSON, where each control character takes six: ordinary text stays well below."""
MAX_SNIPPET = 50
"""Characters of a body that a result keeps when every assertion on it holds."""


def response_as_json(test: APITest, observation: Observation, verdict: Verdict) -> dict[str, Any] | None:
    """The `response` object of a result, or None where there was none."""
    match observation.response:
        case None:
            return None
        case HTTPResponse() as response:
            return _http(response) | _body(test, response, verdict)
        case TCPConnection(outcome=outcome):
            return {"connection_outcome": outcome}
        case DNSAnswers(answers=answers):
            return {
                "records": [
                    {
                        "type": answer.record_type,
                        "values": list(answer.records),
                        "rcode": answer.rcode,
                        "flags": list(answer.flags),
                        "ttl": answer.ttl,
                    }
                    for answer in answers
                ]
            }
        case _:
            assert_never(observation.response)


def _http(response: HTTPResponse) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for name, value in response.headers:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    hops = response.hops
    return {
        "status_code": response.status,
        "http_version": response.http_version,
        "headers": headers,
        "redirects": [{"status_code": hop.status, "location": after.url} for hop, after in pairwise(hops)],
        "body_size": len(response.body),
    }


def _body(test: APITest, response: HTTPResponse, verdict: Verdict) -> dict[str, Any]:
    judged = [result.valid for result in verdict.assertions if result.type in ("body", "bodyHash")]
    if not judged or not test.save_response_body:
        return {}
    try:
        data, is_cut = content.preview(response.body, response.content_encodings, MAX_BODY)
    except JudgementError:
        return {}
    types = [value for name, value in response.headers if name.lower() == "content-type"]
    text = charset.decode(data, ", ".join(types))
    if all(judged):
        is_cut = is_cut or len(text) > MAX_SNIPPET
        text = text[:MAX_SNIPPET]
    while (escaped := len(orjson.dumps(text))) > MAX_ESCAPED:
        is_cut = True
        text = text[: len(text) * MAX_ESCAPED // escaped]
    return {"body": text, "is_body_truncated": is_cut}
