"""`check`: results in the order of the definitions, invalid ones among them, and the exit code that a script wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.support.definitions import http_test
from tests.unit.commands.found import INVALID, RETRIED, UNUSABLE, VALID
from worker.apitest.definition import APITest
from worker.apitest.files import Definition, Unusable
from worker.apitest.result import Result, Status
from worker.commands.check import as_line, check


def named(name: str) -> Definition:
    return Definition(file="a.json", index=0, value=http_test(name))


def result(test: APITest) -> Result:
    status = Status.FAILED if test.name.startswith("bad") else Status.PASSED
    return Result(test_public_id="", test_name=test.name, test_subtype="http", test_version=1, status=status)


async def run(tests: Sequence[APITest]) -> AsyncIterator[Result]:
    for test in tests:
        yield result(test)


async def outcome(*found: Definition | Unusable) -> tuple[int, list[Any], list[str]]:
    shown: list[Any] = []
    complaints: list[str] = []
    return await check(found, run, show=shown.append, complain=complaints.append), shown, complaints


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([VALID], 0),
        ([VALID, named("bad")], 1),
        ([VALID, INVALID], 1),
        ([named("bad"), UNUSABLE, VALID], 2),
        ([UNUSABLE], 2),
    ],
)
async def test_the_exit_code_is_the_worst_outcome(found: list[Definition | Unusable], code: int) -> None:
    assert (await outcome(*found))[0] == code


async def test_results_come_in_the_order_of_the_definitions_the_invalid_ones_among_them() -> None:
    _, shown, complaints = await outcome(named("one"), INVALID, UNUSABLE, named("bad two"), named("three"))
    assert [(one["test"]["name"], one["status"]) for one in shown] == [
        ("one", "passed"),
        ("front page", "failed"),
        ("bad two", "failed"),
        ("three", "passed"),
    ]
    assert shown[1]["failure"]["code"] == "INVALID_TEST"
    assert "config.request: is missing" in shown[1]["failure"]["message"]
    assert complaints == ["b.json: is not valid JSON"]


async def test_what_a_test_is_run_without_is_told_beside_its_result() -> None:
    code, shown, complaints = await outcome(RETRIED, VALID)
    assert (code, len(shown)) == (0, 2)
    assert complaints == [
        "c.json: options.retry: not executed: a run that fails is not run again before it is reported"
    ]


async def test_nothing_is_started_when_there_is_nothing_to_run() -> None:
    def never(tests: Sequence[APITest]) -> AsyncIterator[Result]:
        raise AssertionError("started")

    assert await check([UNUSABLE, INVALID], never, show=lambda _: None, complain=lambda _: None) == 2


async def test_a_result_is_a_line_for_people_or_an_object_for_programs() -> None:
    _, (shown,), _ = await outcome(named("one"))
    assert as_line(shown, as_json=True, colour=False).startswith('{"test":{"public_id":"","name":"one"')
    assert as_line(shown, as_json=False, colour=False) == "✓ passed  one"
    assert "\x1b[" in as_line(shown, as_json=False, colour=True)


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\x9bb", "a\x7fb", "a\u202eb", "a\u2066b"])
async def test_what_a_definition_or_a_file_is_called_cannot_command_the_terminal(name: str) -> None:
    odd = Definition(file=f"{name}.json", index=0, value=http_test(name, options={"retry": {"count": 2}}))
    _, (shown,), complaints = await outcome(odd, Unusable(file=name, reason=f"is not {name}"))
    told = [*complaints, *(as_line(shown, as_json=as_json, colour=False) for as_json in (True, False))]
    assert all(line.isprintable() for line in told)
    assert json.loads(told[-2])["test"]["name"] == name
