"""`check FILE…`: run each definition once, here, and report its result.

No control plane, but the options and the policy of a worker. What becomes of results is the subject of `reports`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

from worker import __version__
from worker.apitest.definition import APITest
from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.apitest.spelling import misspelt
from worker.commands.reports.report import Report
from worker.errors import ExitCode, TestError
from worker.outcome.failure import Failure, FailureCode
from worker.text import counted

RunTests = Callable[[Sequence[APITest]], AsyncGenerator[tuple[int, Result], None]]
"""Runs tests and yields their indexes and results as they come: `start.check` with a config."""


async def check(found: Iterable[Definition | Unusable], run: RunTests, report: Report) -> int:
    """Run everything that was *found*, tell *report* of it as it comes, also when interrupted; the exit code.

    A definition that is not a valid API test is an INVALID_TEST result. Raises what the report raises.
    """
    everything = list(found)
    defined = [each for each in everything if isinstance(each, Definition)]
    definitions = [each for each in defined if not each.skipped]
    unusable = [each for each in everything if isinstance(each, Unusable)]
    counts = Counter[Status]()
    report.begin(definitions)
    try:
        for each in unusable:
            report.refuse(each)
        for skipped in (each for each in defined if each.skipped):
            report.remark(skipped, "executionRule: skipped, and so it is not run")
        async with aclosing(_results(definitions, run, report)) as results:
            async for definition, result in results:
                counts[result.status] += 1
                report.take(definition, result.as_json())
    except asyncio.CancelledError:
        report.end(f"interrupted after {counts.total()} of {summary(len(definitions), counts)}")
        raise
    report.end(summary(len(definitions), counts))
    if unusable:
        return ExitCode.UNUSABLE
    return ExitCode.DONE if counts[Status.PASSED] == len(definitions) else ExitCode.FAILED


def summary(tests: int, counts: Counter[Status]) -> str:
    """`3 tests: 2 passed, 1 failed`."""
    outcomes = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    return ": ".join(filter(None, (counted(tests, "test"), ", ".join(outcomes))))


async def _results(
    definitions: Sequence[Definition], run: RunTests, report: Report
) -> AsyncGenerator[tuple[Definition, Result], None]:
    """The results of what is not a test, and then the others as they come."""
    runnable: list[tuple[Definition, APITest]] = []
    invalid: list[tuple[Definition, Result]] = []
    for definition in definitions:
        test = _test(definition, report)
        if isinstance(test, Result):
            invalid.append((definition, test))
        else:
            runnable.append((definition, test))
    for each in invalid:
        yield each
    if runnable:
        async with aclosing(run([test for _, test in runnable])) as results:
            async for index, result in results:
                yield runnable[index][0], result


def _test(definition: Definition, report: Report) -> APITest | Result:
    """The test, which makes all of its retries itself; or its result, where it is not one."""
    for sentence in misspelt(definition.value):
        report.remark(definition, sentence)
    for sentence in definition.remarks:
        report.remark(definition, sentence)
    try:
        test = parse(definition.value)
    except TestError as error:
        return _invalid(definition, error)
    for sentence in test.ignored:
        report.remark(definition, sentence)
    return test if test.retry is None else replace(test, retry=test.retry.hurried())


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
