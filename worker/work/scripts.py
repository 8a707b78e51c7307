"""Scripts that set variables, run in an evaluator: before a request (`variablesFromScript`) or on its response.

What a script sets is for the run; nothing here renders it, and what it writes with `console` is dropped. A script that fails is a
value, and what it had set by then is there all the same: its secure values must not be shown either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from worker.apitest.assertion import Assertion, JavaScriptAssertion
from worker.apitest.definition import APITest
from worker.apitest.observation import Observation
from worker.apitest.reading import quote
from worker.apitest.result import AssertionResult
from worker.apitest.template import is_name
from worker.apitest.variables import Variable
from worker.errors import EvaluationError
from worker.evaluators.pool import Evaluators
from worker.outcome.failure import Failure, FailureCode
from worker.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariables:
    """The variables that a script has set, and why it failed, if it did. *trouble* is the worker's own."""

    variables: tuple[Variable, ...] = ()
    failure: Failure | None = None
    trouble: str | None = None

    def at(self, place: str) -> SetVariables:
        """The same with the failure's message beginning with the script's *place* in its definition."""
        if self.failure is None:
            return self
        return replace(self, failure=Failure(self.failure.code, f"{place}: {self.failure.message}"))


NO_SCRIPT = SetVariables()
RunScript: TypeAlias = Callable[[str, Iterable[Variable]], Awaitable[SetVariables]]
"""Runs the code of a script that may get these variables. Raises nothing but CancelledError."""


async def run_script(
    code: str,
    known: Iterable[Variable],
    observation: Observation,
    evaluators: Evaluators,
    *,
    test_key: str,
    seconds: float,
) -> SetVariables:
    """Run *code*, which may get the *known* variables and the response of *observation*, within *seconds* of work.

    Raises nothing but CancelledError.
    """
    script = with_variables((JavaScriptAssertion(code=code),), known)
    try:
        evaluation = await evaluators.evaluate(test_key, script, observation, seconds)
    except EvaluationError as error:
        failure = Failure(FailureCode.INTERNAL_ERROR, "the worker had no evaluator for this script")
        return SetVariables(failure=failure, trouble=str(error))
    (result,) = evaluation.results
    return SetVariables(
        variables=tuple(
            Variable(name=each.name, value=Secret(each.value), secure=each.secure) for each in result.variables
        ),
        failure=_failure(result),
        trouble=evaluation.shortage(),
    )


def informed(test: APITest, known: Iterable[Variable]) -> APITest:
    """*test* with the *known* variables given to the scripts among its assertions; itself where it has none."""
    if not any(isinstance(each, JavaScriptAssertion) for each in test.assertions):
        return test
    return replace(test, assertions=with_variables(test.assertions, known))


def with_variables(assertions: Sequence[Assertion], known: Iterable[Variable]) -> tuple[Assertion, ...]:
    """*assertions*, with the *known* variables given to the scripts among them."""
    values = tuple((variable.name, variable.value.reveal()) for variable in known)
    if not values:
        return tuple(assertions)
    return tuple(
        replace(each, variables=values) if isinstance(each, JavaScriptAssertion) else each for each in assertions
    )


def _failure(result: AssertionResult) -> Failure | None:
    """A script is a part of its test: one that throws makes the test invalid, unless a limit ended it."""
    if not result.valid:
        return Failure(result.code or FailureCode.INVALID_TEST, result.error_message or "the script failed")
    for variable in result.variables:
        if not is_name(variable.name):
            reason = f"{quote(variable.name)} is not a valid name of a variable"
            return Failure(FailureCode.INVALID_TEST, reason)
    return None
