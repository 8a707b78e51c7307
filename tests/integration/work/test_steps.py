"""Multistep tests and retries from definition to result, with a real door, real targets and real evaluators."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import orjson
import pytest

from tests.integration.work.runners import definition, runner
from tests.support.definitions import STATUS, extracted, multistep, step, subtest, wait
from tests.support.intake import FakeIntake
from tests.support.jobs import job
from tests.support.servers.http import Seen, Server, read_request, reply, serving
from tests.support.waiting import until
from worker.agent.inflight import InFlight
from worker.agent.outbox import Outbox
from worker.agent.slots import Slots
from worker.agent.work import Work
from worker.apitest.bounds import MAX_OUTCOME_BYTES
from worker.clock import SystemClock
from worker.intake.backoff import Backoff
from worker.work import tests as kinds
from worker.work.runner import Runner

JSON = ("Content-Type: application/json",)


async def outcome_of(test: object, *, running: Runner) -> Any:
    sent = await kinds.Tests(running).run(job("the-job", test=test), running._clock.monotonic_ns())
    assert len(sent) <= MAX_OUTCOME_BYTES
    return orjson.loads(sent)


async def outcome(test: object) -> Any:
    async with runner() as running:
        return await outcome_of(test, running=running)


def shop(seen: Seen) -> bytes:
    if seen.target == "/login":
        return reply(b'{"token": "abc-123"}', headers=(*JSON, "Set-Cookie: session=1"))
    if seen.target == "/broken":
        return reply(b"no", status="503 Service Unavailable")
    return reply(b"cookie: %s" % (seen.header("cookie") or "").encode())


async def test_a_multistep_test_is_one_result_with_a_row_for_each_step() -> None:
    async with serving(shop) as server:
        test = multistep(
            step(
                "log in",
                server.url("/login"),
                STATUS,
                request={"persistCookies": True},
                extractedValues=[
                    extracted("TOKEN", "regex", '"token": "([^"]+)"', secure=True),
                    extracted("STATUS", source="http_status_code"),
                ],
            ),
            wait(0),
            step(
                "look",
                server.url("/orders"),
                {"type": "body", "operator": "matches", "target": "session=1"},
                request={"persistCookies": True},
            ),
            {"name": "port", "subtype": "tcp", "request": {"host": "127.0.0.1", "port": server.port}, "assertions": []},
            public_id="abc-def-ghi",
        )
        found = await outcome(test)
    assert (found["status"], found["failure"], found["test"]["subtype"]) == ("passed", None, "multi")
    rows = found["steps"]
    assert [(row["name"], row["subtype"], row["status"]) for row in rows] == [
        ("log in", "http", "passed"),
        ("wait", "wait", "passed"),
        ("look", "http", "passed"),
        ("port", "tcp", "passed"),
    ]
    assert found["timings"]["total"] == found["timings"]["steps"]
    assert round(sum(row["timings"]["total"] * 10 for row in rows)) == round(found["timings"]["total"] * 10)
    for row in rows:
        phases = [value for name, value in row["timings"].items() if name != "total"]
        assert round(sum(phases) * 10) == round(row["timings"]["total"] * 10)
    assert rows[0]["variables"]["extracted"] == [
        {"name": "TOKEN", "secure": True},
        {"name": "STATUS", "secure": False, "value": "200"},
    ]
    assert rows[0]["response"]["status_code"] == 200
    assert rows[2]["assertions"][0]["valid"] is True
    assert found["exited_on_step_success"] is False


async def test_the_failure_of_a_step_is_that_of_the_test() -> None:
    async with serving(shop) as server:
        found = await outcome(
            multistep(
                step("a", server.url("/broken"), STATUS, allowFailure=True),
                step("b", server.url("/broken"), STATUS),
                step("c", server.url("/")),
            )
        )
    assert [row["status"] for row in found["steps"]] == ["failed", "failed", "skipped"]
    assert found["failure"] == found["steps"][1]["failure"]
    assert found["failure"]["code"] == "INCORRECT_ASSERTION"
    assert orjson.loads(found["failure"]["message"])[0]["actual"] == 503
    assert len(server.seen) == 2


async def test_a_value_that_only_an_evaluator_may_look_for_and_that_is_not_there_fails_its_step() -> None:
    async with serving(shop) as server:
        found = await outcome(
            multistep(step("a", server.url("/login"), extractedValues=[extracted("ORDER", "regex", "order=(.*)")]))
        )
    assert found["failure"] == {
        "code": "INCORRECT_ASSERTION",
        "message": "ORDER could not be extracted: 'order=(.*)' finds nothing",
    }


async def test_a_pattern_that_runs_for_ever_costs_its_step_alone() -> None:
    bomb = extracted("VALUE", "regex", "(a+)+$")
    async with serving(reply(b"a" * 100 + b"b")) as server:
        found = await outcome(
            multistep(
                step("a", server.url(), extractedValues=[bomb], allowFailure=True),
                step("b", server.url(), extractedValues=[extracted("VALUE", "regex", "b")]),
            )
        )
    assert [row["status"] for row in found["steps"]] == ["failed", "passed"]
    assert found["steps"][0]["failure"]["code"] == "TIMEOUT" or found["unhealthy"], "a busy machine says so"


async def test_a_subtest_is_played_within_the_test() -> None:
    async with serving(shop) as server:
        inner = multistep(step("inner", server.url("/login"), STATUS), public_id="inn-inn-inn")
        found = await outcome(multistep(subtest("inn-inn-inn", "log in", subtest=inner), step("look", server.url("/"))))
    assert [seen.target for seen in server.seen] == ["/login", "/"]
    row = found["steps"][0]
    assert (row["sub_test"], [each["name"] for each in row["steps"]]) == ({"id": "inn-inn-inn"}, ["inner"])


async def test_a_script_behind_a_subtest_knows_its_variables_and_has_no_response() -> None:
    code = "dd.variable.set('SEEN', typeof dd.response + dd.variable.get('USER'))"
    async with serving(shop) as server:
        inner = multistep(step("inner", server.url("/login"), STATUS), public_id="inn-inn-inn")
        inner["config"]["configVariables"] = [{"name": "USER", "type": "text", "pattern": "ann"}]
        outer = subtest("inn-inn-inn", "log in", subtest=inner, extractedValuesFromScript=code)
        found = await outcome(multistep(outer, step("look", server.url("/{{ SEEN }}"))))
    assert found["status"] == "passed"
    assert [seen.target for seen in server.seen] == ["/login", "/undefinedann"]


async def test_a_subtest_that_is_not_there_is_named_and_nothing_is_sent() -> None:
    async with serving(shop) as server:
        found = await outcome(multistep(step("look", server.url("/")), subtest("abc-def-ghi")))
    assert found["failure"] == {
        "code": "REQUIRES_UPDATE",
        "message": "config.steps[1].subtestPublicId: the subtest 'abc-def-ghi' is not part of this definition",
    }
    assert server.seen == []


async def test_steps_of_any_size_leave_every_verdict_in_the_result() -> None:
    body = b'"' * 90_000
    headers = tuple(f"X-{number}: {'y' * 3000}" for number in range(8))
    contains = {"type": "body", "operator": "contains", "target": "nothing"}
    async with serving(reply(body, headers=headers)) as server:
        steps = [step(str(number), server.url(), contains, allowFailure=True) for number in range(12)]
        found = await outcome(multistep(*steps))
    assert [(row["name"], row["status"], row["failure"]["code"]) for row in found["steps"]] == [
        (str(number), "failed", "BODY_TOO_LARGE") for number in range(12)
    ]
    assert found["cut"] == ["steps"]
    assert all(row["response"]["status_code"] == 200 for row in found["steps"])


def failing(times: int) -> Server:
    """Answers 503 so many times, then 200."""

    def answer(_seen: Seen) -> bytes:
        return reply(status="503 Service Unavailable" if len(server.seen) <= times else "200 OK")

    server = serving(answer)
    return server


def retried(url: str, count: int, **members: Any) -> dict[str, Any]:
    return definition(url, **members) | {"options": {"retry": {"count": count, "interval": 10}}}


@pytest.mark.parametrize(
    ("failures", "count", "status", "requests", "said"),
    [
        (0, 3, "passed", 1, None),
        (1, 3, "passed", 2, 1),
        (3, 3, "passed", 4, 3),
        (9, 3, "failed", 4, 3),
        (9, 1, "failed", 2, 1),
    ],
)
async def test_a_test_is_run_again_and_its_last_execution_decides(
    failures: int, count: int, status: str, requests: int, said: int | None
) -> None:
    async with failing(failures) as server:
        found = await outcome(retried(server.url(), count))
    assert (found["status"], len(server.seen)) == (status, requests)
    if said is None:
        assert {"retries", "initial_id", "is_fast_retry", "is_last_retry"}.isdisjoint(found)
    else:
        assert (found["retries"], found["initial_id"]) == (said, "the-job")
        assert (found["is_fast_retry"], found["is_last_retry"]) == (True, True)


async def test_a_multistep_test_is_run_again_from_its_first_step() -> None:
    async with failing(1) as server:
        test = multistep(step("a", server.url("/a")), step("b", server.url("/b"), STATUS))
        test["config"]["steps"][0]["assertions"] = [STATUS]
        found = await outcome(test | {"options": {"retry": {"count": 1, "interval": 10}}})
    assert [seen.target for seen in server.seen] == ["/a", "/a", "/b"]
    assert (found["status"], found["retries"]) == ("passed", 1)


async def test_what_can_only_fail_again_is_not_run_again() -> None:
    async with serving(shop) as server:
        found = await outcome(retried(server.url(), 3) | {"config": {"request": {}, "assertions": [STATUS]}})
        assert found["failure"]["code"] == "INVALID_TEST"
        found = await outcome(definition(server.url(), STATUS | {"operator": "resembles"}))
    assert (found["failure"]["code"], server.seen) == ("REQUIRES_UPDATE", [])


async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await reader.read()


@pytest.mark.parametrize("second", ["wait", "request", "retry"])
async def test_a_run_that_is_cancelled_ends_at_once_wherever_it_is(second: str) -> None:
    reached = serving(shop)
    async with reached, Server(conversation=hold) as holding, runner() as running:
        steps: Sequence[dict[str, Any]] = {
            "wait": [step("a", reached.url()), wait(150)],
            "request": [step("a", reached.url()), step("b", holding.url())],
            "retry": [step("a", reached.url("/broken"), STATUS, retry={"count": 1, "interval": 150_000})],
        }[second]
        task = asyncio.create_task(outcome_of(multistep(*steps), running=running))
        await until(lambda: reached.seen and (second != "request" or holding.connections))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
    assert len(reached.seen) == 1


TOKEN = "t0ken/with+odd chars&more"


def echo(seen: Seen) -> bytes:
    """Show the token in every spelling that a target may have for it."""
    if seen.target == "/login":
        return reply(b'{"token": "%s"}' % TOKEN.encode(), headers=JSON)
    spelt = {"plain": TOKEN, "quoted": quote(TOKEN), "base64": base64.b64encode(TOKEN.encode()).decode()}
    return reply(orjson.dumps(spelt), headers=(*JSON, f"X-Token: {TOKEN}"), status="500 Broken")


async def test_a_secure_value_is_in_no_part_of_the_result() -> None:
    async with serving(echo) as server:
        found = await outcome(
            multistep(
                step(
                    "log in",
                    server.url("/login"),
                    extractedValues=[extracted("TOKEN", "json_path", "$.token", secure=True)],
                ),
                step("look", server.url("/"), STATUS, {"type": "body", "operator": "is", "target": "no"}),
            )
        )
    written = orjson.dumps(found).decode()
    for spelling in (TOKEN, quote(TOKEN), quote_plus(TOKEN), base64.b64encode(TOKEN.encode()).decode()[:20]):
        assert spelling not in written
    assert found["steps"][0]["variables"]["extracted"] == [{"name": "TOKEN", "secure": True}]
    assert "<redacted>" in found["steps"][1]["response"]["headers"]["x-token"]
    assert "<redacted>" in found["failure"]["message"]
    assert found["failure"] == found["steps"][1]["failure"]


@pytest.mark.parametrize("second", ["wait", "request"])
async def test_a_drain_in_the_middle_gives_the_job_back_and_frees_its_one_slot(second: str) -> None:
    reached, holding = serving(shop), Server(conversation=hold)
    async with reached, holding, runner() as running, asyncio.TaskGroup() as group:
        later = wait(150) if second == "wait" else step("b", holding.url())
        test = multistep(step("a", reached.url()), later)
        work: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        work.set_result(kinds.Tests(running))
        slots, clock = Slots(1), SystemClock()
        outbox = Outbox(FakeIntake(), clock, Backoff(lambda _, high: high), shrink=lambda _: None)
        inflight = InFlight(work, slots=slots, outbox=outbox, clock=clock, group=group)
        assert slots.take(1) == 1
        assert inflight.start([job("a", test=test)], 1) == 1
        await until(lambda: reached.seen and (second == "wait" or holding.connections))
        assert (inflight.running, slots.free) == (1, 0), "however many steps, one slot"
        assert await inflight.cut_short() == 1
        assert (inflight.given_back, slots.free, outbox.waiting) == (("lease-a",), 1, 0)


def orders(seen: Seen) -> bytes:
    """A shop that wants the token of its login, and says what it was asked."""
    if seen.target == "/login":
        return reply(b'{"token": "%s"}' % TOKEN.encode(), headers=JSON)
    if seen.header("authorization") != f"Bearer {TOKEN}":
        return reply(status="401 Unauthorized")
    body = {"asked": seen.target, "authorization": seen.header("authorization"), "id": 42}
    return reply(orjson.dumps(body), headers=JSON)


def shopping(url: str, **members: Any) -> dict[str, Any]:
    """Log in with a declared variable, look at an order with the token, and at another by what the first one said."""
    bearer = {"headers": {"Authorization": "Bearer {{ TOKEN }}"}}
    login = [extracted("TOKEN", "json_path", "$.token", secure=True)]
    test = multistep(
        step("log in", "{{ SHOP }}/{{ PAGE }}", STATUS, extractedValues=login),
        step("look", "{{ SHOP }}/orders", STATUS, request=bearer, extractedValues=[extracted("ID", "json_path", "id")]),
        step(
            "look again",
            "{{ SHOP }}/orders/{{ ID }}?job={{ result-id }}",
            STATUS,
            {"type": "body", "operator": "contains", "target": "orders/{{ ID }}"},
            {"type": "body", "operator": "contains", "target": "nothing"},
            request=bearer,
        ),
        **members,
    )
    test["config"]["configVariables"] = [
        {"name": "SHOP", "type": "text", "pattern": url},
        {"name": "PAGE", "type": "text", "pattern": "login"},
    ]
    return test


async def test_values_that_steps_extract_stand_in_the_requests_and_assertions_behind_them() -> None:
    async with serving(orders) as server:
        found = await outcome(shopping(server.url("").rstrip("/")))
    assert [row["status"] for row in found["steps"]] == ["passed", "passed", "failed"]
    assert [seen.target for seen in server.seen] == ["/login", "/orders", "/orders/42?job=the-job"]
    assert [row["valid"] for row in found["steps"][2]["assertions"]] == [True, True, False]
    written = orjson.dumps(found).decode()
    for spelling in (TOKEN, quote(TOKEN), quote_plus(TOKEN), base64.b64encode(TOKEN.encode()).decode()[:20]):
        assert spelling not in written
    assert "<redacted>" in found["steps"][2]["response"]["body"]


async def test_variables_of_the_job_reach_every_step_and_a_retry_renders_anew() -> None:
    async with failing(1) as server:
        test = multistep(
            step("a", "{{ SHOP }}/{{ numeric(12) }}", STATUS, retry={"count": 1, "interval": 10}),
            options={"retry": {"count": 1, "interval": 10}},
        )
        given = msgspec.structs.replace(job("the-job", test=test), variables={"SHOP": server.url("").rstrip("/")})
        async with runner() as running:
            found = orjson.loads(await kinds.Tests(running).run(given, running._clock.monotonic_ns()))
    assert (found["status"], found["steps"][0]["retry_count"]) == ("passed", 1)
    assert len({seen.target for seen in server.seen}) == 2


async def test_a_name_that_no_step_has_set_is_named() -> None:
    async with serving(orders) as server:
        found = await outcome(multistep(step("a", server.url("/{{ TOKN }}"))))
    assert found["failure"] == {
        "code": "INVALID_TEST",
        "message": "config.steps[0].request.url: no variable is called 'TOKN'",
    }
    assert server.seen == []
