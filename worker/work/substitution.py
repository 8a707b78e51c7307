"""The substitution in a test's URL, made in an evaluator before the URL is asked.

The pattern is its author's, so it runs nowhere else: in the JavaScript engine of a process that can be killed, under the time
limit of patterns. The URL that comes of it goes the way of every other; where it is not valid, the failure says who made it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from msgspec import structs

from worker.apitest.definition import APITest
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.result import Verdict
from worker.apitest.substitution import MEMBER, URLSubstitution
from worker.apitest.variables import Variable
from worker.net.http import url
from worker.net.http.error import HTTPError
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.phases import Timings
from worker.secret import Secret
from worker.work.execution import Execution
from worker.work.scripts import RunScript, SetVariables

MAX_URL: Final = 15_000
"""Characters of the URL that a substitution makes: what a script may set, with room for a message."""
_SCRIPT: Final = f"""
const {{ get, set }} = dd.variable;
let pattern;
try {{
    pattern = new RegExp(get("PATTERN"), get("MODIFIERS"));
}} catch (error) {{
    if (!(error instanceof SyntaxError)) throw error;
    set("MISTAKE", "the regex is not a valid JavaScript regular expression: " + error.message.slice(0, 200));
    return;
}}
const made = get("URL").replace(pattern, get("REPLACEMENT"));
if (made.length > {MAX_URL}) set("MISTAKE", "makes a URL of " + made.length + " characters, more than {MAX_URL}");
else set("MADE", made);
"""


async def execute_substituted(
    test: APITest, run: RunScript, execute: Callable[[APITest], Awaitable[Execution]]
) -> Execution:
    """Make the substitution in the URL of *test* with *run*, and *execute* what comes of it."""
    request, substitution = test.request, test.url_substitution
    assert isinstance(request, HTTPRequest)
    assert substitution is not None
    done = await run(_SCRIPT, _given(substitution, request.url))
    made = _made(done)
    if isinstance(made, Failure):
        failure = Failure(made.code, f"{MEMBER}: {made.message}")
        return Execution(
            verdict=Verdict(failure=failure), observation=Observation(timings=Timings()), trouble=done.trouble
        )
    execution = await execute(replace(test, request=replace(request, url=made), url_substitution=None))
    return structs.replace(execution, trouble=execution.trouble or done.trouble)


def _given(substitution: URLSubstitution, text: str) -> list[Variable]:
    given = {
        "URL": text,
        "PATTERN": substitution.pattern,
        "MODIFIERS": substitution.modifiers,
        "REPLACEMENT": substitution.replacement,
    }
    return [Variable(name=name, value=Secret(value)) for name, value in given.items()]


def _made(done: SetVariables) -> str | Failure:
    """The URL that the substitution made, or why there is none."""
    if done.failure is not None:
        if done.failure.code is FailureCode.TIMEOUT:
            return Failure(FailureCode.TIMEOUT, "the regex was not done within the time of a pattern")
        return done.failure
    found = {each.name: each.value.reveal() for each in done.variables}
    if "MADE" not in found:
        return Failure(FailureCode.INVALID_TEST, found["MISTAKE"])
    try:
        url.parse(found["MADE"])
    except HTTPError as error:
        return Failure(error.failure.code, f"makes a URL that is not valid: {error.failure.message}")
    return found["MADE"]
