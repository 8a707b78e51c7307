"""The order of steps, on a clock that only the test moves, with requests whose ends the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.definitions import extracted, http_test, multistep, step, subtest, wait
from worker.apitest.built_ins import BuiltIns
from worker.apitest.definition import APITest
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.result import AssertionResult, Verdict
from worker.apitest.variables import Variable, Variables
from worker.net.http.cookies import Cookies
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings
from worker.secret import Secret
from worker.work.execution import Execution
from worker.work.scripts import SetVariables
from worker.work.steps import LONGEST_RUN, Played, play

REFUSED = Failure(FailureCode.CONNREFUSED, "refused")
ANSWER = HTTPResponse(url="http://a.test/", status=200, http_version="1.1", headers=(), body=b"")


class Target:
    """Executes requests by the name of their step: as often as *failures* says they fail; each takes *seconds*."""

    def __init__(self, clock: FakeClock, failures: Mapping[str, int] | None = None, seconds: float = 1.0) -> None:
        self.clock = clock
        self.failures = dict(failures or {})
        self.seconds = seconds
        self.asked: list[str] = []
        self.timeouts: list[float] = []
        self.cookies: list[Cookies | None] = []
        self.values: dict[str, str | None] = {}
        self.requests: list[HTTPRequest] = []

    async def execute(self, test: APITest, cookies: Cookies | None) -> Execution:
        assert test.request is not None
        assert isinstance(test.request, HTTPRequest)
        self.requests.append(test.request)
        self.asked.append(test.name)
        self.timeouts.append(test.request.timeout)
        self.cookies.append(cookies)
        await self.clock.sleep(self.seconds)
        self.failures[test.name] = self.failures.get(test.name, 0) - 1
        failure = REFUSED if self.failures[test.name] >= 0 else None
        timings = Timings((("tcp", 10), ("firstByte", 20)))
        return Execution(
            verdict=Verdict(failure=failure),
            observation=Observation(timings=timings, failure=failure, response=None if failure else ANSWER),
            extracted=tuple(self._found(each.name) for each in test.extractions) if failure is None else (),
        )

    async def run_script(
        self, _test: APITest, code: str, _known: Iterable[Variable], _observation: Observation
    ) -> SetVariables:
        """Set what *code* says, as `NAME=VALUE`; fail where it says nothing like that."""
        name, separator, value = code.partition("=")
        if not separator:
            return SetVariables(failure=Failure(FailureCode.INVALID_TEST, code))
        return SetVariables(variables=(Variable(name=name, value=Secret(value)),))

    def _found(self, name: str) -> AssertionResult:
        value = self.values.get(name)
        reason = "it is not there" if value is None else None
        return AssertionResult(
            type="http_body", operator="raw", expected="", actual=value, valid=value is not None, error_message=reason
        )


async def begun(target: Target, *steps: dict[str, Any], given: Mapping[str, str] | None = None) -> Played:
    """Play *steps* as a run does that was *given* variables."""
    test = parse(multistep(*steps, public_id="abc-def-ghi"))
    built_in = BuiltIns(at=target.clock.now(), random=Random(1), public_id=test.public_id, result_id="the-job")
    variables = [Variable(name=name, value=Secret(value)) for name, value in (given or {}).items()]
    return await play(test, target.execute, target.run_script, target.clock, Variables(tuple(variables)), built_in)


async def played(
    *steps: dict[str, Any], failing: Mapping[str, int] | None = None, target: Target | None = None
) -> tuple[Played, Target]:
    target = target or Target(FakeClock(), failing)
    task = asyncio.create_task(begun(target, *steps))
    await target.clock.advance(2 * LONGEST_RUN)
    return await task, target


def rows(found: Played) -> dict[str, str]:
    return {row.name: row.status.value for row in found.rows}


FOREVER = 1000


async def test_steps_run_in_order_and_each_has_its_row_and_its_phases() -> None:
    found, target = await played(step("a"), wait(2.5, "b"), step("c"))
    assert target.asked == ["a", "c"]
    assert rows(found) == {"a": "passed", "b": "passed", "c": "passed"}
    assert [row.timings.as_json() for row in found.rows] == [
        {"tcp": 1.0, "firstByte": 2.0, "total": 3.0},
        {"wait": 2500.0, "total": 2500.0},
        {"tcp": 1.0, "firstByte": 2.0, "total": 3.0},
    ]
    assert (found.failure, found.exited_on_step_success) == (None, False)


@pytest.mark.parametrize(
    ("members", "statuses", "failed"),
    [
        ({}, ["passed", "failed", "skipped", "skipped"], True),
        ({"isCritical": True}, ["passed", "failed", "skipped", "skipped"], True),
        ({"allowFailure": True}, ["passed", "failed", "passed", "passed"], False),
        ({"allowFailure": True, "isCritical": True}, ["passed", "failed", "passed", "passed"], True),
        ({"exitIfSucceed": True}, ["passed", "failed", "skipped", "skipped"], True),
        ({"exitIfSucceed": True, "allowFailure": True}, ["passed", "failed", "passed", "passed"], False),
    ],
)
async def test_a_step_that_fails_ends_the_test_unless_it_may(
    members: dict[str, Any], statuses: list[str], failed: bool
) -> None:
    found, _ = await played(step("a"), step("b", **members), step("c"), wait(1, "d"), failing={"b": FOREVER})
    assert list(rows(found).values()) == statuses
    assert found.failure == (REFUSED if failed else None)


async def test_a_step_that_passes_may_end_the_test_as_passed() -> None:
    found, target = await played(step("a"), step("b", exitIfSucceed=True), step("c"))
    assert rows(found) == {"a": "passed", "b": "passed", "c": "skipped"}
    assert (found.failure, found.exited_on_step_success, target.asked) == (None, True, ["a", "b"])


async def test_an_early_end_does_not_undo_a_critical_failure() -> None:
    critical = step("a", allowFailure=True, isCritical=True)
    found, _ = await played(critical, step("b", exitIfSucceed=True), failing={"a": FOREVER})
    assert (found.failure, found.exited_on_step_success) == (REFUSED, False)


async def test_a_step_may_run_whatever_happened_before_it() -> None:
    found, target = await played(
        step("a"), step("b"), step("clean up", alwaysExecute=True), step("d"), failing={"a": FOREVER}
    )
    assert rows(found) == {"a": "failed", "b": "skipped", "clean up": "passed", "d": "skipped"}
    assert (found.failure, target.asked) == (REFUSED, ["a", "clean up"])


async def test_of_two_failures_the_first_one_counts() -> None:
    found, _ = await played(
        step("a", allowFailure=True, isCritical=True), step("b"), failing={"a": FOREVER, "b": FOREVER}
    )
    assert found.failure is found.rows[0].failure


async def test_a_step_is_tried_again_and_its_last_execution_decides() -> None:
    found, target = await played(step("a", retry={"count": 3, "interval": 1000}), step("b"), failing={"a": 2})
    assert target.asked == ["a", "a", "a", "b"]
    assert [(row.status.value, row.retries) for row in found.rows] == [("passed", 2), ("passed", 0)]


async def test_a_step_that_never_passes_is_tried_as_often_as_it_says() -> None:
    found, target = await played(step("a", retry={"count": 2, "interval": 300}), failing={"a": FOREVER})
    assert (target.asked, found.rows[0].retries, found.failure) == (["a"] * 3, 2, REFUSED)


async def test_a_subtest_is_a_row_with_rows_of_its_own() -> None:
    inner = multistep(step("c"), wait(1, "d"), public_id="inn-inn-inn")
    found, _ = await played(step("a"), subtest("inn-inn-inn", "b", subtest=inner))
    row = found.rows[1]
    assert (row.status.value, row.public_id, [each.name for each in row.steps]) == ("passed", "inn-inn-inn", ["c", "d"])
    assert row.timings.total_tenths == sum(each.timings.total_tenths for each in row.steps) == 10_030


async def test_a_subtest_that_fails_is_a_step_that_fails() -> None:
    inner = multistep(step("c"), step("d"))
    found, target = await played(subtest("inn-inn-inn", "b", subtest=inner), step("e"), failing={"c": FOREVER})
    assert (rows(found), rows(Played(rows=found.rows[0].steps))) == (
        {"b": "failed", "e": "skipped"},
        {"c": "failed", "d": "skipped"},
    )
    assert (found.failure, target.asked) == (REFUSED, ["c"])


async def test_an_early_end_within_a_subtest_ends_the_subtest_alone() -> None:
    inner = multistep(step("c", exitIfSucceed=True), step("d"))
    found, target = await played(subtest("inn-inn-inn", "b", subtest=inner), step("e"))
    assert (target.asked, found.failure, found.exited_on_step_success) == (["c", "e"], None, False)


async def test_a_value_that_is_not_there_fails_its_step() -> None:
    found, _ = await played(step("a", extractedValues=[extracted("TOKEN")]), step("b"))
    assert rows(found) == {"a": "failed", "b": "skipped"}
    assert found.failure == Failure(FailureCode.INCORRECT_ASSERTION, "TOKEN could not be extracted: it is not there")


async def test_values_stand_in_the_row_of_their_step_unless_they_are_secure() -> None:
    target = Target(FakeClock())
    target.values = {"TOKEN": "s3cret-s3cret", "NUMBER": "5"}
    asked = [extracted("TOKEN", secure=True), extracted("NUMBER")]
    found, _ = await played(step("a", extractedValues=asked), target=target)
    assert [value.as_json() for value in found.rows[0].extracted] == [
        {"name": "TOKEN", "secure": True},
        {"name": "NUMBER", "secure": False, "value": "5"},
    ]
    assert "s3cret" not in str(found.rows[0].as_json())


async def test_cookies_are_shared_by_the_steps_that_say_so() -> None:
    keeping: dict[str, Any] = {"request": {"persistCookies": True}}
    inner = multistep(step("d", **keeping))
    _, target = await played(step("a", **keeping), step("b"), step("c", **keeping), subtest("x-x-x", subtest=inner))
    first, none, third, within = target.cookies
    assert none is None
    assert first is third is within
    assert first is not None


async def test_the_whole_test_has_half_an_hour_and_no_more() -> None:
    target = Target(FakeClock(), seconds=400)
    found, _ = await played(*[step(name, request={"timeout": 500}) for name in "abcdef"], target=target)
    assert target.timeouts == [500, 500, 500, 500, 200]
    assert list(rows(found).values()) == ["passed"] * 5 + ["failed"]
    assert found.failure == Failure(FailureCode.TIMEOUT, "the test was not done within 30 minutes")


async def test_a_step_that_the_end_of_the_time_cuts_short_fails_for_that() -> None:
    target = Target(FakeClock(), {"d": FOREVER}, seconds=500)
    found, _ = await played(*[step(name, request={"timeout": 500}) for name in "abcde"], target=target)
    assert list(rows(found).values()) == ["passed"] * 3 + ["failed", "skipped"]
    assert found.failure == Failure(FailureCode.TIMEOUT, "the test was not done within 30 minutes")


async def test_no_failure_is_allowed_to_outlive_the_time_of_the_test() -> None:
    target = Target(FakeClock(), {"b": FOREVER}, seconds=1)
    retry = {"count": 10, "interval": 600_000}
    found, _ = await played(
        step("a"),
        step("b", retry=retry, allowFailure=True),
        step("c", alwaysExecute=True),
        target=target,
    )
    assert target.asked == ["a", "b", "b", "b"]
    assert list(rows(found).values()) == ["passed", "failed", "skipped"]
    assert found.failure == Failure(FailureCode.TIMEOUT, "the test was not done within 30 minutes")
    assert target.clock.monotonic_ns() >= LONGEST_RUN * 1e9


async def test_waits_end_with_the_time_of_the_test() -> None:
    found, target = await played(*[wait(170, str(number)) for number in range(11)], step("last"))
    assert list(rows(found).values()) == ["passed"] * 10 + ["failed", "skipped"]
    assert found.rows[10].timings.total_tenths == 1_000_000
    assert target.asked == []


async def test_a_wait_can_be_cut_short() -> None:
    target = Target(FakeClock())
    task = asyncio.create_task(begun(target, wait(100), step("a")))
    await target.clock.advance(50)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await target.clock.advance(100)
    assert target.asked == []


async def test_the_workers_trouble_in_any_step_is_the_tests() -> None:
    target = Target(FakeClock())
    execute = target.execute

    async def troubled(test: APITest, cookies: Cookies | None) -> Execution:
        done = await execute(test, cookies)
        return Execution(verdict=done.verdict, observation=done.observation, trouble=f"trouble in {test.name}")

    target.execute = troubled  # type: ignore[method-assign]
    found, _ = await played(step("a"), step("b"), target=target)
    assert found.trouble == "trouble in a"


TOKEN = [extracted("TOKEN", "json_path", "$.token", secure=True), extracted("ORDER")]


async def test_a_value_stands_in_the_steps_behind_it() -> None:
    target = Target(FakeClock())
    target.values = {"TOKEN": "t-1", "ORDER": "42"}
    later = step(
        "b",
        "https://shop.test/orders/{{ ORDER }}?from={{ result-id }}",
        request={"headers": {"X-Token": "{{ TOKEN }}"}},
    )
    found, _ = await played(step("a", extractedValues=TOKEN), later, target=target)
    assert found.failure is None
    assert target.requests[1].url == "https://shop.test/orders/42?from=the-job"
    assert target.requests[1].headers == (("X-Token", "t-1"),)
    assert [secret.reveal() for secret in found.secrets] == ["t-1"]


async def test_a_later_value_takes_the_place_of_an_earlier_one() -> None:
    target = Target(FakeClock())
    steps = [step(name, "https://shop.test/{{ ORDER }}", extractedValues=TOKEN[1:]) for name in "bc"]
    target.values = {"ORDER": "new"}
    task = asyncio.create_task(begun(target, *steps, given={"ORDER": "given"}))
    await target.clock.advance(10)
    assert (await task).failure is None
    assert [request.url.rpartition("/")[2] for request in target.requests] == ["given", "new"]


async def test_a_name_without_a_value_fails_its_step_and_is_named_with_its_place() -> None:
    target = Target(FakeClock(), {"a": FOREVER})
    target.values = {"ORDER": "42"}
    found, _ = await played(
        step("a", extractedValues=TOKEN[1:], allowFailure=True),
        step("b", "https://shop.test/{{ ORDER }}"),
        target=target,
    )
    assert target.asked == ["a"]
    assert found.failure == Failure(
        FailureCode.INVALID_TEST, "config.steps[1].request.url: no variable is called 'ORDER'"
    )


async def test_what_a_value_makes_of_a_request_is_judged_when_it_is_there() -> None:
    target = Target(FakeClock())
    target.values = {"METHOD": "FETCH"}
    found, _ = await played(
        step("a", extractedValues=[extracted("METHOD")]), step("b", request={"method": "{{ METHOD }}"}), target=target
    )
    assert target.asked == ["a"]
    assert found.failure is not None
    assert found.failure.code is FailureCode.INVALID_TEST
    assert found.failure.message.startswith("config.steps[1].request.method: must be one of GET,")


async def test_values_are_not_looked_into_for_templates() -> None:
    target = Target(FakeClock())
    target.values = {"ORDER": "{{ TOKEN }}", "TOKEN": "secret"}
    found, _ = await played(
        step("a", extractedValues=TOKEN), step("b", request={"body": "{{ ORDER }}", "method": "POST"}), target=target
    )
    assert found.failure is None
    assert target.requests[1].body == b"{{ TOKEN }}"


async def test_values_that_multiply_end_at_a_bound() -> None:
    target = Target(FakeClock())
    target.values = {"ORDER": "x" * 50_000}
    found, _ = await played(
        step("a", extractedValues=TOKEN[1:]),
        step("b", request={"body": "{{ ORDER }}" * 1000, "method": "POST"}),
        step("c"),
        target=target,
    )
    assert target.asked == ["a"]
    assert found.failure is not None
    assert (
        found.failure.message
        == "config.steps[1].request.body: the values of templates add more than 1048576 characters"
    )


async def test_each_try_of_a_step_is_rendered_anew() -> None:
    target = Target(FakeClock(), {"a": 2})
    await played(step("a", "https://shop.test/{{ numeric(20) }}", retry={"count": 3, "interval": 10}), target=target)
    assert len({request.url for request in target.requests}) == 3


async def test_what_is_set_before_a_subtest_wins_over_what_it_says_itself() -> None:
    target = Target(FakeClock())
    target.values = {"ORDER": "inner", "NEW": "fresh", "OTHER": "x"}
    declared = [
        {"name": "ORDER", "type": "text", "pattern": "declared"},
        {"name": "OWN", "type": "text", "pattern": "own"},
    ]
    inner = multistep(
        step("b", "https://shop.test/{{ ORDER }}/{{ OWN }}", extractedValues=[extracted("ORDER"), extracted("NEW")]),
        step("c", "https://shop.test/{{ ORDER }}/{{ NEW }}"),
    )
    inner["config"]["configVariables"] = declared
    task = asyncio.create_task(
        begun(
            target,
            subtest("inn-inn-inn", subtest=inner),
            step("d", "https://shop.test/{{ ORDER }}/{{ NEW }}"),
            given={"ORDER": "outer"},
        )
    )
    await target.clock.advance(10)
    assert (await task).failure is None
    assert [request.url.partition("test/")[2] for request in target.requests] == [
        "outer/own",
        "outer/fresh",
        "outer/fresh",
    ]


async def test_more_secure_values_than_can_be_looked_for_end_the_test_and_show_nothing() -> None:
    target = Target(FakeClock())
    target.values = {f"V{number}": "x" * 50_000 for number in range(6)}
    asked = [extracted(name, secure=True) for name in target.values]
    found, _ = await played(step("a", extractedValues=asked[:5]), step("b", extractedValues=asked[5:]), target=target)
    assert [row.status.value for row in found.rows] == ["passed", "failed"]
    assert found.failure is not None
    assert found.failure.message == "$: the secure variables of one run hold more than 262144 characters"
    assert (found.rows[1].response, found.rows[1].assertions, found.rows[1].extracted) == (None, (), ())


async def test_a_script_on_a_response_sets_variables_for_the_steps_behind_it() -> None:
    found, _ = await played(
        step("a", "http://a.test/", extractedValuesFromScript="ID=42"), step("b", "http://b.test/{{ ID }}")
    )
    assert rows(found) == {"a": "passed", "b": "passed"}
    assert [value.name for value in found.rows[0].extracted] == ["ID"]


async def test_a_script_that_fails_fails_its_step() -> None:
    found, _ = await played(
        step("a", "http://a.test/", extractedValuesFromScript="broken"), step("b", "http://b.test/")
    )
    assert rows(found) == {"a": "failed", "b": "skipped"}
    assert found.failure == Failure(FailureCode.INVALID_TEST, "extractedValuesFromScript: broken")


@pytest.mark.parametrize("failing", [{}, {"a": FOREVER}])
async def test_a_script_behind_a_subtest_sets_variables_for_the_steps_behind_it(failing: dict[str, int]) -> None:
    inner = multistep(step("a", "http://a.test/"))
    found, target = await played(
        subtest("inn-inn-inn", "s", subtest=inner, extractedValuesFromScript="ID=42", allowFailure=True),
        step("b", "http://b.test/{{ ID }}"),
        failing=failing,
    )
    assert rows(found)["s"] == ("failed" if failing else "passed")
    assert [(value.name, value.value) for value in found.rows[0].extracted] == [("ID", "42")]
    assert target.requests[-1].url == "http://b.test/42"


async def test_a_subtest_may_be_a_test_of_one_request() -> None:
    inner = http_test("b", "http://b.test/{{ ORDER }}/{{ OWN }}")
    inner["config"]["configVariables"] = [{"name": "OWN", "type": "text", "pattern": "own"}]
    target = Target(FakeClock())
    target.values = {"ORDER": "42"}
    found, _ = await played(
        step("a", extractedValues=[extracted("ORDER")]), subtest("inn-inn-inn", "s", subtest=inner), target=target
    )
    assert rows(found) == {"a": "passed", "s": "passed"}
    assert [(row.name, row.status.value) for row in found.rows[1].steps] == [("b", "passed")]
    assert target.requests[1].url == "http://b.test/42/own"


def with_script(script: str) -> dict[str, Any]:
    inner = multistep(step("b", "http://b.test/{{ ID }}"), public_id="inn-inn-inn")
    inner["config"]["variablesFromScript"] = script
    return inner


@pytest.mark.parametrize(("outside", "expected"), [({}, "42"), ({"ID": "outer"}, "outer")])
async def test_the_script_of_a_subtest_runs_before_its_steps_and_what_is_set_outside_wins(
    outside: dict[str, str], expected: str
) -> None:
    target = Target(FakeClock())
    steps = (subtest("inn-inn-inn", "s", subtest=with_script("ID=42")), step("c", "http://c.test/{{ ID }}"))
    task = asyncio.create_task(begun(target, *steps, given=outside))
    await target.clock.advance(10)
    assert (await task).failure is None
    assert [request.url for request in target.requests] == [f"http://b.test/{expected}", f"http://c.test/{expected}"]


async def test_the_script_of_a_subtest_that_fails_fails_it_and_nothing_is_asked() -> None:
    found, target = await played(subtest("inn-inn-inn", "s", subtest=with_script("broken")), step("c"))
    assert rows(found) == {"s": "failed", "c": "skipped"}
    assert (found.rows[0].steps, target.asked) == ((), [])
    assert found.failure == Failure(FailureCode.INVALID_TEST, "config.variablesFromScript: broken")


async def test_a_script_behind_a_subtest_that_fails_fails_the_subtest() -> None:
    inner = multistep(step("a", "http://a.test/"))
    found, _ = await played(subtest("inn-inn-inn", "s", subtest=inner, extractedValuesFromScript="broken"), step("b"))
    assert rows(found) == {"s": "failed", "b": "skipped"}
    assert found.failure == Failure(FailureCode.INVALID_TEST, "extractedValuesFromScript: broken")
    assert [row.status.value for row in found.rows[0].steps] == ["passed"]
