"""Check 27: a canary in every kind of credential, and everything that leaves a runner searched for it, in every encoding."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.support.actions import RunnerOfOrders, allow_all, token_file
from tests.support.certificates import issue
from tests.support.servers.cluster import running_cluster
from tests.support.servers.http import Seen, reply, serving
from tests.support.waiting import until
from worker.actionrunner import cluster as clusters
from worker.actionrunner.figures import RunnerMetrics
from worker.actions.catalogue import CATALOGUE

CANARIES = {
    "file": 'canary/of+a "file" token',
    "password": "canary:of&a=password",
    "variable": "canary-of-a-variable",
    "secret": "canary%of%a%secret",
    "script": "canary-of-a-script",
}
CLIENT = issue("client", issue("Root", ca=True))
ENVIRONMENT = {"CRM_TOKEN": CANARIES["variable"], "PAY_KEY": CANARIES["script"]}


def spellings(text: str) -> Iterator[str]:
    """A secret as services give it back: as it is, base64 of it, percent-encoded, in JSON."""
    raw = text.encode()
    yield from (text, base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("="))
    yield from (quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1])


def connections(folder: Path, base: str) -> dict[str, Any]:
    template = {"type": "http", "base_url": base, "headers": {"X-Token": "{{ token }}"}}
    basic = {"auth_type": "Basic Auth", "credentials": [{"username": "crm", "password": CANARIES["password"]}]}
    (folder / "basic.json").write_text(json.dumps(basic))
    (folder / "basic.json").chmod(0o600)
    (folder / "client.pem").write_text(CLIENT.pem)
    (folder / "client.key").write_text(CLIENT.key_pem)
    (folder / "client.key").chmod(0o600)
    script = {"command": ["/bin/sh", "-c", "sleep 1027"], "allowedEnvVars": ["PAY_KEY"], "timeout": 3600}
    (folder / "s.json").write_text(
        json.dumps({"schemaId": "script-credentials-v1", "runPredefinedScript": {"pay": script}})
    )
    return {
        "file": {**template, "credentials": {"file": token_file(folder / "t.json", token=CANARIES["file"])}},
        "password": {
            **template,
            "headers": {},
            "basic_auth": {"username": "crm"},
            "credentials": {"file": "basic.json"},
        },
        "variable": {**template, "headers": {"X-Token": "{{ CRM_TOKEN }}"}, "credentials": {"env": ["CRM_TOKEN"]}},
        "secret": {**template, "credentials": {"kubernetes_secret": {"name": "crm", "key": "crm.json"}}},
        "client": {**template, "headers": {}, "tls": {"cert_file": "client.pem", "key_file": "client.key"}},
        "script": {"type": "script", "file": "s.json"},
    }


def echo(seen: Seen) -> bytes:
    """A service that gives everything that it knows back, spelled in every way, in its body, a header and its errors."""
    known = [value for _, value in seen.headers]
    known += [base64.b64decode(value[6:]).decode() for value in known if value.startswith("Basic ")]
    known += [value.partition(":")[2] for value in known]
    if "client" in seen.target:
        known += [CLIENT.key_pem, *CLIENT.key_pem.splitlines()]
    body = json.dumps([[*spellings(value)] for value in known]).encode()
    status = "500 Internal Server Error" if seen.target.startswith("/fail") else "200 OK"
    return reply(body, status=status, headers=(f"X-Echo: {quote(known[-1])}",))


def command_lines() -> str:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                found.append((process / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(found)


async def test_no_credential_leaves_a_runner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    metrics = RunnerMetrics("t", runner="berlin", actions=CATALOGUE, isolation="full")
    left: list[str] = []
    with running_cluster(tmp_path / "account") as cluster:
        monkeypatch.setattr(clusters, "SERVICE_ACCOUNT", cluster.account)
        token = {"auth_type": "Token Auth", "credentials": [{"tokenName": "token", "tokenValue": CANARIES["secret"]}]}
        cluster.make("crm", {"crm.json": json.dumps(token).encode()})
        async with serving(echo) as server:
            runner = RunnerOfOrders(
                tmp_path,
                connections=connections(tmp_path, f"http://127.0.0.1:{server.port}"),
                rules=allow_all("**"),
                environment=ENVIRONMENT | cluster.environment,
            )
            assert runner.files.state.connections.unusable == {}
            for name in ("file", "password", "variable", "secret", "client"):
                for url in ("/ok", "/fail"):
                    asked = {"verb": "GET", "url": f"{url}?{name}"}
                    outcome = await runner.run("http.request", asked, connection=name)
                    assert outcome.redactions > 0 or (name, url) == ("client", "/fail"), (
                        "an error shows little of a body"
                    )
                    left.append(repr(outcome))
                    left.append(json.dumps(outcome.outputs))
        running = asyncio.create_task(
            runner.run("script.runPredefinedScript", {"scriptName": "pay"}, connection="script")
        )
        await until(lambda: "sleep 1027" in command_lines())
        left.append(command_lines())
        running.cancel()
        left.append(repr(await running))
    for executed in runner.executed:
        metrics.count(executed)
    left += [caplog.text, runner.audit_path.read_text(), metrics.text().decode()]
    everything = "\n".join(left)
    assert 'status="failed"' in everything
    for name, canary in (*CANARIES.items(), ("key", CLIENT.key_pem.splitlines()[1])):
        for spelled in spellings(canary):
            assert spelled not in everything, name
