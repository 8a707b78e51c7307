"""Runs one test once: probe, judge, and put both into a result. The same for a leased job and for `check` at the command line.

Nothing that a definition or a target does raises here: it ends as a result with its failure code. What raises is a bug of
the worker, and even that becomes an INTERNAL_ERROR result of the job, with the traceback in the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson
from msgspec import Struct, structs

from worker.apitest.assertion import Assertion
from worker.apitest.definition import APITest
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.request import ProbeRequest
from worker.apitest.result import AssertionResult, Result, Status, Verdict
from worker.checks.cost import cost_of, evaluate_bounded
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.limits import BOUNDED_WORK
from worker.checks.preview import needs_evaluator
from worker.checks.protocols.table import response_as_json
from worker.checks.verdict import conclude
from worker.clock import Clock
from worker.errors import EvaluationError, TestError
from worker.evaluators.pool import Evaluators
from worker.evaluators.task import Evaluation
from worker.net.door import Door
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings
from worker.probers.limits import ProbeLimits
from worker.probers.table import probe
from worker.telemetry.vitals import Vitals
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
    probes: ProbeLimits
    checks: AssertionLimits


class _Occasion(Struct, frozen=True):
    """The times at which the run was due and this worker got it; both None for a run at the command line."""

    scheduled_at: datetime | None
    leased_at: datetime | None


class _Start(Struct, frozen=True):
    at: datetime
    monotonic_ns: int


_NONE = _Occasion(None, None)
_NOTHING = Observation(timings=Timings())
_UNJUDGED = Verdict(failure=None)
_UNREADABLE = APITest(name="", subtype="")


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
        occasion = _Occasion(datetime.fromtimestamp(job.scheduled_at / 1000, UTC), self._clock.now())
        waited_ms = (self._clock.monotonic_ns() - received_ns) / 1e6
        test = self._read(bytes(job.test))
        if isinstance(test, TestError):
            failure = Failure(FailureCode.INVALID_TEST, str(test))
            return self._result(_UNREADABLE, Verdict(failure=failure), _NOTHING, occasion)
        if waited_ms > job.start_by:
            return structs.replace(self._result(test, _UNJUDGED, _NOTHING, occasion), status=Status.MISSED)
        return await self.run(test, occasion)

    async def run(self, test: APITest, occasion: _Occasion = _NONE) -> Result:
        """Run *test* now. Raises nothing but CancelledError."""
        try:
            return await self._run(test, occasion)
        except Exception as error:  # the top of a run: a bug here must cost one result, not the worker
            log.exception("a bug of the worker ended a run", extra={"action": "run_crashed", "test": test.public_id})
            if isinstance(error, MemoryError):
                self._vitals.ran_out_of_memory()
            reason = "the worker failed while it ran this test; its log has the details"
            failure = Failure(FailureCode.INTERNAL_ERROR, reason)
            return self._result(test, Verdict(failure=failure), _NOTHING, occasion, trouble=reason)

    async def _run(self, test: APITest, occasion: _Occasion) -> Result:
        started = _Start(self._clock.now(), self._clock.monotonic_ns())
        if test.request is None or test.requires_update:
            return self._result(test, conclude(test, _NOTHING, ()), _NOTHING, occasion, started)
        request = self._bounded(test.request)
        observation = await probe(request, self._door, self._clock, self._limits.probes)
        verdict, trouble = await self._judge(test, request, observation)
        return self._result(test, verdict, observation, occasion, started, self._own(observation) or trouble)

    def _own(self, observation: Observation) -> str | None:
        """The trouble of this worker, or of its machine, that kept it from probing."""
        failure = observation.failure
        if failure is None or failure.code is not FailureCode.INTERNAL_ERROR:
            return observation.trouble
        self._vitals.look_at_descriptors()
        return observation.trouble or failure.message

    def _result(
        self,
        test: APITest,
        verdict: Verdict,
        observation: Observation,
        occasion: _Occasion,
        started: _Start | None = None,
        trouble: str | None = None,
    ) -> Result:
        if started and trouble is None:
            trouble = self._vitals.trouble_since(started.monotonic_ns)
        return Result(
            test_public_id=test.public_id,
            test_name=test.name,
            test_subtype=test.subtype,
            test_version=test.version,
            status=Status.PASSED if verdict.passed else Status.FAILED,
            timings=observation.timings,
            failure=verdict.failure,
            assertions=verdict.assertions,
            resolution=observation.resolution_as_json(),
            response=response_as_json(test, observation, verdict),
            scheduled_at=occasion.scheduled_at,
            leased_at=occasion.leased_at,
            started_at=started.at if started else None,
            finished_at=self._clock.now() if started else None,
            unhealthy=trouble,
            worker_id=self._worker_id,
            worker_version=self._version,
        )

    async def _judge(
        self, test: APITest, request: ProbeRequest, observation: Observation
    ) -> tuple[Verdict, str | None]:
        """The verdict, and the trouble that the worker had in reaching it: that is not the target's."""
        if observation.response is None:
            return conclude(test, observation, ()), None
        evidence = Evidence(observation, self._limits.checks)
        results: dict[int, AssertionResult] = {}
        unbounded: dict[int, Assertion] = {}
        allowance: float = BOUNDED_WORK
        for index, assertion in enumerate(test.assertions):
            cost = cost_of(assertion, evidence)
            if cost <= allowance:
                allowance -= cost
                results[index] = evaluate_bounded(assertion, evidence)
            else:
                unbounded[index] = assertion
        trouble = preview = None
        if unbounded:
            # What the phases have left of the test's own time.
            left = max(0.0, request.timeout - observation.timings.total_tenths / 10_000)
            try:
                evaluation = await self._evaluators.evaluate(
                    test.public_id or test.name,
                    tuple(unbounded.values()),
                    observation,
                    left,
                    with_preview=needs_evaluator(test, observation.response),
                )
            except EvaluationError as error:
                reason = "the worker had no evaluator for this test's assertions"
                return Verdict(failure=Failure(FailureCode.INTERNAL_ERROR, reason)), str(error)
            results |= dict(zip(unbounded, evaluation.results, strict=True))
            trouble, preview = _shortage(evaluation), evaluation.preview
        return conclude(test, observation, [results[index] for index in range(len(test.assertions))], preview), trouble

    def _bounded(self, request: ProbeRequest) -> ProbeRequest:
        cap = self._limits.max_timeout
        return request if request.timeout <= cap else replace(request, timeout=cap)

    def _read(self, definition: bytes) -> APITest | TestError:
        known = self._parsed.get(definition)
        if known is None:
            known = read_definition(definition)
            if len(self._parsed) >= PARSED:
                del self._parsed[next(iter(self._parsed))]
            self._parsed[definition] = known
        return known


def read_definition(definition: bytes) -> APITest | TestError:
    """Parse JSON text into a test, or say what is wrong with it."""
    try:
        return parse(orjson.loads(definition))
    except orjson.JSONDecodeError as error:
        return TestError([f"$: not JSON: {error}"])
    except TestError as error:
        return error


def _shortage(evaluation: Evaluation) -> str | None:
    if evaluation.waited_ns > LONG_WAIT * 1e9:
        return f"the worker waited {evaluation.waited_ns / 1e9:.1f} s for a free evaluator"
    return "the worker's evaluators were short of processor time" if evaluation.starved else None
