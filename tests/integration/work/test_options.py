"""Options and members of requests that decide a verdict: each definition passes, and its neighbour without the option fails.

From JSON to result, against servers on loopback. What an option does in detail is in the tests of the prober that has it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.integration.work.runners import runner
from tests.support.certificates import DAY, issue
from tests.support.definitions import STATUS, api_test, multistep, step
from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.servers.http import Seen, reply, serving
from tests.support.servers.tcp import Listener
from worker.apitest.parse import parse
from worker.work.runner import Runner

HOST = "127.0.0.1"
LOGIN = "Basic " + b64encode(b"ann:pw").decode()
JSON = ("Content-Type: application/json",)


def answer(seen: Seen) -> bytes:
    """200 where a request has what its path asks for, else 4xx."""
    path, _, query = seen.target.partition("?")
    if path == "/moved":
        return reply(status="302 Found", headers=("Location: /ok",))
    if path == "/cookie":
        return reply(headers=("Set-Cookie: sid=1",))
    wanted = {
        "/ok": True,
        "/auth": seen.header("Authorization") == LOGIN,
        "/header": seen.header("X-Key") == "5",
        "/query": query == "a=1&a=2&b=x%20y",
        "/body": (seen.header("Content-Type"), seen.body) == ("application/json", b'{"a": 1}'),
        "/graphql": seen.header("Content-Type") == "application/json",
        "/typed": seen.header("Content-Type") == "text/csv",
        "/form": b'name="a"' in seen.body and b"boundary" in str(seen.header("Content-Type")).encode(),
        "/octets": seen.body == b"\x00\x01",
        "/post": seen.method == "POST",
        "/session": seen.header("Cookie") == "sid=1",
    }
    return reply(b'{"path": "%s"}' % path.encode(), status="200 OK" if wanted[path] else "400 Bad", headers=JSON)


class Targets:
    """The servers of all cases, and a flaky one that refuses every other request."""

    async def enter(self, stack: AsyncExitStack, path: Path) -> None:
        own, old = issue("shop", names=[HOST]), issue("old", names=[HOST], ends=-DAY)
        tls = own.serving(path / "own.pem")
        self.plain = (await stack.enter_async_context(serving(answer))).port
        self.secure = (await stack.enter_async_context(serving(answer, tls=tls))).port
        self.flaky = (await stack.enter_async_context(serving(self._now_and_then))).port
        self.own = (await stack.enter_async_context(Listener(tls=own.serving(path / "ssl.pem")))).port
        self.old = (await stack.enter_async_context(Listener(tls=old.serving(path / "old.pem")))).port
        records = dns.zone({"shop.test": {"A": ["192.0.2.7"]}})
        self.dns = (await stack.enter_async_context(DNSServer(records))).port
        self._asked = 0

    def _now_and_then(self, seen: Seen) -> bytes:
        self._asked += 1
        return reply(status="503 Busy" if self._asked % 2 else "200 OK")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[tuple[Targets, Runner]]:
    targets = Targets()
    async with AsyncExitStack() as stack:
        await targets.enter(stack, tmp_path)
        yield targets, await stack.enter_async_context(runner())


def http(path: str, request: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **at: Any) -> Any:
    scheme, port = ("https", "secure") if at else ("http", "plain")

    def made(targets: Targets) -> dict[str, Any]:
        url = f"{scheme}://{HOST}:{getattr(targets, port)}{path}"
        return api_test("http", STATUS, url=url, **(request or {})) | {"options": options or {}}

    return made


def tls(port: str, options: dict[str, Any] | None = None, **request: Any) -> Any:
    assertion = {"type": "property", "property": "protocol", "operator": "contains", "target": "TLS"}

    def made(targets: Targets) -> dict[str, Any]:
        return api_test("ssl", assertion, host=HOST, port=getattr(targets, port), **request) | {
            "options": options or {}
        }

    return made


def flaky(**options: Any) -> Any:
    return lambda targets: api_test("http", STATUS, url=f"http://{HOST}:{targets.flaky}/") | {"options": options}


def record(*, port: bool) -> Any:
    assertion = {"type": "recordSome", "property": "A", "operator": "is", "target": "192.0.2.7"}

    def made(targets: Targets) -> dict[str, Any]:
        where = {"dnsServer": HOST, "dnsServerPort": str(targets.dns if port else targets.plain)}
        return api_test("dns", assertion, host="shop.test", timeout=0.5, **where)

    return made


def session(keeps: bool) -> Any:
    def made(targets: Targets) -> dict[str, Any]:
        url = f"http://{HOST}:{targets.plain}"
        keeping = {"persistCookies": keeps}
        steps = (step("a", f"{url}/cookie", request=keeping), step("b", f"{url}/session", STATUS, request=keeping))
        return multistep(*steps)

    return made


FILE = {"name": "f", "originalFileName": "f.bin", "type": "text/plain", "content": "AAE=", "encoding": "base64"}
CASES = {
    "follow_redirects": (http("/moved", options={"follow_redirects": True}), http("/moved")),
    "follow_redirects of a request": (http("/moved", {"follow_redirects": True}), http("/moved", {})),
    "the options' word before the request's": (
        http("/moved", {"follow_redirects": False}, {"follow_redirects": True}),
        http("/moved", {"follow_redirects": True}, {"follow_redirects": False}),
    ),
    "allow_insecure": (http("/ok", options={"allow_insecure": True}, tls=True), http("/ok", tls=True)),
    "httpVersion": (
        http("/ok", options={"allow_insecure": True, "httpVersion": "any"}, tls=True),
        http("/ok", options={"allow_insecure": True, "httpVersion": "http2"}, tls=True),
    ),
    "basicAuth": (
        http("/auth", {"basicAuth": {"type": "web", "username": "ann", "password": "pw"}}),
        http("/auth", {"basicAuth": {"username": "ann", "password": ""}}),
    ),
    "headers": (http("/header", {"headers": {"x-key": 5}}), http("/header")),
    "query": (http("/query", {"query": {"a": ["1", 2], "b": "x y"}}), http("/query", {"query": {}})),
    "body with bodyType": (
        http("/body", {"method": "POST", "body": '{"a": 1}', "bodyType": "application/json"}),
        http("/body", {"method": "POST", "body": '{"a": 1}', "bodyType": "text/plain"}),
    ),
    "graphql": (
        http("/graphql", {"method": "POST", "body": "{}", "bodyType": "graphql"}),
        http("/graphql", {"method": "POST", "body": "{}"}),
    ),
    "a Content-Type of the author's": (
        http(
            "/typed", {"method": "POST", "body": "a", "bodyType": "text/plain", "headers": {"content-type": "text/csv"}}
        ),
        http("/typed", {"method": "POST", "body": "a", "bodyType": "text/plain"}),
    ),
    "form": (
        http("/form", {"method": "POST", "form": {"a": "1"}, "bodyType": "multipart/form-data"}),
        http("/form", {"method": "POST", "form": {"b": "1"}, "bodyType": "multipart/form-data"}),
    ),
    "a file": (
        http("/octets", {"method": "POST", "files": [FILE], "bodyType": "application/octet-stream"}),
        http("/octets", {"method": "POST", "files": [FILE | {"encoding": ""}], "bodyType": "application/octet-stream"}),
    ),
    "method": (http("/post", {"method": "POST"}), http("/post")),
    "retry": (flaky(retry={"count": 1, "interval": 10}), flaky(retry={"count": 0, "interval": 10})),
    "persistCookies": (session(keeps=True), session(keeps=False)),
    "accept_self_signed": (tls("own", {"accept_self_signed": True}), tls("own")),
    "accept_self_signed and an end": (
        tls("own", {"accept_self_signed": True}),
        tls("old", {"accept_self_signed": True}),
    ),
    "ignore_certificate_validation": (tls("old", {"ignore_certificate_validation": True}), tls("old")),
    "servername": (
        tls("own", {"accept_self_signed": True}, servername=HOST),
        tls("own", {"accept_self_signed": True}, servername="other.test"),
    ),
    "dnsServerPort": (record(port=True), record(port=False)),
}

CODES = {
    **dict.fromkeys(("allow_insecure", "httpVersion"), "SSL"),
    **dict.fromkeys(("accept_self_signed", "accept_self_signed and an end"), "SSL"),
    **dict.fromkeys(("ignore_certificate_validation", "servername"), "SSL"),
    "dnsServerPort": "DNS",
}
"""Of those that fail without an assertion."""


async def test_each_decides(stage: tuple[Targets, Runner]) -> None:
    targets, running = stage
    found = {}
    for name, (passing, failing) in CASES.items():
        runs = [await running.run(parse(deepcopy(made(targets)))) for made in (passing, failing)]
        found[name] = [run.failure and run.failure.code.value for run in runs]
        if name == "retry":  # the flaky server begins anew
            targets._asked = 0
    assert found == {name: [None, CODES.get(name, "INCORRECT_ASSERTION")] for name in CASES}
