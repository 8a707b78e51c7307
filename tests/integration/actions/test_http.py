"""`http.request` through the whole execution of an order, against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.actions import RunnerOfOrders, allow_all, end_of_a_cancellation, token_file
from tests.support.certificates import DAY, issue
from tests.support.servers.http import Seen, Server, reply, serving
from worker.actions.action import ActionOutcome, ActionStatus, Effect

JSON = ("Content-Type: application/json",)


def outputs(outcome: ActionOutcome) -> Any:
    assert outcome.status is ActionStatus.SUCCEEDED, outcome
    return outcome.outputs


def code(outcome: ActionOutcome) -> tuple[str, str]:
    assert outcome.error is not None, outcome
    return outcome.error.code, outcome.error.detail


def crm(tmp_path: Path, server: Server, **members: Any) -> dict[str, Any]:
    credentials = {"file": token_file(tmp_path / "crm.json", token="s3cret-of-the-crm")}
    return {
        "crm": {
            "type": "http",
            "base_url": f"http://127.0.0.1:{server.port}/api",
            "headers": {"Authorization": "Bearer {{ token }}"},
            "credentials": credentials,
            **members,
        }
    }


async def test_a_request_below_a_connection_carries_its_credentials_and_the_tasks_id(tmp_path: Path) -> None:
    async with serving(lambda seen: reply(b'{"id": 7}', headers=JSON)) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        asked = {"verb": "GET", "url": "/v1/customers/7", "urlParams": [{"key": "q", "value": "a b"}]}
        found = outputs(await runner.run("com.datadoghq.http.request", asked, connection="crm"))
    seen = server.seen[0]
    assert (found["status"], found["body"]) == (200, {"id": 7})
    assert found["url"].endswith("/api/v1/customers/7?q=a%20b")
    assert seen.target == "/api/v1/customers/7?q=a%20b"
    assert seen.header("authorization") == "Bearer s3cret-of-the-crm"
    assert seen.header("sec-private-action") == "5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"
    assert runner.effects == [Effect.READ]


@pytest.mark.parametrize(
    ("verb", "effect"),
    [
        ("HEAD", Effect.READ),
        ("PUT", Effect.REPEAT),
        ("DELETE", Effect.REPEAT),
        ("POST", Effect.ONCE),
        ("PATCH", Effect.ONCE),
    ],
)
async def test_the_effect_follows_the_verb(tmp_path: Path, verb: str, effect: Effect) -> None:
    async with serving(lambda seen: reply()) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        await runner.run("http.request", {"verb": verb, "url": "/"}, connection="crm")
    assert runner.effects == [effect]


async def test_an_operator_can_say_that_a_service_knows_repeated_requests(tmp_path: Path) -> None:
    async with serving(lambda seen: reply()) as server:
        connections = crm(tmp_path, server, idempotent=True)
        runner = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
        await runner.run("http.request", {"verb": "POST", "url": "/", "body": {"a": 1}}, connection="crm")
    assert runner.effects == [Effect.REPEAT]
    assert server.seen[0].body == b'{"a":1}'
    assert server.seen[0].header("idempotency-key") == "5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"


@pytest.mark.parametrize(
    "url",
    [
        "/../secret",
        "/v1/%2e%2e/secret",
        "https://elsewhere.test/x",
        "//elsewhere.test/x",
        "/a b\r\nX: y",
        "/" + "a" * 20_000,
    ],
)
async def test_whoever_is_refused_a_url_does_not_learn_the_address_of_the_service(tmp_path: Path, url: str) -> None:
    connections = {"crm": {"type": "http", "base_url": "https://crm.internal:8443/tenant-7"}}
    rule = {"name": "v1", "allow": "http.request", "when": {"url": {"paths": ["/tenant-7/v1/**"]}}}
    runner = RunnerOfOrders(tmp_path, connections=connections, rules=[rule])
    outcome = await runner.run("http.request", {"verb": "GET", "url": url}, connection="crm")
    assert code(outcome)[0] in ("INVALID_INPUT", "DENIED")
    assert outcome.error is not None
    for part in ("crm.internal", "8443", "tenant-7"):
        assert part not in outcome.error.message


async def test_an_error_status_is_a_failure_with_the_answer(tmp_path: Path) -> None:
    async with serving(lambda seen: reply(b"no such customer", status="404 Not Found")) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        outcome = await runner.run("http.request", {"verb": "GET", "url": "/x"}, connection="crm")
        taken = await runner.run(
            "http.request", {"verb": "GET", "url": "/x", "errorOnStatus": ["500-599"]}, connection="crm"
        )
    assert code(outcome) == ("ACTION", "STATUS")
    assert "404: no such customer" in str(outcome.error)
    assert outputs(taken)["status"] == 404


async def test_a_post_whose_answer_is_lost_is_unknown_and_a_get_only_failed(tmp_path: Path) -> None:
    async with serving(lambda seen: b"") as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        post = await runner.run("http.request", {"verb": "POST", "url": "/"}, connection="crm")
        get = await runner.run("http.request", {"verb": "GET", "url": "/"}, connection="crm")
    assert (post.status, get.status) == (ActionStatus.UNKNOWN, ActionStatus.FAILED)
    assert post.error is not None
    assert post.error.may_have_run
    assert code(get) == ("ACTION", "CONNECT")


async def test_a_post_that_nobody_listens_for_has_failed_for_sure(tmp_path: Path) -> None:
    async with serving(lambda seen: reply()) as server:
        connections = crm(tmp_path, server)
    runner = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
    outcome = await runner.run("http.request", {"verb": "POST", "url": "/"}, connection="crm")
    assert outcome.status is ActionStatus.FAILED
    assert outcome.error is not None
    assert not outcome.error.may_have_run


async def test_credentials_never_reach_a_second_host(tmp_path: Path) -> None:
    """Check 23: neither another port of the host nor another host sees what task or connection set."""

    def elsewhere(seen: Seen) -> bytes:
        return reply(b"here")

    async with serving(elsewhere) as other:
        moved = reply(status="307 Moved", headers=(f"Location: http://127.0.0.1:{other.port}/in",))
        async with serving(lambda seen: moved) as server:
            connections = crm(tmp_path, server, url_parameters={"key": "{{ token }}"})
            runner = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
            asked = {
                "verb": "GET",
                "url": "/",
                "followRedirect": True,
                "requestHeaders": [{"key": "X-Api-Key", "value": ["of the task"]}],
            }
            found = outputs(await runner.run("http.request", asked, connection="crm"))
    assert found["body"] == "here"
    assert server.seen[0].header("x-api-key") == "of the task"
    assert other.seen[0].names() == ["host", "user-agent", "accept", "accept-encoding", "connection"]
    assert other.seen[0].target == "/in"


async def test_a_redirect_to_a_metadata_service_is_refused(tmp_path: Path) -> None:
    moved = reply(status="302 Found", headers=("Location: http://169.254.169.254/latest/meta-data/",))
    async with serving(lambda seen: moved) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        asked = {"verb": "GET", "url": "/", "followRedirect": True}
        outcome = await runner.run("http.request", asked, connection="crm")
    assert code(outcome) == ("ACTION", "DENIED")


async def test_secrets_that_a_service_echoes_are_taken_out(tmp_path: Path) -> None:
    """Check 27 for HTTP: in every spelling, in names, values, headers and messages."""

    def echo(seen: Seen) -> bytes:
        value = (seen.header("authorization") or "").removeprefix("Bearer ")
        body = json.dumps({value: [value, value.encode().hex()], "text": f"<{value}>"}).encode()
        return reply(body, headers=(*JSON, f"X-Echo: {value}"), status="200 OK" if seen.method == "GET" else "500 Oh")

    async with serving(echo) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        found = await runner.run("http.request", {"verb": "GET", "url": "/"}, connection="crm")
        failed = await runner.run("http.request", {"verb": "PUT", "url": "/"}, connection="crm")
    assert outputs(found)["body"] == {"‹crm.token›": ["‹crm.token›", "‹crm.token›"], "text": "<‹crm.token›>"}
    assert found.redactions == 5
    assert "s3cret" not in str(found) + str(failed) + runner.audit_path.read_text()
    assert "‹crm.token›" in str(failed.error)


@pytest.mark.parametrize(
    "name",
    ["Host", "Content-Length", "X-Forwarded-For", "Transfer-Encoding", "Sec-Private-Action", "Proxy-Authorization"],
)
async def test_headers_that_frame_or_forge_are_refused(tmp_path: Path, name: str) -> None:
    async with serving(lambda seen: reply()) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        asked = {"verb": "GET", "url": "/", "requestHeaders": [{"key": name, "value": ["1"]}]}
        outcome = await runner.run("http.request", asked, connection="crm")
    assert code(outcome) == ("ACTION", "REQUEST")
    assert server.seen == []


async def test_a_form_is_sent_as_multipart(tmp_path: Path) -> None:
    async with serving(lambda seen: reply()) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        form = [{"key": "a", "value": "1"}, {"key": "f", "value": "data:text/plain;base64,aGk=", "type": "datauri"}]
        await runner.run("http.request", {"verb": "POST", "url": "/", "formData": form}, connection="crm")
    assert server.seen[0].header("content-type") == "multipart/form-data; boundary=form-0"
    assert server.seen[0].body == (
        b'--form-0\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--form-0\r\nContent-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: text/plain\r\n\r\nhi\r\n'
        b"--form-0--\r\n"
    )


async def test_a_select_leaves_only_what_is_needed(tmp_path: Path) -> None:
    async with serving(lambda seen: reply(b'{"id": 7, "name": "x"}', headers=JSON)) as server:
        runner = RunnerOfOrders(tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"))
        asked = {"verb": "GET", "url": "/"}
        found = await runner.run("http.request", asked, connection="crm", select=".body.id")
        wrong = await runner.run("http.request", asked, connection="crm", select=".body.id | error")
    assert outputs(found) == 7
    assert code(wrong)[0] == "SELECT"


async def test_an_answer_larger_than_the_cap_fails_and_is_not_cut(tmp_path: Path) -> None:
    async with serving(lambda seen: reply(b"x" * 5000)) as server:
        runner = RunnerOfOrders(
            tmp_path, connections=crm(tmp_path, server), rules=allow_all("http.*"), max_output_bytes=4000
        )
        outcome = await runner.run("http.request", {"verb": "GET", "url": "/"}, connection="crm")
    assert code(outcome)[0] == "OUTPUT_TOO_LARGE"
    assert outcome.outputs is None


async def test_a_connection_can_be_tested(tmp_path: Path) -> None:
    async with serving(lambda seen: reply(b"ok")) as server:
        connections = crm(tmp_path, server, test={"path": "/health"})
        runner = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
        found = outputs(await runner.run("http.testConnection", connection="crm"))
    assert found["status"] == 200
    assert server.seen[0].target == "/api/health"


async def test_a_request_without_a_connection_needs_a_rule_about_its_url(tmp_path: Path) -> None:
    async with serving(lambda seen: reply()) as server:
        asked = {"verb": "GET", "url": f"http://127.0.0.1:{server.port}/"}
        runner = RunnerOfOrders(tmp_path, rules=[{"name": "all", "allow": "http.**"}])
        denied = await runner.run("http.request", asked)
        open_ = tmp_path / "open"
        open_.mkdir()
        runner = RunnerOfOrders(open_, rules=allow_all("http.request"))
        allowed = await runner.run("http.request", asked)
    assert code(denied)[0] == "DENIED"
    assert allowed.status is ActionStatus.SUCCEEDED


async def test_expiry_is_forgiven_where_the_order_asks_for_it_and_nothing_else_is(tmp_path: Path) -> None:
    root = issue("shop root", ca=True)
    (tmp_path / "ca.pem").write_text(root.pem)
    found = {}
    for name, leaf in {
        "valid": issue("localhost", root, names=["127.0.0.1"]),
        "expired": issue("localhost", root, names=["127.0.0.1"], begins=-3 * DAY, ends=-DAY),
        "early": issue("localhost", root, names=["127.0.0.1"], begins=DAY),
        "foreign": issue("localhost", issue("other root", ca=True), names=["127.0.0.1"]),
        "misnamed": issue("localhost", root, names=["shop.test"]),
    }.items():
        async with serving(reply(b"ok"), tls=leaf.serving(tmp_path / f"{name}.pem")) as server:
            connections = {"crm": {"type": "http", "base_url": server.url(""), "tls": {"ca_file": "ca.pem"}}}
            runner = RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("http.*"))
            asked = {"verb": "GET", "url": "/"}
            strict = await runner.run("http.request", asked, connection="crm")
            forgiving = await runner.run("http.request", asked | {"allowExpiredCertificate": True}, connection="crm")
            found[name] = ["" if outcome.error is None else outcome.error.detail for outcome in (strict, forgiving)]
    assert found == {
        "valid": ["", ""],
        "expired": ["TLS", ""],
        "early": ["TLS", "TLS"],
        "foreign": ["TLS", "TLS"],
        "misnamed": ["TLS", "TLS"],
    }


async def test_every_kind_of_credential_is_sent_and_none_is_told(tmp_path: Path) -> None:
    """Check 27: a file of tokens, a file of passwords, a variable; in results, errors, the audit log and counted values."""
    (tmp_path / "basic.json").write_text(
        json.dumps({"auth_type": "Basic Auth", "credentials": [{"username": "alice", "password": "canary-password"}]})
    )
    (tmp_path / "basic.json").chmod(0o600)

    def echo(seen: Seen) -> bytes:
        told = f"{seen.header('authorization')} {seen.header('x-key')} {seen.target}"
        return reply(told.encode(), headers=(f"X-Told: {told}",), status="500 Oh" if seen.method == "PUT" else "200 OK")

    async with serving(echo) as server:
        connections = {
            "basic": {
                "type": "http",
                "base_url": server.url("/"),
                "basic_auth": {"username": "alice"},
                "credentials": {"file": "basic.json"},
            },
            "variable": {
                "type": "http",
                "base_url": server.url("/"),
                "headers": {"X-Key": "{{ KEY }}"},
                "url_parameters": {"key": "{{ KEY }}"},
                "credentials": {"env": ["KEY"]},
            },
        }
        runner = RunnerOfOrders(
            tmp_path, connections=connections, rules=allow_all("http.*"), environment={"KEY": "canary/variable+1"}
        )
        outcomes = [
            await runner.run("http.request", {"verb": verb, "url": "/x"}, connection=connection)
            for connection in connections
            for verb in ("GET", "PUT")
        ]
    told = f"{outcomes}{runner.executed}{runner.audit_path.read_text()}"
    assert [seen.header("authorization") for seen in server.seen[:1]] == ["Basic YWxpY2U6Y2FuYXJ5LXBhc3N3b3Jk"]
    assert server.seen[2].header("x-key") == "canary/variable+1"
    assert server.seen[2].target == "/x?key=canary%2Fvariable%2B1"
    for spelling in ("canary", "Y2FuYXJ5LXBhc3N3b3Jk", "variable"):
        assert spelling not in told.replace("‹variable.KEY›", "").replace("connection='variable'", "").replace(
            '"connection":"variable"', ""
        )
    assert all(outcome.redactions for outcome in outcomes)


async def test_a_target_that_never_answers_is_left_at_once(tmp_path: Path) -> None:
    """Check 13: and it sees the connection end."""
    asked, left = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.release()
        await reader.read()
        left.release()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        runner = RunnerOfOrders(
            tmp_path, connections={"crm": {"type": "http", "base_url": base}}, rules=allow_all("http.*")
        )

        async def begin() -> asyncio.Task[ActionOutcome]:
            request = runner.run("http.request", {"verb": "POST", "url": "/", "body": "x"}, connection="crm")
            running = asyncio.create_task(request)
            await asked.acquire()
            return running

        outcome = await end_of_a_cancellation(begin)
        assert outcome.error is not None
        assert outcome.error.may_have_run
        await left.acquire()
