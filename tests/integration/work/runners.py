"""A runner with a real door and real evaluators, and what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from tests.support.definitions import STATUS, api_test
from tests.support.observed import LIMITS as DEFAULTS
from tests.support.policy import policy_of
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.net.trust import TrustStore
from worker.probers.limits import ProbeLimits
from worker.telemetry.vitals import Vitals
from worker.work.runner import RunLimits, Runner

LIMITS = RunLimits(
    max_timeout=5.0,
    probes=ProbeLimits(http=HTTPLimits(max_body_bytes=100_000)),
    checks=replace(DEFAULTS, max_body_bytes=50_000),
)


@asynccontextmanager
async def runner(limits: RunLimits = LIMITS) -> AsyncIterator[Runner]:
    clock = SystemClock()
    door = Door(policy=policy_of(allow=["127.0.0.1/32"]), resolver=Resolver(()), trust=TrustStore())
    async with Evaluators(1, LIMITS.checks, clock) as evaluators:
        yield Runner(
            door=door,
            evaluators=evaluators,
            clock=clock,
            limits=limits,
            vitals=Vitals(clock),
            worker_id="worker",
            version="1",
        )


def definition(url: str, *assertions: dict[str, Any], **request: Any) -> dict[str, Any]:
    return api_test("http", *(assertions or [STATUS]), url=url, **request) | {"public_id": "abc-def-ghi"}
