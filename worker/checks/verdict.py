"""The verdict on a run: which failure counts, and the message that goes with it.

In this order: a test that needs a newer version; a probe that failed (unless the test asserts on how its connection ended);
assertions that do not hold; assertions that hit a limit which has a code of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
from msgspec.structs import replace

from worker.apitest.assertion import Assertion, Comparison, Subject
from worker.apitest.observation import Observation
from worker.apitest.result import AssertionResult, BodyPreview, Verdict
from worker.checks.describe import target_of
from worker.checks.values import JSON
from worker.outcome.failure import Failure, FailureCode
from worker.text import cut

if TYPE_CHECKING:
    from worker.apitest.definition import APITest

_LONGEST_MESSAGE = 4_000
"""Characters of a message that lists what a test needs."""
_LONGEST_LIST = 28_000
"""Bytes of the assertions that a message lists, each of them some thousand; within a result they take up to twice as many."""


_OUTCOMES_OF_A_CONNECTION = (FailureCode.CONNREFUSED, FailureCode.TIMEOUT)


def conclude(
    test: APITest, observation: Observation, results: Sequence[AssertionResult], preview: BodyPreview | None = None
) -> Verdict:
    """*results* holds one result per assertion of *test*, in order. They are left out of the verdict on a probe that failed:
    what they say of a response that came in part, or not at all, is not about the target.
    """
    if test.requires_update:
        message = cut("; ".join(test.requires_update), _LONGEST_MESSAGE)
        return Verdict(failure=Failure(FailureCode.REQUIRES_UPDATE, message))
    if not assertions_decide(test, observation):
        return Verdict(failure=observation.failure)
    assertions = tuple(results if test.save_response_body else map(_without_body, results))
    return Verdict(failure=_failure(test.assertions, assertions), assertions=assertions, preview=preview)


def assertions_decide(test: APITest, observation: Observation) -> bool:
    """False for a probe that failed, unless a refused or timed-out connection may be what the test demands."""
    failure = observation.failure
    if failure is None:
        return True
    return (
        failure.code in _OUTCOMES_OF_A_CONNECTION
        and observation.response is not None
        and any(isinstance(each, Comparison) and each.subject is Subject.CONNECTION for each in test.assertions)
    )


def _failure(assertions: Sequence[Assertion], results: Sequence[AssertionResult]) -> Failure | None:
    failed = [(assertion, result) for assertion, result in zip(assertions, results, strict=True) if not result.valid]
    if not failed:
        return None
    _, limited = failed[0]
    if all(result.code is not None for _, result in failed):
        assert limited.code is not None
        return Failure(limited.code, limited.error_message or "")
    return Failure(FailureCode.INCORRECT_ASSERTION, _listed([_as_json(*each) for each in failed]))


def _listed(members: Sequence[dict[str, JSON]]) -> str:
    """The failed assertions as JSON, as many as fit; the last one listed says how many more there are."""
    listed: list[dict[str, JSON]] = []
    size = 0
    for member in members:
        size += len(orjson.dumps(member))
        if listed and size > _LONGEST_LIST:
            said = f"{listed[-1].get('errorMessage') or 'it does not hold'} (and {len(members) - len(listed)} more do not hold)"
            listed[-1] |= {"errorMessage": said}
            break
        listed.append(member)
    return orjson.dumps(listed).decode()


def _as_json(assertion: Assertion, result: AssertionResult) -> dict[str, JSON]:
    """A failed assertion in the shape in which the reference system lists it within the message."""
    members: dict[str, JSON] = {
        "type": result.type,
        "operator": result.operator,
        "property": result.property,
        "target": target_of(assertion),
        "actual": result.actual,
        "valid": result.valid,
        "errorMessage": result.error_message,
    }
    return {name: value for name, value in members.items() if value is not None or name == "actual"}


def _without_body(result: AssertionResult) -> AssertionResult:
    """Leave out what tells of a body that the test keeps out of its results: what was found in it, sentences about it, logs."""
    if result.type not in ("body", "javascript"):
        return result
    reason = None if result.valid or result.code else "it does not hold (this test keeps the response body to itself)"
    return replace(result, actual=None, log=None, error_message=result.error_message if result.code else reason)
