"""`check FILE…`: run each definition once, here, and print its result.

No control plane, but the options and the policy of a worker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from worker import __version__
from worker.apitest.definition import APITest
from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import parse
from worker.apitest.result import Result, Status
from worker.apitest.summary import line
from worker.errors import ExitCode, TestError
from worker.outcome.failure import Failure, FailureCode
from worker.text import json_line, printable

Run = Callable[[Sequence[APITest]], AsyncIterator[Result]]
"""Runs tests and yields their results in order: `start.check` with a config."""


async def check(
    found: Iterable[Definition | Unusable], run: Run, *, show: Callable[[Any], None], complain: Callable[[str], None]
) -> int:
    """Hand each result's JSON to *show*, in the order of the definitions; the exit code.

    A definition that is not a valid API test is an INVALID_TEST result; input that is not a definition
    goes to *complain*, and so do the parts of a definition that a test is run without.
    """
    exit_code = ExitCode.DONE
    tests: list[APITest | Result] = []
    for one in found:
        if isinstance(one, Unusable):
            complain(printable(str(one)))
            exit_code = ExitCode.UNUSABLE
        else:
            test = _test(one)
            tests.append(test)
            if isinstance(test, APITest):
                for entry in test.ignored:
                    complain(printable(f"{one.place}: {entry}"))
    runnable = [test for test in tests if isinstance(test, APITest)]
    results = run(runnable) if runnable else None
    for each in tests:
        result = each
        if isinstance(each, APITest):
            assert results is not None
            result = await anext(results)
        assert isinstance(result, Result)
        show(result.as_json())
        if result.status is not Status.PASSED:
            exit_code = max(exit_code, ExitCode.FAILED)
    if results is not None:
        assert await anext(results, None) is None, "more results than tests"
    return exit_code


def as_line(outcome: Any, *, as_json: bool, colour: bool) -> str:
    return json_line(outcome) if as_json else line(outcome, colour=colour)


def _test(definition: Definition) -> APITest | Result:
    try:
        return parse(definition.value)
    except TestError as error:
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
