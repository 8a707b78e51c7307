"""`check FILE…`: run each definition once, here, and print its result.

No control plane, but the options and the policy of a worker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from worker import __version__
from worker.apitest.definition import APITest
from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.apitest.spelling import misspelt
from worker.apitest.summary import line
from worker.errors import ExitCode, TestError
from worker.outcome.failure import Failure, FailureCode
from worker.text import counted, json_line, printable

Run = Callable[[Sequence[APITest]], AsyncIterator[Result]]
"""Runs tests and yields their results as they come: `start.check` with a config."""


async def check(
    found: Iterable[Definition | Unusable],
    run: Run,
    *,
    show: Callable[[Any], None],
    complain: Callable[[str], None],
    sum_up: Callable[[str], None] = lambda _: None,
) -> int:
    """Hand each result's JSON to *show* as it comes, and how all of them went to *sum_up*, also when interrupted; the exit code.

    A definition that is not a valid API test is an INVALID_TEST result; input that is not a definition goes to *complain*, and so
    do the parts of a definition that a test is run without.
    """
    definitions, unusable = _sorted(found, complain)
    tests = [_test(definition, complain) for definition in definitions]
    counts = Counter[Status]()

    def take(result: Result) -> None:
        counts[result.status] += 1
        show(result.as_json())

    try:
        for each in tests:
            if isinstance(each, Result):
                take(each)
        runnable = [test for test in tests if isinstance(test, APITest)]
        if runnable:
            async for result in run(runnable):
                take(result)
    except asyncio.CancelledError:
        sum_up(f"interrupted after {counts.total()} of {summary(len(tests), counts)}")
        raise
    sum_up(summary(len(tests), counts))
    if unusable:
        return ExitCode.UNUSABLE
    return ExitCode.DONE if counts[Status.PASSED] == len(tests) else ExitCode.FAILED


def summary(tests: int, counts: Counter[Status]) -> str:
    """`3 tests: 2 passed, 1 failed`."""
    outcomes = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    return ": ".join(filter(None, (counted(tests, "test"), ", ".join(outcomes))))


def as_line(outcome: Any, *, as_json: bool, colour: bool, width: int | None = None) -> str:
    return json_line(outcome) if as_json else line(outcome, colour=colour, width=width)


def has_passed(outcome: Any) -> bool:
    return bool(outcome["status"] == Status.PASSED.value)


def _sorted(
    found: Iterable[Definition | Unusable], complain: Callable[[str], None]
) -> tuple[list[Definition], list[Unusable]]:
    """Definitions, and what is none, which is complained of."""
    definitions: list[Definition] = []
    unusable: list[Unusable] = []
    for one in found:
        if isinstance(one, Unusable):
            complain(printable(str(one)))
            unusable.append(one)
        else:
            definitions.append(one)
    return definitions, unusable


def _test(definition: Definition, complain: Callable[[str], None]) -> APITest | Result:
    """The test; or its result, where it is not one."""
    for sentence in misspelt(definition.value):
        complain(printable(f"{definition.place}: {sentence}"))
    try:
        test = parse(definition.value)
    except TestError as error:
        return _invalid(definition, error)
    for sentence in test.ignored:
        complain(printable(f"{definition.place}: {sentence}"))
    return test


def _invalid(definition: Definition, error: TestError) -> Result:
    name = definition.value.get("name") if isinstance(definition.value, dict) else None
    return Result(
        test_public_id="",
        test_name=name if isinstance(name, str) else definition.place,
        test_subtype="",
        test_version=1,
        status=Status.FAILED,
        failure=Failure(FailureCode.INVALID_TEST, str(error)),
        worker_version=__version__,
    )
