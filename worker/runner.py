"""Runs one test once: probe, judge, and put both into a result. The same for a leased job and for `check` at the command line.

Nothing that a definition or a target does raises here: it ends as a result with its failure code. What raises is a bug of
the worker, and even that becomes an INTERNAL_ERROR result of the job, with the traceback in the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from worker.apitest.assertion import Assertion
from worker.apitest.definition import APITest
from worker.apitest.failure import Failure, FailureCode
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.phases import Timings
from worker.apitest.request import Request
from worker.apitest.result import AssertionResult, Result, Status, Verdict
from worker.checks.cost import evaluate_bounded, is_bounded
from worker.checks.evidence import Evidence, Limits
from worker.checks.report import response_as_json
from worker.checks.verdict import conclude
from worker.clock import Clock
from worker.errors import TestError
from worker.net.door import Door
from worker.probers import HTTPLimits, probe
from worker.sandbox.pool import Evaluators
from worker.vitals import Vitals
from worker.wire.messages import Job

log = logging.getLogger(__name__)

LONG_WAIT = 1.0
"""Seconds of waiting for an evaluator beyond which the run says that the worker was short of them."""
PARSED = 2048
"""Definitions kept parsed: a location's tests come again each period, unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """*max_timeout* in seconds caps every test's own limit; the others are passed to whom they concern."""

    max_timeout: float
    http: HTTPLimits
    checks: Limits


class Runner:
    """Everything that a run needs, built once. Runs are independent of one another and may go on at the same time."""

    def __init__(
        self,
        *,
        door: Door,
        evaluators: Evaluators,
        clock: Clock,
        limits: RunLimits,
        vitals: Vitals,
        worker_id: str,
        version: str,
    ) -> None:
        self._door = door
        self._evaluators = evaluators
        self._clock = clock
        self._limits = limits
        self._vitals = vitals
        self._worker_id = worker_id
        self._version = version
        self._parsed: dict[bytes, APITest | TestError] = {}

    async def carry_out(self, job: Job, received_ns: int) -> Result:
        """Run a leased job. *received_ns* is when its batch arrived; beyond `start_by` after that the run is missed."""
        leased_at = self._clock.now()
        scheduled_at = datetime.fromtimestamp(job.scheduled_at / 1000, UTC)
        waited_ms = (self._clock.monotonic_ns() - received_ns) / 1e6
        test = self._read(bytes(job.test))
        if isinstance(test, TestError):
            result = self._unreadable(test)
        elif waited_ms > job.start_by:
            result = _result_of(test, Status.MISSED)
        else:
            result = await self._guarded(test)
        return replace(result, scheduled_at=scheduled_at, leased_at=leased_at)

    async def run(self, test: APITest) -> Result:
        """Run *test* now."""
        started_at, started_ns = self._clock.now(), self._clock.monotonic_ns()
        if test.request is None or test.requires_update:
            observation = Observation(timings=Timings())
            verdict, waited = conclude(test, observation, ()), 0.0
        else:
            observation = await probe(self._bounded(test.request), self._door, self._clock, self._limits.http)
            verdict, waited = await self._judge(test, observation)
        return replace(
            _result_of(test, Status.PASSED if verdict.passed else Status.FAILED),
            timings=observation.timings,
            failure=verdict.failure,
            assertions=verdict.assertions,
            resolution=observation.resolution_as_json(),
            response=response_as_json(test, observation, verdict),
            started_at=started_at,
            finished_at=self._clock.now(),
            unhealthy=self._trouble(started_ns, waited),
            worker_id=self._worker_id,
            worker_version=self._version,
        )

    async def _guarded(self, test: APITest) -> Result:
        try:
            return await self.run(test)
        except Exception:  # the top of a job: a bug here must cost one result, not the worker
            log.exception("a bug of the worker ended a run", extra={"action": "run_crashed", "test": test.public_id})
            failure = Failure(
                FailureCode.INTERNAL_ERROR, "the worker failed while it ran this test; its log has the details"
            )
            return replace(
                _result_of(test, Status.FAILED),
                failure=failure,
                worker_id=self._worker_id,
                worker_version=self._version,
            )

    async def _judge(self, test: APITest, observation: Observation) -> tuple[Verdict, float]:
        """The verdict, and the seconds of waiting for an evaluator: those are the worker's, not the target's."""
        if observation.response is None:
            return conclude(test, observation, ()), 0.0
        evidence = Evidence.of(observation, self._limits.checks)
        results: dict[int, AssertionResult] = {}
        unbounded: dict[int, Assertion] = {}
        for index, assertion in enumerate(test.assertions):
            if is_bounded(assertion, observation):
                results[index] = evaluate_bounded(assertion, evidence)
            else:
                unbounded[index] = assertion
        waited = 0.0
        if unbounded:
            key = test.public_id or test.name
            evaluation = await self._evaluators.evaluate(key, tuple(unbounded.values()), observation)
            results |= dict(zip(unbounded, evaluation.results, strict=True))
            waited = evaluation.waited_ns / 1e9
        return conclude(test, observation, [results[index] for index in range(len(test.assertions))]), waited

    def _bounded(self, request: Request) -> Request:
        return replace(request, timeout=min(request.timeout, self._limits.max_timeout))

    def _trouble(self, started_ns: int, waited: float) -> str | None:
        if waited > LONG_WAIT:
            return f"the worker waited {waited:.1f} s for a free evaluator"
        return self._vitals.trouble_since(started_ns)

    def _read(self, definition: bytes) -> APITest | TestError:
        known = self._parsed.get(definition)
        if known is None:
            known = read_definition(definition)
            if len(self._parsed) >= PARSED:
                del self._parsed[next(iter(self._parsed))]
            self._parsed[definition] = known
        return known

    def _unreadable(self, error: TestError) -> Result:
        now = self._clock.now()
        return Result(
            test_public_id="",
            test_name="",
            test_subtype="",
            test_version=1,
            status=Status.FAILED,
            failure=Failure(FailureCode.INVALID_TEST, str(error)),
            started_at=now,
            finished_at=now,
            worker_id=self._worker_id,
            worker_version=self._version,
        )


def read_definition(definition: bytes) -> APITest | TestError:
    """Parse JSON text into a test, or say what is wrong with it."""
    try:
        return parse(orjson.loads(definition))
    except orjson.JSONDecodeError as error:
        return TestError([f"$: not JSON: {error}"])
    except TestError as error:
        return error


def _result_of(test: APITest, status: Status) -> Result:
    return Result(
        test_public_id=test.public_id,
        test_name=test.name,
        test_subtype=test.subtype,
        test_version=test.version,
        status=status,
    )
