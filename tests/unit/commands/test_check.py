"""`check`: each result with its definition as it comes, a summary also when interrupted, and a script's exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from tests.support.definitions import http_test
from tests.support.reported import Heard
from tests.unit.commands.found import BARE, INVALID, MISSPELT, UNUSABLE, VALID
from worker.apitest.definition import APITest
from worker.apitest.files import Definition, Unusable
from worker.apitest.result import Result, Status
from worker.apitest.retry import Retry
from worker.commands.check import check


def named(name: str) -> Definition:
    return Definition(file="a.json", index=0, value=http_test(name))


def result(test: APITest) -> Result:
    status = Status.FAILED if test.name.startswith("bad") else Status.PASSED
    return Result(test_public_id="", test_name=test.name, test_subtype="http", test_version=1, status=status)


async def run(tests: Sequence[APITest]) -> AsyncGenerator[tuple[int, Result], None]:
    for index, test in enumerate(tests):
        yield index, result(test)


async def outcome(*found: Definition | Unusable) -> tuple[int, Heard]:
    heard = Heard()
    return await check(found, run, heard), heard


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
    _, heard = await outcome(named("one"), INVALID, UNUSABLE, named("bad two"), named("three"))
    assert [(one["test"]["name"], one["status"]) for one in heard.outcomes] == [
        ("front page", "failed"),
        ("one", "passed"),
        ("bad two", "failed"),
        ("three", "passed"),
    ]
    assert heard.outcomes[0]["failure"]["code"] == "INVALID_TEST"
    assert "config.request: is missing" in heard.outcomes[0]["failure"]["message"]
    assert heard.unusable == [UNUSABLE]
    assert heard.places == [INVALID.place, *["a.json[0]"] * 3]
    assert heard.order == ["begin", "refuse", "take", "take", "take", "take", "end"]


async def test_a_result_is_told_with_the_definition_that_it_is_of_whatever_order_they_come_in() -> None:
    async def backwards(tests: Sequence[APITest]) -> AsyncGenerator[tuple[int, Result], None]:
        for index, test in reversed(list(enumerate(tests))):
            yield index, result(test)

    heard = Heard()
    found = [Definition(file=f"{name}.json", value=http_test(name)) for name in ("one", "two", "three")]
    await check([INVALID, *found], backwards, heard)
    assert heard.places == ["a.jsonl:7", "three.json", "two.json", "one.json"]
    assert [each["test"]["name"] for each in heard.outcomes] == ["front page", "three", "two", "one"]


@pytest.mark.parametrize(("milliseconds", "seconds"), [(300, 0.3), (5_000, 5.0), (300_000, 5.0)])
async def test_retries_are_made_here_whatever_their_interval(milliseconds: int, seconds: float) -> None:
    given: list[APITest] = []

    async def noting(tests: Sequence[APITest]) -> AsyncGenerator[tuple[int, Result], None]:
        given.extend(tests)
        yield 0, result(tests[0])

    options = {"retry": {"count": 2, "interval": milliseconds}}
    await check([Definition(file="a.json", value=http_test(options=options))], noting, Heard())
    assert given[0].retry == Retry(count=2, interval=seconds)
    assert given[0].retry.is_fast


async def test_a_test_that_its_file_skips_is_told_and_not_run() -> None:
    skipped = Definition(file="s.json", index=1, value=http_test("bad"), skipped=True)
    code, heard = await outcome(VALID, skipped)
    assert (code, len(heard.outcomes), len(heard.expected)) == (0, 1, 1)
    assert heard.remarks == ["s.json[1]: executionRule: skipped, and so it is not run"]


async def test_what_a_test_is_run_without_is_told_beside_its_result() -> None:
    code, heard = await outcome(BARE, VALID)
    assert (code, len(heard.outcomes)) == (0, 2)
    assert heard.remarks == [
        "c.json: config.request.certificate: without its contents, which exports leave out: no client certificate is shown"
    ]


async def test_nothing_is_started_when_there_is_nothing_to_run() -> None:
    def never(tests: Sequence[APITest]) -> AsyncGenerator[tuple[int, Result], None]:
        raise AssertionError("started")

    assert await check([UNUSABLE, INVALID], never, Heard()) == 2


async def test_the_last_thing_is_a_summary() -> None:
    _, mixed = await outcome(named("one"), named("bad two"), INVALID)
    _, single = await outcome(VALID)
    assert (mixed.summary, single.summary) == ("3 tests: 1 passed, 2 failed", "1 test: 1 passed")


async def test_an_interrupt_keeps_what_is_done_and_sums_it_up() -> None:
    heard = Heard()
    waiting = asyncio.Event()

    async def half(tests: Sequence[APITest]) -> AsyncGenerator[tuple[int, Result], None]:
        yield 0, result(tests[0])
        waiting.set()
        await asyncio.Event().wait()

    checking = asyncio.create_task(check([named("one"), named("two")], half, heard))
    await waiting.wait()
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert [one["test"]["name"] for one in heard.outcomes] == ["one"]
    assert heard.summary == "interrupted after 1 of 2 tests: 1 passed"


async def test_a_misspelt_member_is_told_beside_the_result() -> None:
    _, heard = await outcome(MISSPELT)
    assert len(heard.outcomes) == 1
    assert heard.remarks[0].startswith("d.json: options: the member 'tick_evry' is not known: did you mean")
