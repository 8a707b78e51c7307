"""Pools of evaluators that run deeds.py, and what they are given."""

from __future__ import annotations

from dataclasses import replace

from tests.support.observed import LIMITS
from worker.apitest.assertion import Comparison, Operator, Subject
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators
from worker.outcome.phases import Timings

PROGRAM = "tests.integration.evaluators.deeds"
LIMIT = 0.15


def deeds(*targets: str) -> tuple[Comparison, ...]:
    return tuple(Comparison(subject=Subject.BODY, operator=Operator.IS, target=target) for target in targets)


def seen(body: bytes = b"") -> Observation:
    response = HTTPResponse(url="http://a/", status=200, http_version="1.1", headers=(), body=body)
    return Observation(timings=Timings(), response=response)


def pool_of(size: int) -> Evaluators:
    return Evaluators(size, replace(LIMITS, pattern_seconds=LIMIT), SystemClock(), program=PROGRAM)
