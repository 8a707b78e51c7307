"""Runs with variables against a real target: what is sent, what fails, and that no secure value is left anywhere."""

from __future__ import annotations

import asyncio
import base64
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.integration.work.runners import definition, runner
from tests.support.definitions import STATUS
from tests.support.jobs import job
from worker.apitest.given import GivenVariables
from worker.apitest.one_time import OneTimeSecret
from worker.apitest.parse import parse
from worker.apitest.result import Result
from worker.apitest.summary import line
from worker.apitest.variables import Variable
from worker.secret import Secret
from worker.telemetry.log import JSONFormatter, PrettyFormatter
from worker.telemetry.metrics import Metrics
from worker.wire.messages import OneTime
from worker.work import tests as kinds
from worker.work.runner import Occasion

CANARY = 'c4nary-"w/ord"+&%'
KEY = "JBSWY3DPEHPK3PXP"


class Echo:
    """Answers each request with the request itself, and keeps it."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.url = ""
        self.status = b"200 OK"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        shown = b"\r\n".join(line for line in head.splitlines() if line.lower().startswith((b"x-", b"auth")))
        writer.write(b"HTTP/1.1 %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (self.status, shown, len(head), head))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    target = Echo()
    server = await asyncio.start_server(target.answer, "127.0.0.1", 0)
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield target


def with_variables(whole: dict[str, Any], *variables: dict[str, Any]) -> dict[str, Any]:
    whole["config"]["configVariables"] = list(variables)
    return whole


async def run(whole: object, **given: Any) -> Result:
    async with runner() as running:
        return await running.carry_out(job(name="job-7", test=whole, **given), running._clock.monotonic_ns())


async def test_values_are_sent_and_judged() -> None:
    async with echo() as target:
        whole = with_variables(
            definition(
                target.url + "/{{ PATH }}/{{ result-id }}/{{ public-id }}",
                {"type": "header", "property": "x-got", "operator": "is", "target": "{{ TOKEN }}-{{ PIN }}"},
                headers={"X-Got": "{{ TOKEN }}-{{ PIN }}"},
            ),
            {"name": "PATH", "type": "text", "pattern": "from/{{ ROOM }}"},
            {"name": "TOKEN", "type": "global"},
            {"name": "PIN", "type": "text", "pattern": "{{ numeric(4) }}"},
        )
        result = await run(whole, variables={"TOKEN": "t1", "ROOM": "here"})
        assert result.failure is None
        assert target.heads[0].startswith(b"GET /from/here/job-7/abc-def-ghi HTTP/1.1\r\n")


async def test_each_run_has_values_of_its_own() -> None:
    async with echo() as target, runner() as running:
        leased = job(test=definition(target.url + "/{{ uuid }}"))
        for _ in range(2):
            assert (await running.carry_out(leased, running._clock.monotonic_ns())).failure is None
        first, second = (head.split(b" ")[1] for head in target.heads)
        assert first != second


async def test_a_name_without_a_value_ends_the_run_before_anything_is_sent() -> None:
    async with echo() as target:
        whole = with_variables(
            definition(target.url + "/{{ HOSTT }}", headers={"a": "{{ PASSWORD }}"}),
            {"name": "HOST", "type": "text", "pattern": "x"},
            {"name": "PASSWORD", "type": "text", "secure": True},
        )
        result = await run(whole)
        assert target.heads == []
    assert result.failure is not None
    assert result.failure.code.value == "INVALID_TEST"
    assert result.failure.message == (
        "config.request.url: no variable is called 'HOSTT': did you mean 'HOST'?; config.request.headers.a: the variable"
        " 'PASSWORD' has no pattern (exports withhold those of secure variables), and no value was given for it"
    )


async def test_a_one_time_password_is_that_of_the_runs_start() -> None:
    async with echo() as target:
        result = await run(
            definition(target.url + "/?otp={{ OTP }}&key={{ OTHER }}"),
            variables={"OTP": KEY, "OTHER": KEY},
            one_time={"OTP": OneTime(digits=8, refresh=0)},
        )
        assert result.started_at is not None
        sent = target.heads[0].split(b"otp=")[1].split(b"&")[0].decode()
    secret = OneTimeSecret(key=Secret(KEY), digits=8, refresh=30)
    around = (datetime.fromtimestamp(result.started_at.timestamp() - age, UTC) for age in (0, 30))
    assert sent in {secret.password(moment).reveal() for moment in around}
    shown = orjson.dumps(result.as_json()).decode()
    assert sent not in shown
    assert KEY not in shown


async def test_a_shared_secret_that_is_not_base32_ends_the_run_and_is_not_shown() -> None:
    result = await run(definition("http://127.0.0.1:1/"), variables={"OTP": "n0t-base32!"}, one_time={"OTP": OneTime()})
    assert result.failure is not None
    assert result.failure.code.value == "INVALID_TEST"
    assert result.failure.message == "$: the variable 'OTP' has a secret that is not valid base32"


def encodings(value: str) -> list[str]:
    return [
        value,
        quote(value, safe=""),
        orjson.dumps(value).decode()[1:-1],
        base64.b64encode(value.encode()).decode().rstrip("="),
        base64.b64encode(f"user:{value}".encode()).decode()[8:-4],
    ]


CANARY_TESTS: dict[str, Any] = {
    "everything echoed": {
        "assertions": [{"type": "body", "operator": "contains", "target": "not there {{ TOKEN }}"}],
        "headers": {"X-A": "{{ TOKEN }}", "X-{{ PIN }}": "1"},
        "basicAuth": {"type": "web", "username": "user", "password": "{{ TOKEN }}"},
        "query": {"q": "{{ TOKEN }}"},
    },
    "passing": {"assertions": [STATUS], "headers": {"X-A": "{{ TOKEN }}"}},
    "not named by any template": {"assertions": [STATUS | {"target": 500}], "headers": {"X-A": CANARY}},
    "a pattern in an evaluator": {
        "assertions": [{"type": "body", "operator": "matches", "target": "({{ TOKEN }}"}],
        "headers": {"X-A": "{{ TOKEN }}"},
    },
    "a document in an evaluator": {
        "assertions": [
            {
                "type": "body",
                "operator": "validatesJSONPath",
                "target": {"jsonPath": "$.{{ TOKEN }}", "operator": "is", "targetValue": "{{ TOKEN }}"},
            }
        ],
    },
    "a value that makes no valid test": {"assertions": [STATUS | {"target": "{{ TOKEN }}"}]},
    "a header that cannot be sent": {"assertions": [STATUS], "headers": {"bad name {{ TOKEN }}": "1"}},
    "a host that cannot be": {"assertions": [STATUS], "url": "http://{{ TOKEN }}/"},
    "a name that is unknown": {"assertions": [STATUS], "headers": {"x-{{ TOKEN }}": "{{ NOBODY }}"}},
}


@pytest.mark.parametrize("request_parts", CANARY_TESTS.values(), ids=CANARY_TESTS)
async def test_no_secure_value_is_left_in_results_logs_lines_and_metrics(
    request_parts: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    parts = dict(request_parts)
    assertions = parts.pop("assertions")
    metrics = Metrics("1", location="l")
    results: list[Result] = []

    def take(result: Result) -> None:
        results.append(result)
        kinds.count_in(metrics)(result)

    async with echo() as target, runner() as running:
        whole = definition(parts.pop("url", target.url + "/"), *assertions, **parts) | {"name": f"log in as {CANARY}"}
        with_variables(
            whole,
            {"name": "TOKEN", "type": "global", "secure": True},
            {
                "name": "PIN",
                "type": "text",
                "pattern": "p1n{{ TOKEN }}".replace("{{ TOKEN }}", "-8642"),
                "secure": True,
            },
        )
        leased = job(test=whole, variables={"TOKEN": CANARY}, secure=("TOKEN",))
        sent = await kinds.Tests(running, on_result=take).run(leased, running._clock.monotonic_ns())
    told = [
        sent.decode(),
        repr(results),
        line(orjson.loads(sent)),
        metrics.text().decode(),
        *(
            form.format(record)
            for record in caplog.records
            for form in (JSONFormatter(), PrettyFormatter(colour=False))
        ),
    ]
    assert "<redacted>" in told[0]
    for text in told:
        for spelling in (*encodings(CANARY), "p1n-8642"):
            assert spelling.lower() not in text.lower()


@pytest.mark.parametrize("broken", ["probe", "prepare"])
async def test_a_bug_of_the_worker_shows_no_value_and_keeps_its_trace(
    broken: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr("worker.work.runner.probe" if broken == "probe" else "worker.work.preparation.prepare", fails)
    given = GivenVariables(variables=(Variable(name="T", value=Secret(CANARY), secure=True),))
    async with runner() as running:
        result = await running.run(
            parse(definition("http://127.0.0.1:1/") | {"name": f"log in as {CANARY}"}), Occasion(given=given)
        )
    assert result.failure is not None
    assert result.failure.code.value == "INTERNAL_ERROR"
    (record,) = (record for record in caplog.records if getattr(record, "action", "") == "run_crashed")
    told = JSONFormatter().format(record)
    assert "KeyError" in told
    assert "in fails" in told
    for spelling in encodings(CANARY):
        assert spelling not in told + repr(result)


async def test_more_secure_text_than_a_worker_can_look_for_ends_the_run() -> None:
    values = {f"V{number}": chr(65 + number) * 60_000 for number in range(5)}
    result = await run(definition("http://127.0.0.1:1/"), variables=values, secure=tuple(values))
    assert result.failure is not None
    assert result.failure.message == "$: the secure variables of one run hold more than 262144 characters"


async def test_many_secrets_and_a_long_body_do_not_hold_the_loop() -> None:
    values = {f"V{number}": f"secret number {number} {Random(number).random()}" for number in range(300)}
    async with echo() as target, runner() as running:
        whole = definition(target.url, STATUS | {"target": 500}, headers={"X-A": "b" * 50_000})
        leased = job(test=whole, variables=values, secure=tuple(values))
        threads = []
        loop_thread = asyncio.to_thread

        async def noted(function: Any, *arguments: Any) -> Any:
            threads.append(function)
            return await loop_thread(function, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("worker.work.preparation.asyncio.to_thread", noted)
            result = await running.carry_out(leased, running._clock.monotonic_ns())
    assert result.failure is not None
    assert len(threads) == 2, "the spellings are made in one, and the result is looked through in another"


def test_a_worker_without_variables_imports_nothing_for_them() -> None:
    code = (
        "import sys, worker.work.tests, worker.work.runner\n"
        "print([name for name in sys.modules if name.startswith('worker.') and name.rpartition('.')[2] in"
        " ('preparation', 'templated', 'built_ins', 'redaction', 'one_time', 'given')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
