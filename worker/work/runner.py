"""Runs one test once: probe, judge, and put both into a result. The same for a leased job and for `check` at the command line.

Nothing that a definition or a target does raises here: it ends as a result with its failure code. What raises is a bug of
the worker, and even that becomes an INTERNAL_ERROR result of the job, with the traceback in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from random import Random, SystemRandom
from typing import TYPE_CHECKING

import orjson
from msgspec import Struct, structs

from worker.apitest.assertion import Assertion
from worker.apitest.definition import APITest
from worker.apitest.observation import NOTHING_SEEN, Observation
from worker.apitest.parse import parse
from worker.apitest.request import DEFAULT_TIMEOUT, ProbeRequest
from worker.apitest.result import AssertionResult, Result, Retried, Status, Verdict
from worker.apitest.retry import Retry
from worker.checks.cost import cost_of, evaluate_bounded
from worker.checks.evidence import AssertionLimits, Evidence
from worker.checks.limits import BOUNDED_WORK
from worker.checks.preview import needs_evaluator
from worker.checks.protocols.table import response_as_json
from worker.checks.verdict import assertions_decide, conclude
from worker.clock import Clock
from worker.errors import EvaluationError, TestError
from worker.evaluators.pool import Evaluators
from worker.net.door import Door
from worker.net.http.cookies import Cookies
from worker.outcome import underway
from worker.outcome.failure import Failure, FailureCode
from worker.probers.limits import ProbeLimits
from worker.probers.table import probe
from worker.telemetry.vitals import Vitals
from worker.wire.messages import Job
from worker.work.asked import asked
from worker.work.execution import Execution

if TYPE_CHECKING:  # a worker whose tests have no variables loads nothing for them
    from worker.apitest.given import GivenVariables
    from worker.apitest.variables import Variable
    from worker.work.preparation import Preparation
    from worker.work.scripts import SetVariables

log = logging.getLogger(__name__)

PARSED = 2048
"""Definitions kept parsed: a location's tests come again each period, unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """*max_timeout* in seconds caps every test's own limit; the others are passed to whom they concern."""

    max_timeout: float
    probes: ProbeLimits
    checks: AssertionLimits


class Occasion(Struct, frozen=True, kw_only=True):
    """The times at which the run was due and this worker got it, both None for a run at the command line, and its variables.

    *result_id* is what `{{ result-id }}` stands for: the job, by which a control plane finds the result.
    """

    scheduled_at: datetime | None = None
    leased_at: datetime | None = None
    result_id: str = ""
    given: GivenVariables | None = None


class _Start(Struct, frozen=True):
    at: datetime
    monotonic_ns: int


_NONE = Occasion()
_RANDOM = SystemRandom()
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
        random: Random = _RANDOM,
    ) -> None:
        self._door = door
        self._evaluators = evaluators
        self._clock = clock
        self._limits = limits
        self._vitals = vitals
        self._worker_id = worker_id
        self._version = version
        self._random = random
        self._parsed: dict[bytes, APITest | TestError] = {}

    async def carry_out(self, job: Job, received_ns: int) -> Result:
        """Run a leased job. *received_ns* is when its batch arrived; beyond `start_by` after that the run is missed."""
        occasion = Occasion(
            scheduled_at=datetime.fromtimestamp(job.scheduled_at / 1000, UTC),
            leased_at=self._clock.now(),
            result_id=job.job,
            given=_given_in(job) if job.variables else None,
        )
        waited_ms = (self._clock.monotonic_ns() - received_ns) / 1e6
        test = self._read(bytes(job.test))
        if isinstance(test, TestError):
            return self._invalid(_UNREADABLE, test, occasion)
        if waited_ms > job.start_by:
            return structs.replace(self._result(test, _UNJUDGED, NOTHING_SEEN, occasion), status=Status.MISSED)
        return await self.run(test, occasion)

    async def run(self, test: APITest, occasion: Occasion = _NONE) -> Result:
        """Run *test* now. Raises nothing but CancelledError. Secure values of its variables are not in the result."""
        if test.retry is not None and test.retry.is_fast:
            return await self._run_again(test, test.retry, occasion)
        if occasion.given or test.variables or test.source is not None or test.steps or test.variables_script:
            return await self._run_with_variables(test, occasion)
        try:
            return await self._run(test, occasion)
        except Exception as error:  # noqa: BLE001  # the top of a run: a bug here must cost one result, not the worker
            return self._crashed(test, occasion, error)

    async def _run_again(self, test: APITest, retry: Retry, occasion: Occasion) -> Result:
        """Run *test* until it passes or *retry* is used up; the last result, which says that it is not the first."""
        from worker.work.retries import is_settled, with_retries  # not every worker sees such a test

        once = replace(test, retry=None)
        result, made = await with_retries(
            lambda: self.run(once, occasion), retry, self._clock.sleep, lambda one: is_settled(one.failure)
        )
        retried = Retried(initial_id=occasion.result_id or None, count=made)
        return structs.replace(result, retried=retried) if made else result

    async def _run_with_variables(self, test: APITest, occasion: Occasion) -> Result:
        from worker.work.preparation import hidden, prepare, redacted

        prepared: Preparation | None = None
        started = _Start(self._clock.now(), self._clock.monotonic_ns())
        try:
            run = partial(self._run_script, test)
            prepared = await prepare(test, occasion.given, started.at, self._random, occasion.result_id, run)
            if prepared.redaction:
                underway.hide(prepared.redaction.text)
            if prepared.mistakes is not None:
                result = self._invalid(prepared.test, prepared.mistakes, occasion)
            elif prepared.failure is not None:
                verdict = Verdict(failure=prepared.failure)
                result = self._result(prepared.test, verdict, NOTHING_SEEN, occasion, started)
            elif test.steps:
                result, prepared = await self._run_steps(prepared, occasion)
            else:
                result = await self._run(prepared.test, occasion)
            if prepared.trouble is not None and result.unhealthy is None:
                result = structs.replace(result, unhealthy=prepared.trouble)
            return await redacted(result, prepared)
        except Exception as error:  # noqa: BLE001  # as above, and what it says may hold a secure value
            named = prepared.test if prepared else replace(test, name="")
            return self._crashed(named, occasion, hidden(error, None if test.steps else prepared))
        finally:
            underway.hide(None)

    async def _run(self, test: APITest, occasion: Occasion) -> Result:
        started = _Start(self._clock.now(), self._clock.monotonic_ns())
        if test.requires_update:
            return self._result(test, conclude(test, NOTHING_SEEN, ()), NOTHING_SEEN, occasion, started)
        done = await self._execute(test)
        return self._result(test, done.verdict, done.observation, occasion, started, done.trouble)

    async def _execute(self, test: APITest, cookies: Cookies | None = None) -> Execution:
        """Probe and judge, once."""
        if test.url_substitution is not None:
            from worker.work.substitution import execute_substituted  # not every worker sees such a test

            return await execute_substituted(
                test, partial(self._run_script, test), partial(self._execute, cookies=cookies)
            )
        assert test.request is not None
        request = self._bounded(test.request)
        observation = await probe(request, self._door, self._clock, self._limits.probes, cookies)
        verdict, extracted, trouble = await self._judge(test, request, observation)
        return Execution(
            verdict=verdict, observation=observation, extracted=extracted, trouble=self._own(observation) or trouble
        )

    async def _run_steps(self, prepared: Preparation, occasion: Occasion) -> tuple[Result, Preparation]:
        """The result of a multistep test, and its preparation with the secure values that its steps extracted."""
        from worker.apitest.step_result import phases_of
        from worker.work.preparation import hiding
        from worker.work.steps import play

        test, started = prepared.test, _Start(self._clock.now(), self._clock.monotonic_ns())
        played = await play(test, self._execute, self._run_script, self._clock, prepared.variables, prepared.built_in)
        whole = Observation(timings=phases_of(played.rows))
        result = self._result(test, Verdict(failure=played.failure), whole, occasion, started, played.trouble)
        result = structs.replace(
            result,
            steps=tuple(row.as_json() for row in played.rows),
            exited_on_step_success=played.exited_on_step_success,
        )
        return result, await hiding(prepared, played.secrets)

    async def _run_script(
        self, test: APITest, code: str, known: Iterable[Variable], observation: Observation = NOTHING_SEEN
    ) -> SetVariables:
        """Run a script of *test*, before its request or on what was observed."""
        from worker.work.scripts import run_script

        seconds = DEFAULT_TIMEOUT if test.request is None else test.request.timeout
        return await run_script(
            code,
            known,
            observation,
            self._evaluators,
            test_key=test.public_id or test.name,
            seconds=min(seconds, self._limits.max_timeout),
        )

    def _crashed(self, test: APITest, occasion: Occasion, error: Exception) -> Result:
        log.error(
            "a bug of the worker ended a run",
            exc_info=error,
            extra={"action": "run_crashed", "test": test.public_id},
        )
        if isinstance(error, MemoryError):
            self._vitals.ran_out_of_memory()
        reason = "the worker failed while it ran this test; its log has the details"
        failure = Failure(FailureCode.INTERNAL_ERROR, reason)
        return self._result(test, Verdict(failure=failure), NOTHING_SEEN, occasion, trouble=reason)

    def _invalid(self, test: APITest, error: TestError, occasion: Occasion) -> Result:
        return self._result(
            test, Verdict(failure=Failure(FailureCode.INVALID_TEST, str(error))), NOTHING_SEEN, occasion
        )

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
        occasion: Occasion,
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
            request=asked(test.request, observation),
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
    ) -> tuple[Verdict, tuple[AssertionResult, ...], str | None]:
        """The verdict, what was extracted, and the trouble that the worker had in reaching it: that is not the target's."""
        if observation.response is None or not assertions_decide(test, observation):
            return conclude(test, observation, ()), (), None
        evidence = Evidence(observation, self._limits.checks)
        results: dict[int, AssertionResult] = {}
        unbounded: dict[int, Assertion] = {}
        allowance: float = BOUNDED_WORK
        demands = (*test.assertions, *test.extractions) if test.extractions else test.assertions
        for index, assertion in enumerate(demands):
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
                return Verdict(failure=Failure(FailureCode.INTERNAL_ERROR, reason)), (), str(error)
            results |= dict(zip(unbounded, evaluation.results, strict=True))
            trouble, preview = evaluation.shortage(), evaluation.preview
        judged = [results[index] for index in range(len(demands))]
        asserted = len(test.assertions)
        return conclude(test, observation, judged[:asserted], preview), tuple(judged[asserted:]), trouble

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


def _given_in(job: Job) -> GivenVariables:
    from worker.work.preparation import given_in

    return given_in(job)
