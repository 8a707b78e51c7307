"""Every definition that the reference system's own clients recorded, from JSON to result, against servers of the right kind.

Hosts, proxies, token endpoints and client certificates (recorded as `cert-content`) are put in the place of the recorded ones.
`retry` and waits are left out: a test that fails as expected would take four times as long, and both have their own tests. What
the recordings cannot be run with is named: kinds of tests that are not there, files and subtests that they do not hold.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.integration.work.runners import LIMITS
from tests.support.jobs import job
from tests.support.policy import policy_of
from tests.support.recordings import RECORDED
from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import nameservers
from tests.support.servers.http import reply, serving
from tests.support.servers.node_http2 import node_http2
from tests.support.servers.proxy import HTTPProxy
from tests.support.servers.tcp import Listener
from tests.support.shared import needs_shared
from worker.apitest.result import Result
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.trust import TrustStore
from worker.telemetry.vitals import Vitals
from worker.work.runner import Runner

HOST = "127.0.0.1"
NEVER = {"validatesXPath", "md5"}
"""No body is JSON with `topKey`, a document with an element `target-xpath`, and has the MD5 sum `a`."""
AT_ONCE = 8
"""Runs at the same time: as many as a worker has slots, so that none waits for long."""

UPDATE, INVALID = "REQUIRES_UPDATE", "INVALID_TEST"
UNUSABLE = {
    **dict.fromkeys((case["id"] for case in RECORDED if case["subtype"] in ("grpc", "udp")), UPDATE),
    # Files that only the reference system has.
    **dict.fromkeys(("215a193bf0ca7395", "0a86e97cfac86d06", "a3c785268788fc09"), UPDATE),
    # An operator, a type of assertion and a method that do not exist; no assertions.
    "0a3702c209ec5be0": UPDATE,
    "a6ef959c1982335a": UPDATE,
    "33762d062bdcef9c": INVALID,
    "991ee598f8712cd8": INVALID,
    # Steps of gRPC, UDP, ICMP, WebSocket and MCP, or with NTLM; subtests that the recording does not hold.
    **dict.fromkeys(
        (
            *("25f74e3c439471b4", "a3e7689e0c0a7852", "9afe1d5cc150de66", "1a7500218404bf59", "ac9dcded51aba122"),
            *("f1a0049c633c1b24", "52fca91cc2d6acf8", "91e0640ffeedbad3", "750b478fc002113a", "a9195ff68f3a5392"),
            *("e49eb0bc7c95b6ae", "1e9f50ca4651e1d8", "3d7fff3a447a2982"),
        ),
        UPDATE,
    ),
}
"""Recordings that end without a run, and their code."""


@dataclass(frozen=True)
class Servers:
    """Ports, and the URLs of servers that answer every request alike."""

    ok: str
    moved: str
    token: str
    proxy: str
    tcp: int
    tls: int
    dns: DNSServer
    client: trustme.LeafCert


@asynccontextmanager
async def servers(path: Path) -> AsyncIterator[Servers]:
    authority = trustme.CA()
    leaf = authority.issue_cert(HOST)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(tls)
    token = reply(b'{"access_token": "t", "token_type": "Bearer"}', headers=("Content-Type: application/json",))
    moved = reply(status="301 Moved", headers=("Content-Type: text/html; charset=UTF-8",))
    async with AsyncExitStack() as stack:
        entered = stack.enter_async_context
        port = stack.enter_context(node_http2(path))
        proxy = await entered(HTTPProxy(tls=tls))
        yield Servers(
            ok=f"https://{HOST}:{port}/recorded",
            moved=(await entered(serving(moved, tls=tls))).url(),
            token=(await entered(serving(token))).url(),
            proxy=f"https://{HOST}:{proxy.port}",
            tcp=(await entered(Listener())).port,
            tls=(await entered(Listener(tls=tls))).port,
            client=authority.issue_cert("client"),
            dns=await entered(DNSServer(dns.zone({"example.org": {"A": ["0.0.0.0"]}}))),
        )


@asynccontextmanager
async def runner(at: Servers) -> AsyncIterator[Runner]:
    clock = SystemClock()
    resolver = Resolver(nameservers((at.dns.address,)))
    door = Door(policy=policy_of(allow=[f"{HOST}/32"]), resolver=resolver, trust=TrustStore())
    async with Evaluators(2, LIMITS.checks, clock) as evaluators:
        yield Runner(
            door=door,
            evaluators=evaluators,
            clock=clock,
            limits=LIMITS,
            vitals=Vitals(clock),
            worker_id="worker",
            version="1",
        )


def here(test: dict[str, Any], at: Servers) -> dict[str, Any]:
    """The same test of servers on loopback, whose certificates nobody has issued: it ignores that."""
    moved = deepcopy(test)
    moved["options"] |= {"allow_insecure": True, "accept_self_signed": True, "retry": None}
    moved["options"]["ignore_certificate_validation"] = True
    config = moved["config"]
    for part, subtype in [
        (config, moved.get("subtype", "http")),
        *((each, each["subtype"]) for each in config.get("steps", ())),
    ]:
        if "request" in part:
            _move(part["request"], subtype, json.dumps(part.get("assertions")), at)
        part.pop("retry", None)
        if subtype == "wait":
            part["value"] = 0
    return moved


def _move(request: dict[str, Any], subtype: str, assertions: str, at: Servers) -> None:
    if subtype == "http":
        request["url"] = at.moved if "301" in assertions else at.ok
        request["allow_insecure"] = True
        if "content" in request.get("certificate", {}).get("cert", {}):
            request["certificate"]["cert"]["content"] = at.client.cert_chain_pems[0].bytes().decode()
            request["certificate"]["key"]["content"] = at.client.private_key_pem.bytes().decode()
        if "proxy" in request:
            request["proxy"]["url"] = at.proxy
        if "accessTokenUrl" in request.get("basicAuth", {}):
            request["basicAuth"]["accessTokenUrl"] = at.token
    elif subtype in ("tcp", "ssl"):
        request |= {"host": HOST, "port": at.tcp if subtype == "tcp" else at.tls}


def holds(assertion: Mapping[str, Any], status: int) -> bool:
    """The expected word on *assertion*, of a response with *status*."""
    kind, operator, target = assertion["type"], str(assertion.get("operator")), assertion.get("target")
    if kind == "statusCode":
        return {"is": status == target, "isNot": status != target, "matches": True, "doesNotMatch": False}[operator]
    if kind == "header":
        return target == ("text/html" if status == 200 else "text/html; charset=UTF-8")
    return operator not in NEVER


def expected(case: Mapping[str, Any]) -> tuple[str | None, list[bool]]:
    """The code of the failure that is expected, and the word on each assertion that is judged."""
    config = case["test"]["config"]
    if (code := UNUSABLE.get(case["id"])) is not None:
        return code, []
    if "steps" in config:
        return None, []
    status = 301 if "301" in json.dumps(config["assertions"]) else 200
    words = [holds(each, status) for each in config["assertions"]]
    return None if all(words) else "INCORRECT_ASSERTION", words


@needs_shared
async def test_every_recorded_definition_reaches_the_verdict_that_is_expected(tmp_path: Path) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async with servers(tmp_path / "own.pem") as at, runner(at) as running:

        async def run(case: dict[str, Any]) -> Result:
            variables = {"unique_lower_alnum": "u1", "DATADOG_PORT": str(at.tls)}
            leased = job(test=here(case["test"], at), variables=variables)
            async with turns:
                return await running.carry_out(leased, running._clock.monotonic_ns())

        results = await asyncio.gather(*map(run, RECORDED))
    assert len(results) == 223
    for case, result in zip(RECORDED, results, strict=True):
        code, words = expected(case)
        found = None if result.failure is None else result.failure.code.value
        assert (found, [each.valid for each in result.assertions]) == (code, words), (case["id"], result.failure)
    assert Counter(code for code, _ in map(expected, RECORDED)) == {
        None: 60,
        "INCORRECT_ASSERTION": 135,
        UPDATE: 26,
        INVALID: 2,
    }
