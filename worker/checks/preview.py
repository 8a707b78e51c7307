"""The beginning of a response's body as text, for the result: up to 64 KiB of it, whatever its size.

Undoing a content coding has no bound in work, however little of it is kept (a brotli metablock may hold a byte, or nothing), and
the first use of a rare charset reads its codec from disk. A body without either is plain, and cheap to look into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.apitest.assertion import (
    Assertion,
    BodyHashAssertion,
    Comparison,
    JavaScriptAssertion,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Subject,
    XPathAssertion,
)
from worker.apitest.observation import ProbeResponse
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.result import BodyPreview
from worker.checks import charset, content
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_KEPT_BODY

if TYPE_CHECKING:
    from worker.apitest.definition import APITest


def is_plain(response: ProbeResponse | None) -> bool:
    """True: `preview_of` may be called in place. False: it belongs in a process that can be killed."""
    if not isinstance(response, HTTPResponse):
        return True
    return not content.to_undo(response.content_encodings) and charset.is_built_in(
        response.body, _content_type(response)
    )


def needs_evaluator(test: APITest, response: ProbeResponse | None) -> bool:
    """True when the result may hold the body, and only an evaluator may look into it."""
    return test.save_response_body and not is_plain(response) and any(map(_is_about_body, test.assertions))


def _is_about_body(assertion: Assertion) -> bool:
    if isinstance(assertion, Comparison):
        return assertion.subject is Subject.BODY
    return isinstance(
        assertion, JSONPathAssertion | XPathAssertion | JSONSchemaAssertion | BodyHashAssertion | JavaScriptAssertion
    )


def preview_of(response: ProbeResponse | None) -> BodyPreview | None:
    """Decode the beginning of the body; None where there is none, or where it cannot be decoded."""
    if not isinstance(response, HTTPResponse):
        return None
    try:
        data, is_cut = content.preview(response.body, response.content_encodings, MAX_KEPT_BODY)
    except JudgementError:
        return None
    if is_cut:
        data = charset.without_cut_character(data)
    return BodyPreview(text=charset.decode(data, _content_type(response)), is_cut=is_cut)


def _content_type(response: HTTPResponse) -> str:
    return ", ".join([value for name, value in response.headers if name.lower() == "content-type"])
