"""Scripts of a test, before its request and on its response, with a real target and real evaluators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.work.runners import LIMITS, definition, runner
from tests.support.observed import LIMITS as CHECKS
from tests.support.observed import http
from tests.support.servers.target import Target, running_target
from tests.support.starvation import unstarved
from worker.apitest.observation import Observation
from worker.apitest.parse import parse
from worker.apitest.result import Result
from worker.apitest.variables import Variable
from worker.clock import SystemClock
from worker.evaluators.exit_cause import STARVED
from worker.evaluators.pool import Evaluators
from worker.outcome.failure import FailureCode
from worker.outcome.phases import Timings
from worker.secret import Secret
from worker.work.scripts import SetVariables, run_script


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


@pytest.fixture
async def evaluators() -> AsyncIterator[Evaluators]:
    async with Evaluators(1, replace(CHECKS, pattern_seconds=0.2), SystemClock()) as running:
        yield running


def javascript(code: str) -> dict[str, Any]:
    return {"type": "javascript", "code": code}


async def run(test: dict[str, Any], before: str = "") -> Result:
    test["config"]["variablesFromScript"] = before
    async with runner(LIMITS) as running:
        return await running.run(parse(test))


async def script_done(
    code: str, known: tuple[Variable, ...], seen: Observation, evaluators: Evaluators
) -> SetVariables:
    return await unstarved(
        lambda: run_script(code, known, seen, evaluators, test_key="a", seconds=5),
        lambda done: done.failure is not None and STARVED.reason in done.failure.message,
    )


async def test_scripts_of_a_test_see_its_response_and_say_why_they_do_not_hold(target: Target) -> None:
    result = await run(
        definition(
            target.url,
            javascript("dd.expect(dd.response.statusCode).to.equal(200)"),
            javascript("console.log('read'); JSON.parse(dd.response.body).should.have.property('nothing')"),
        )
    )
    assert result.failure is not None
    assert result.failure.code is FailureCode.INCORRECT_ASSERTION
    assert [each.valid for each in result.assertions] == [True, False]
    assert (result.assertions[1].error_message or "").endswith("to have property 'nothing'")
    assert result.assertions[1].as_json()["log"] == "read"
    assert result.response is not None
    assert result.response["body"]


async def test_a_test_that_keeps_its_body_to_itself_shows_no_words_of_its_scripts(target: Target) -> None:
    code = "console.log(dd.response.body); dd.response.body.should.equal('')"
    result = await run(definition(target.url, javascript(code), noSavingResponseBody=True))
    (shown,) = result.assertions
    assert (shown.valid, shown.log, shown.actual) == (False, None, None)
    assert shown.error_message == "it does not hold (this test keeps the response body to itself)"


async def test_what_is_set_before_the_request_is_there_for_the_scripts_after_it(target: Target) -> None:
    after = javascript("dd.expect(dd.variable.get('WANTED')).to.equal('200')")
    result = await run(definition(target.url, after), "dd.variable.set('WANTED', 200)")
    assert result.failure is None


async def test_what_a_script_sets_is_there_for_templates_and_wins_over_what_is_declared(target: Target) -> None:
    test = definition(target.url, {"type": "body", "operator": "contains", "target": "{{ WORD }}"})
    test["config"]["configVariables"] = [
        {"name": "PART", "type": "text", "pattern": "sta"},
        {"name": "WORD", "type": "text", "pattern": "declared"},
    ]
    result = await run(test, "dd.variable.set('WORD', dd.variable.get('PART') + 'tus')")
    assert result.failure is None


async def test_a_secure_value_of_a_script_is_in_no_result(target: Target) -> None:
    shown = javascript("throw new Error(dd.variable.get('TOKEN'))")
    test = definition(target.url, {"type": "body", "operator": "contains", "target": "{{ TOKEN }}"}, shown)
    result = await run(test, "dd.variable.setObfuscated('TOKEN', 'v3ry' + 's3cret')")
    assert result.failure is not None
    assert "v3rys3cret" not in str(result.as_json())
    assert "<redacted>" in (result.assertions[1].error_message or "")
    failed = await run(
        definition(target.url), "dd.variable.setObfuscated('A', 'v3ry' + 's3cret'); throw dd.variable.get('A')"
    )
    assert failed.failure is not None
    assert failed.failure.message == "config.variablesFromScript: the script threw <redacted>"


@pytest.mark.parametrize(
    ("before", "code", "reason"),
    [
        ("throw new Error('no key')", FailureCode.INVALID_TEST, "config.variablesFromScript: Error: no key"),
        ("dd.response.body", FailureCode.INVALID_TEST, "config.variablesFromScript: TypeError: cannot read property"),
        (
            "dd.variable.set('a{b', 1)",
            FailureCode.INVALID_TEST,
            "config.variablesFromScript: 'a{b' is not a valid name",
        ),
    ],
)
async def test_a_script_that_fails_before_the_request_sends_none(
    target: Target, before: str, code: FailureCode, reason: str
) -> None:
    target.hits.clear()
    result = await run(definition(target.url), before)
    assert result.failure is not None
    assert (result.failure.code, dict(target.hits)) == (code, {})
    assert result.failure.message.startswith(reason)


async def test_a_script_that_never_ends_is_stopped_before_the_request(target: Target) -> None:
    target.hits.clear()
    result = await run(definition(target.url), "for (;;);")
    assert result.failure is not None
    assert dict(target.hits) == {}
    assert result.failure.message.startswith("config.variablesFromScript: ")
    # On a machine without time for its evaluators the wall clock stops it first, and the run says so.
    assert result.failure.code is FailureCode.TIMEOUT or result.unhealthy is not None


async def test_variables_are_got_set_and_marked(evaluators: Evaluators) -> None:
    known = (Variable(name="KEY", value=Secret("k3y"), secure=True),)
    code = (
        "dd.variable.setObfuscated('TOKEN', dd.variable.get('KEY') + dd.response.statusCode); dd.variable.set('N', 1)"
    )
    done = await script_done(code, known, http(b"{}"), evaluators)
    assert done.failure is None
    assert {each.name: (each.value.reveal(), each.secure) for each in done.variables} == {
        "TOKEN": ("k3y200", True),
        "N": ("1", False),
    }
    assert "k3y" not in repr(done)


async def test_what_a_failed_script_had_set_is_known(evaluators: Evaluators) -> None:
    code = "dd.variable.setObfuscated('A', 's3cret'); throw new Error('no')"
    done = await script_done(code, (), Observation(timings=Timings()), evaluators)
    assert done.failure is not None
    assert [each.secure for each in done.variables] == [True]


async def test_closed_evaluators_are_the_workers_trouble() -> None:
    async with Evaluators(1, CHECKS, SystemClock()) as running:
        pass
    done = await run_script("1", (), Observation(timings=Timings()), running, test_key="a", seconds=5)
    assert done.failure is not None
    assert (done.failure.code, done.trouble) == (FailureCode.INTERNAL_ERROR, "the evaluators are closed")
