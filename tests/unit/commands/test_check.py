"""`check`: results as they come, a summary also when interrupted, and the exit code that a script wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.support.definitions import http_test
from tests.unit.commands.found import INVALID, MISSPELT, RETRIED, UNUSABLE, VALID
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


async def test_what_is_invalid_comes_first_and_then_the_results_as_they_come() -> None:
    _, shown, complaints = await outcome(named("one"), INVALID, UNUSABLE, named("bad two"), named("three"))
    assert [(one["test"]["name"], one["status"]) for one in shown] == [
        ("front page", "failed"),
        ("one", "passed"),
        ("bad two", "failed"),
        ("three", "passed"),
    ]
    assert shown[0]["failure"]["code"] == "INVALID_TEST"
    assert "config.request: is missing" in shown[0]["failure"]["message"]
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


def named_many(*names: str) -> list[Definition]:
    return [named(name) for name in names]


async def test_the_last_line_sums_up() -> None:
    lines: list[str] = []
    found = [*named_many("one", "bad two"), INVALID]
    await check(found, run, show=lambda _: None, complain=lambda _: None, sum_up=lines.append)
    await check([VALID], run, show=lambda _: None, complain=lambda _: None, sum_up=lines.append)
    assert lines == ["3 tests: 1 passed, 2 failed", "1 test: 1 passed"]


async def test_an_interrupt_keeps_what_is_done_and_sums_it_up() -> None:
    lines: list[str] = []
    shown: list[Any] = []
    first_is_shown = asyncio.Event()

    async def half(tests: Sequence[APITest]) -> AsyncIterator[Result]:
        yield result(tests[0])
        first_is_shown.set()
        await asyncio.Event().wait()

    found = named_many("one", "two")
    checking = asyncio.create_task(check(found, half, show=shown.append, complain=lambda _: None, sum_up=lines.append))
    await first_is_shown.wait()
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert [one["test"]["name"] for one in shown] == ["one"]
    assert lines == ["interrupted after 1 of 2 tests: 1 passed"]


async def test_a_misspelt_member_is_told_beside_the_result() -> None:
    _, shown, complaints = await outcome(MISSPELT)
    assert len(shown) == 1
    assert complaints[0].startswith("d.json: options: the member 'tick_evry' is not known: did you mean")
