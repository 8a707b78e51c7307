"""The evidence that a run's assertions look at: the observation, and its body decoded, as text and as JSON, each made once.

An attempt that failed is remembered too, so that twenty assertions on a broken body cost one decoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.checks import charset, content, json_text
from worker.checks.judgement import JudgementError
from worker.checks.values import JSON

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionLimits:
    """*max_body_bytes* is `maxBodySizeIfProcessed`, after decompression; *pattern_seconds* is `regexTimeout`, in CPU time."""

    max_body_bytes: int
    pattern_seconds: float


class Evidence:
    """One run's evidence; belongs to one thread."""

    __slots__ = ("_made", "limits", "observation")

    def __init__(self, observation: Observation, limits: AssertionLimits) -> None:
        self.observation = observation
        self.limits = limits
        self._made: dict[str, object] = {}

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what *make* returned the first time that *name* was asked for, or raise the JudgementError that it raised."""
        if name not in self._made:
            try:
                self._made[name] = make()
            except JudgementError as error:
                # Not the error itself: its traceback would keep a body, decoded up to its bound, until a garbage collection.
                self._made[name] = JudgementError(error.reason, error.code)
        made = self._made[name]
        if isinstance(made, JudgementError):
            raise JudgementError(made.reason, made.code)
        return cast("T", made)

    def http(self) -> HTTPResponse:
        response = self.observation.response
        if not isinstance(response, HTTPResponse):
            raise JudgementError("there is no HTTP response to look at")
        return response

    def headers(self) -> dict[str, list[str]]:
        """Values by lower-case name, in the order of arrival."""
        return self.once("headers", self._headers)

    def body(self) -> bytes:
        """The body as its sender meant it: content codings undone. Raises JudgementError, BODY_TOO_LARGE among others."""
        return self.once("body", self._body)

    def text(self) -> str:
        return self.once("text", lambda: charset.decode(self.body(), self.content_type()))

    def json(self) -> JSON:
        return self.once("json", lambda: json_text.parse(self.text()))

    def content_type(self) -> str:
        return ", ".join(self.headers().get("content-type", ()))

    def _headers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in self.http().headers:
            found.setdefault(name.lower(), []).append(value)
        return found

    def _body(self) -> bytes:
        response, cap = self.http(), self.limits.max_body_bytes
        if response.content_encodings:
            return content.decode(response.body, response.content_encodings, cap)
        if len(response.body) > cap:
            raise content.too_large(cap)
        return response.body
