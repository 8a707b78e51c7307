"""`startUrlSubstitutionRegex` with a real target and real evaluators; what it makes of a URL is what Node makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.work.runners import LIMITS, definition, runner
from tests.support.definitions import multistep, step
from tests.support.node import answers_of_node, needs_node
from tests.support.observed import LIMITS as CHECKS
from tests.support.observed import http
from tests.support.servers.target import Target, running_target
from tests.support.starvation import unstarved
from worker.apitest.definition import APITest
from worker.apitest.overrides import overridden
from worker.apitest.parse import parse
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.result import Result, Verdict
from worker.apitest.substitution import URLSubstitution
from worker.apitest.variables import Variable
from worker.clock import SystemClock
from worker.evaluators.exit_cause import STARVED
from worker.evaluators.pool import Evaluators
from worker.outcome.failure import FailureCode
from worker.work.execution import Execution
from worker.work.scripts import SetVariables, run_script
from worker.work.substitution import MAX_URL, execute_substituted

URL = "http://a.test/https://www.shop.test:8443/cart/a%2Fb?id=7&id=8#end"
CASES = [
    # regex, modifiers, replacement
    ("https://www\\.(.*)", "", "https://staging.$1"),
    ("(https?://)([^/]*)", "", "$1pr-7.$2"),
    ("id", "g", "key"),
    ("id", "", "key"),
    ("SHOP", "i", "depot"),
    ("nothing", "g", "x"),
    ("shop", "", "$&-$&"),
    ("shop", "", "$$1"),
    ("shop", "", "$0$1$01$9"),
    ("(s)(h)(o)(p)\\.(t)(e)(s)(t):(8)(4)(4)", "", "$11-$10-$1"),
    ("shop", "", "[$`]"),
    ("shop", "", "[$']"),
    ("(?<host>[a-z]+)\\.test", "", "$<host>.example"),
    ("(?<host>[a-z]+)\\.test", "", "$<other>.example"),
    ("shop", "", "$<host>"),
    ("(?<=www\\.)shop", "", "x"),
    ("(x)?shop", "", "<$1>"),
    ("\\d+", "gu", "#"),
    ("^http", "", "https"),
    ("(?=c)", "g", "-"),
    ("h", "y", "H"),
    ("t", "y", "T"),
    ("o.", "su", ""),
    ("\\/cart\\/", "", "/"),
    ("$", "", "\\n\\/$"),
]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


@pytest.fixture
async def evaluators() -> AsyncIterator[Evaluators]:
    async with Evaluators(1, replace(CHECKS, pattern_seconds=0.2), SystemClock()) as running:
        yield running


async def substituted(evaluators: Evaluators, text: str, made_by: URLSubstitution) -> str:
    """The URL that is asked in the end, or the failure's code and message; not that this machine was too busy to tell."""
    return await unstarved(lambda: substituted_once(evaluators, text, made_by), lambda found: STARVED.reason in found)


async def substituted_once(evaluators: Evaluators, text: str, made_by: URLSubstitution) -> str:
    asked: list[APITest] = []

    async def run(code: str, known: Any) -> SetVariables:
        given: list[Variable] = list(known)
        return await run_script(code, given, http(), evaluators, test_key="test", seconds=5.0)

    async def execute(test: APITest) -> Execution:
        asked.append(test)
        return Execution(verdict=Verdict(failure=None), observation=http())

    test = APITest(name="test", subtype="http", request=HTTPRequest(url=text), url_substitution=made_by)
    execution = await execute_substituted(test, run, execute)
    if (failure := execution.verdict.failure) is not None:
        assert not asked
        return f"{failure.code.value} {failure.message}"
    (last,) = asked
    assert isinstance(last.request, HTTPRequest)
    assert last.url_substitution is None
    return last.request.url


@needs_node
async def test_the_url_is_what_node_makes_of_it(evaluators: Evaluators) -> None:
    expected = answers_of_node(
        "cases.map(([text, source, flags, to]) => text.replace(new RegExp(source, flags), to))",
        [[URL, *case] for case in CASES],
    )
    for (pattern, modifiers, replacement), wanted in zip(CASES, expected, strict=True):
        made_by = URLSubstitution(pattern=pattern, modifiers=modifiers, replacement=replacement)
        assert await substituted(evaluators, URL, made_by) == wanted, pattern


@pytest.mark.parametrize(
    ("pattern", "replacement", "failure"),
    [
        ("(", "x", "INVALID_TEST startUrlSubstitutionRegex: the regex is not a valid JavaScript regular expression: "),
        (
            "((.*)*)*\\u0000",
            "x",
            "TIMEOUT startUrlSubstitutionRegex: the regex was not done within the time of a pattern",
        ),
        (
            ".",
            "$&" * 2000,
            f"INVALID_TEST startUrlSubstitutionRegex: makes a URL of 204000 characters, more than {MAX_URL}",
        ),
        ("^https", "ftp", "INVALID_REQUEST startUrlSubstitutionRegex: makes a URL that is not valid: "),
        (".*", "", "INVALID_REQUEST startUrlSubstitutionRegex: makes a URL that is not valid: "),
    ],
)
async def test_one_that_makes_no_url_fails_and_names_the_member(
    evaluators: Evaluators, pattern: str, replacement: str, failure: str
) -> None:
    modifiers = "g" if pattern == "." else ""
    made_by = URLSubstitution(pattern=pattern, replacement=replacement, modifiers=modifiers)
    found = await substituted(evaluators, "https://www.test/".ljust(102, "a"), made_by)
    assert found.startswith(failure)


async def run(test: dict[str, Any], **overrides: Any) -> Result:
    async with runner(LIMITS) as running:
        return await running.run(parse(overridden(test, overrides).test))


async def test_a_run_asks_the_url_that_the_substitution_makes(target: Target) -> None:
    test = definition("http://prod.invalid/broken/a", BROKEN)
    result = await run(test, startUrlSubstitutionRegex=f"http://prod.invalid/(.*)|{target.url}/$1")
    assert result.failure is None
    result = await run(
        test, startUrl="http://a.invalid/broken/a", startUrlSubstitutionRegex=f"s#^http://a.invalid#{target.url}#"
    )
    assert result.failure is None


async def test_it_is_made_after_templates_are_replaced_in_the_url_and_in_itself(target: Target) -> None:
    test = definition("http://{{ HOST }}/{{ PATH }}", BROKEN)
    variables = {"HOST": "prod.invalid", "PATH": "broken/a", "BASE": target.url}
    result = await run(
        test, variables=variables, startUrlSubstitutionRegex="http://{{ HOST }}/broken|{{ BASE }}/broken"
    )
    assert result.failure is None


async def test_an_http_step_may_have_one(target: Target) -> None:
    asked = {"startUrlSubstitutionRegex": f"http://prod.invalid|{target.url}"}
    async with runner(LIMITS) as running:
        result = await running.run(parse(multistep(step("a", "http://prod.invalid/broken", BROKEN, request=asked))))
    assert result.failure is None


async def test_a_secure_value_in_the_url_that_it_makes_is_in_no_result() -> None:
    test = definition("ftp://{{ HOST }}/")
    test["config"]["configVariables"] = [{"name": "HOST", "type": "text", "pattern": "s3cret.test", "secure": True}]
    result = await run(test, startUrlSubstitutionRegex="^ftp|ssh")
    assert result.failure is not None
    assert result.failure.code is FailureCode.INVALID_REQUEST
    assert "s3cret" not in str(result)


async def test_the_url_that_it_makes_is_judged_by_the_policy(target: Target) -> None:
    result = await run(definition(target.url), startUrlSubstitutionRegex="s#//[^/]*#//169.254.169.254#")
    assert result.failure is not None
    assert result.failure.code is FailureCode.DENIED


BROKEN = {"type": "statusCode", "operator": "is", "target": 503}
