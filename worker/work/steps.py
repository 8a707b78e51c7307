"""Plays the steps of a multistep test: requests, waits and whole tests, one after another, in the slot of their job.

A step hands on what it extracted and, if it says so, its cookies. One that fails ends the test, unless it is allowed to. Every
step has its own time limit, and all of them together have one. How one request is run and judged is the runner's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from msgspec import structs

from worker.apitest.definition import APIStep, APITest, Wait
from worker.apitest.observation import NOTHING_SEEN, Observation
from worker.apitest.redaction import Redaction
from worker.apitest.result import AssertionResult
from worker.apitest.step_result import ExtractedValue, StepResult, StepStatus, phases_of
from worker.apitest.template import BuiltIn
from worker.apitest.templated import rendered_step
from worker.apitest.variables import Variable, Variables, resolve
from worker.checks.protocols.table import response_as_json
from worker.checks.verdict import conclude
from worker.clock import Clock
from worker.errors import TestError
from worker.net.http.cookies import Cookies
from worker.outcome import underway
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings
from worker.secret import Secret
from worker.work.asked import asked
from worker.work.execution import Execute, Execution
from worker.work.preparation import MAX_SECURE, length_of, too_much
from worker.work.retries import is_settled, with_retries
from worker.work.scripts import NO_SCRIPT, SetVariables, informed

RunStepScript: TypeAlias = Callable[[APITest, str, Iterable[Variable], Observation], Awaitable[SetVariables]]
"""Runs the script of a test on what was observed; it may get these variables. Raises nothing but CancelledError."""

LONGEST_RUN: Final = 1_800.0
"""Seconds of one run, all steps, waits and retries together: the reference system's bound."""
_OUT_OF_TIME = Failure(FailureCode.TIMEOUT, f"the test was not done within {LONGEST_RUN / 60:.0f} minutes")
_TOO_MUCH = Failure(FailureCode.INVALID_TEST, str(too_much()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The rows of a test's steps, in order. *failure* is that of the first step that the test fails with."""

    rows: tuple[StepResult, ...]
    failure: Failure | None = None
    trouble: str | None = None
    """The worker's own, in the first step that had any."""
    exited_on_step_success: bool = False
    secrets: tuple[Secret[str], ...] = ()
    """The secure values that steps extracted: no result may hold them."""


async def play(
    test: APITest, execute: Execute, run_script: RunStepScript, clock: Clock, variables: Variables, built_in: BuiltIn
) -> Played:
    """Play the steps of *test*, whose templates may name *variables* and what *built_in* gives.

    Raises nothing that a target or a definition can cause.
    """
    run = _Run(execute, run_script, clock, variables, built_in)
    played = await run.play(test.steps, ())
    return replace(played, trouble=run.trouble, secrets=tuple(run.secrets))


class _Run:
    """The state that the steps of one run share, those of its subtests too."""

    def __init__(
        self, execute: Execute, run_script: RunStepScript, clock: Clock, variables: Variables, built_in: BuiltIn
    ) -> None:
        self._execute = execute
        self._run_script = run_script
        self._built_in = built_in
        self._clock = clock
        self._end_ns = clock.monotonic_ns() + round(LONGEST_RUN * 1e9)
        self._cookies: Cookies | None = None
        self._variables = variables
        self.secrets: list[Secret[str]] = []
        self._secure_left = MAX_SECURE - length_of(variables.secrets())
        self.trouble: str | None = None

    async def play(self, steps: Sequence[APIStep], settled: Collection[str]) -> Played:
        """Play *steps*; the variables that *settled* names keep their values, whatever is extracted."""
        rows: list[StepResult] = []
        failure: Failure | None = None
        ended = exited = False
        for step in steps:
            if failure is _OUT_OF_TIME or (ended and not step.always_execute):
                rows.append(_row(step, StepStatus.SKIPPED))
                continue
            row = await self._step(step, settled)
            rows.append(row)
            if row.failure is _OUT_OF_TIME:
                failure = _OUT_OF_TIME
            elif row.failure is None:
                exited = exited or (step.exit_if_succeed and not ended)
                ended = ended or step.exit_if_succeed
            else:
                ended = ended or not step.allow_failure
                if not step.allow_failure or step.is_critical:
                    failure = failure or row.failure
        return Played(rows=tuple(rows), failure=failure, exited_on_step_success=exited and failure is None)

    async def _step(self, step: APIStep, settled: Collection[str]) -> StepResult:
        async def once() -> StepResult:
            return await self._once(step, settled)

        if step.retry is None:
            return await once()
        row, retries = await with_retries(once, step.retry, self._sleep, _is_final)
        return structs.replace(row, retries=retries)

    async def _once(self, step: APIStep, settled: Collection[str]) -> StepResult:
        if self._left <= 0:
            return _row(step, StepStatus.FAILED, failure=_OUT_OF_TIME)
        match step.action:
            case Wait(seconds=seconds):
                return await self._wait(step, seconds)
            case APITest(steps=()) as test:
                return await self._request(step, test, settled)
            case APITest() as test:
                return await self._subtest(step, test, settled)

    async def _wait(self, step: APIStep, seconds: float) -> StepResult:
        started, in_time = self._clock.monotonic_ns(), seconds <= self._left
        await self._sleep(seconds)
        timings = Timings.from_nanoseconds({"wait": self._clock.monotonic_ns() - started})
        if not in_time:
            return _row(step, StepStatus.FAILED, failure=_OUT_OF_TIME, timings=timings)
        return _row(step, StepStatus.PASSED, timings=timings)

    async def _request(self, step: APIStep, test: APITest, settled: Collection[str]) -> StepResult:
        if step.persist_cookies and self._cookies is None:
            self._cookies = Cookies()
        try:
            test = self._ready(step, test)
        except TestError as error:
            return _row(step, StepStatus.FAILED, failure=Failure(FailureCode.INVALID_TEST, str(error)))
        if test.requires_update:  # only what a value made of it
            return _row(step, StepStatus.FAILED, failure=conclude(test, NOTHING_SEEN, ()).failure)
        test = informed(test, self._variables.known)
        execution = await self._execute(self._within_limit(test), self._cookies if step.persist_cookies else None)
        self.trouble = self.trouble or execution.trouble
        script = await self._script(step, test, execution)
        found = (*_variables_in(test, execution.extracted), *script.variables)
        if not self._hide(_secrets_in(found)):
            # Nothing of the response: it holds what could not be taken out again.
            return _row(step, StepStatus.FAILED, failure=_TOO_MUCH, timings=execution.observation.timings)
        extracted = self._keep(found, settled)
        failure = execution.verdict.failure or _unextracted(test, execution.extracted) or script.failure
        if failure is not None and self._left <= 0:
            failure = _OUT_OF_TIME
        return _executed(step, test, execution, failure, extracted)

    async def _script(self, step: APIStep, test: APITest, execution: Execution) -> SetVariables:
        """The variables that the step's script takes from the response; none without a script or a response."""
        if not step.values_script or execution.observation.response is None:
            return NO_SCRIPT
        known = self._variables.assigned(_variables_in(test, execution.extracted)).known
        script = await self._run_script(test, step.values_script, known, execution.observation)
        self.trouble = self.trouble or script.trouble
        return script.at("extractedValuesFromScript")

    async def _subtest(self, step: APIStep, test: APITest, settled: Collection[str]) -> StepResult:
        outside = frozenset(variable.name for variable in self._variables.known)
        # What the tests around it know is given to the subtest, and wins over what it declares.
        before = self._variables.secrets()
        self._variables = resolve(test.variables, self._variables.known, self._built_in)
        opening = await self._script_without_response(test, test.variables_script, "config.variablesFromScript")
        new = (*self._variables.secrets(), *_secrets_in(opening.variables))
        if not self._hide(secret for secret in new if secret not in before):
            return _row(step, StepStatus.FAILED, failure=_TOO_MUCH, public_id=test.public_id)
        self._keep(opening.variables, outside)
        if opening.failure is not None:
            return _row(step, StepStatus.FAILED, failure=opening.failure, public_id=test.public_id)
        return await self._play_subtest(step, test, outside, settled)

    async def _play_subtest(
        self, step: APIStep, test: APITest, outside: Collection[str], settled: Collection[str]
    ) -> StepResult:
        """Play the steps of *test*, whose variables are set, and run the script of *step* behind them."""
        played = await self.play(test.steps, outside)
        script = await self._script_without_response(test, step.values_script, "extractedValuesFromScript")
        shown = {"timings": phases_of(played.rows), "public_id": test.public_id, "steps": played.rows}
        if not self._hide(_secrets_in(script.variables)):
            return _row(step, StepStatus.FAILED, failure=_TOO_MUCH, **shown)
        extracted = self._keep(script.variables, settled)
        failure = played.failure or script.failure
        status = StepStatus.PASSED if failure is None else StepStatus.FAILED
        return _row(step, status, failure=failure, extracted=extracted, **shown)

    async def _script_without_response(self, test: APITest, code: str, place: str) -> SetVariables:
        """The variables that a script before or behind a subtest takes from what is known; it has no response of its own."""
        if not code or self._left <= 0:
            return NO_SCRIPT
        script = await self._run_script(test, code, self._variables.known, NOTHING_SEEN)
        self.trouble = self.trouble or script.trouble
        return script.at(place)

    def _ready(self, step: APIStep, test: APITest) -> APITest:
        """*test* with the values of this moment in the places of its templates. Raises TestError."""
        if step.source is None:
            return test
        return rendered_step(step.source, test, self._variables.namespace(self._built_in))

    def _within_limit(self, test: APITest) -> APITest:
        request, left = test.request, self._left
        if request is None or request.timeout <= left:
            return test
        return replace(test, request=replace(request, timeout=left))

    def _keep(self, found: Sequence[Variable], settled: Collection[str]) -> tuple[ExtractedValue, ...]:
        """Set the variables that were found, and tell them."""
        kept = [variable for variable in found if variable.name not in settled]
        if kept:
            self._variables = self._variables.assigned(kept)
        return tuple(
            ExtractedValue(name=each.name, value=None if each.secure else each.value.reveal()) for each in kept
        )

    def _hide(self, secrets: Iterable[Secret[str]]) -> bool:
        """Note what no result may hold; False where that is more than can be looked for."""
        new = tuple(secrets)
        if (size := length_of(new)) > self._secure_left:
            return False
        self._secure_left -= size
        self.secrets += new
        if new:
            known = (*self._variables.secrets(), *self.secrets)
            underway.hide(lambda text: Redaction(known).text(text))
        return True

    @property
    def _left(self) -> float:
        """Seconds until the end of the run."""
        return (self._end_ns - self._clock.monotonic_ns()) / 1e9

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(min(seconds, max(0.0, self._left)))


def _variables_in(test: APITest, results: Sequence[AssertionResult]) -> list[Variable]:
    """The variables whose values were found."""
    return [
        Variable(name=extraction.name, value=Secret(str(result.actual)), secure=extraction.secure)
        for extraction, result in zip(test.extractions, results, strict=False)
        if result.valid
    ]


def _secrets_in(variables: Iterable[Variable]) -> tuple[Secret[str], ...]:
    return tuple(variable.value for variable in variables if variable.secure)


def _is_final(row: StepResult) -> bool:
    return row.failure is _OUT_OF_TIME or is_settled(row.failure)


def _unextracted(test: APITest, results: Sequence[AssertionResult]) -> Failure | None:
    """The failure of a step whose assertions hold, and which nevertheless has not found what others need."""
    for extraction, result in zip(test.extractions, results, strict=False):
        if not result.valid:
            reason = f"{extraction.name} could not be extracted: {result.error_message}"
            return Failure(result.code or FailureCode.INCORRECT_ASSERTION, reason)
    return None


def _executed(
    step: APIStep, test: APITest, execution: Execution, failure: Failure | None, extracted: tuple[ExtractedValue, ...]
) -> StepResult:
    observation, verdict = execution.observation, execution.verdict
    return _row(
        step,
        StepStatus.PASSED if failure is None else StepStatus.FAILED,
        failure=failure,
        timings=observation.timings,
        assertions=verdict.assertions,
        resolution=observation.resolution_as_json(),
        response=response_as_json(test, observation, verdict),
        request=asked(test.request, observation),
        extracted=extracted,
    )


def _row(step: APIStep, status: StepStatus, **members: Any) -> StepResult:
    """The row of *step* with its own words, and *members* of the result."""
    return StepResult(
        name=step.name,
        subtype=step.subtype,
        status=status,
        identifier=step.identifier,
        allow_failure=step.allow_failure,
        is_critical=step.is_critical,
        **members,
    )
