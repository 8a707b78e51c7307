"""The watched door over real connections: what it tells, line by line, what it never tells, and that it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.net.way import CLOCK, recorder
from tests.support.certificates import issue
from tests.support.policy import policy_of
from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import LOOPBACK, nameservers, trust_store
from tests.support.servers.http import reply, serving
from tests.support.servers.tcp import Listener, closed_port
from worker.apitest.authentication import BasicAuth
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest, ProxyServer
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.net.dns.resolver import Resolver
from worker.net.door import Door, Endpoint
from worker.net.failure import DoorError
from worker.net.http.response import HTTPLimits
from worker.net.trace import MAX_READS, Timeline, WatchedDoor
from worker.probers.limits import ProbeLimits
from worker.probers.table import probe
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=10_000_000))
NAME = "shop.test"
CANARY = "canary5ecret"


class Traced:
    """A watched door, and its lines with their times taken off."""

    def __init__(self, *servers: str, allow: tuple[str, ...] = LOOPBACK) -> None:
        self.raw: list[str] = []
        self.timeline = Timeline(CLOCK, self.raw.append)
        resolver = Resolver(nameservers(servers))
        self.door: Door = WatchedDoor(
            self.timeline, policy=policy_of(allow=allow), resolver=resolver, trust=trust_store(())
        )

    def lines(self, **names: object) -> list[str]:
        """*names* stand for what differs from run to run: ports, name servers."""
        shown = []
        for line in self.raw:
            text = re.sub(r"^ *[0-9.]+ ms  (\S+) +", r"\1 ", line)
            text = re.sub(r"in [0-9.]+ ms", "in N ms", text)
            for name, value in names.items():
                text = text.replace(str(value), name.upper())
            shown.append(text)
        return shown


async def test_a_request_is_told_from_its_name_to_its_last_byte() -> None:
    hops = {"/": reply(status="302 Found", headers=("Location: /there",)), "/there": reply(b"x" * 10)}
    async with (
        serving(lambda seen: hops[seen.target]) as target,
        DNSServer(dns.zone({NAME: {"A": ("127.0.0.1",)}})) as server,
    ):
        traced = Traced(server.address)
        traced.timeline.begin("Shop\x1b[2J")
        request = HTTPRequest(url=f"http://{NAME}:{target.port}/", follow_redirects=True)
        seen = await probe(request, traced.door, CLOCK, LIMITS)
        assert seen.failure is None
        way = [
            "open shop.test:PORT",
            "name shop.test: no rule is about it",
            "look-up shop.test: 127.0.0.1, by SERVER",
            "judge 127.0.0.1: allowed by whitelistedRange.4 127.0.0.0/8",
            "connect 127.0.0.1:PORT in N ms",
        ]
        lines = [
            re.sub(r"\d+ bytes", "N bytes", line) for line in traced.lines(port=target.port, server=server.address)
        ]
        exchange = ["send N bytes", "receive N bytes", "close sent N bytes, received N bytes"]
        assert lines == ["timeline of Shop\\x1b[2J", *way, *exchange, *way, *exchange]
        assert all(re.match(r" +[0-9]+\.[0-9] ms  ", line) for line in traced.raw[1:])


async def test_bytes_are_those_on_the_connection() -> None:
    answer = reply(b"x" * 10)
    async with serving(lambda _: answer) as target:
        traced = Traced()
        await probe(HTTPRequest(url=f"http://127.0.0.1:{target.port}/"), traced.door, CLOCK, LIMITS)
        sent = next(line for line in traced.lines() if line.startswith("send "))
        size = int(sent.split()[1])
        assert traced.lines()[-1] == f"close sent {size} bytes, received {len(answer)} bytes"


async def test_a_denial_names_the_rule() -> None:
    traced = Traced(allow=())
    with pytest.raises(DoorError):
        await traced.door.open(Endpoint(host="10.1.2.3", port=80), recorder())
    open_, name, judge, failed = traced.lines()
    assert judge.startswith("judge 10.1.2.3: denied by the IANA special-purpose block 10.0.0.0/8")
    assert failed.startswith("failed DENIED: ")
    assert (open_, name) == ("open 10.1.2.3:80", "name 10.1.2.3: no rule is about it")


async def test_a_refused_connection_is_an_attempt_and_a_failure() -> None:
    port = closed_port()
    traced = Traced()
    await probe(TCPRequest(host="127.0.0.1", port=port), traced.door, CLOCK, LIMITS)
    assert [line.split(":")[0] for line in traced.lines()[-2:]] == ["connect 127.0.0.1", "failed CONNREFUSED"]


async def test_a_dns_test_is_a_question_and_an_answer() -> None:
    async with DNSServer(dns.zone({NAME: {"A": ("192.0.2.1", "192.0.2.2")}})) as server:
        traced = Traced(server.address)
        await probe(DNSRequest(host=NAME, record_types=("A",)), traced.door, CLOCK, LIMITS)
        assert traced.lines(server=server.address) == [
            "ask A of shop.test",
            "name shop.test: no rule is about it",
            "answer NOERROR, 2 records, by SERVER",
        ]


async def test_further_handshakes_of_an_ssl_test_are_told_too(tmp_path: Path) -> None:
    traced = Traced()
    own = issue("shop", names=["127.0.0.1"])
    async with Listener(tls=own.serving(tmp_path / "own.pem")) as target:
        request = SSLRequest(host="127.0.0.1", port=target.port, server_name="127.0.0.1", accept_self_signed=True)
        seen = await probe(request, traced.door, CLOCK, LIMITS)
        lines = traced.lines(port=target.port)
    assert seen.failure is None
    assert [line for line in lines if line.startswith(("open", "again"))] == [
        "open 127.0.0.1:PORT",
        "again 127.0.0.1:PORT",
    ]
    assert sum(line.startswith("close") for line in lines) == 2


async def test_a_large_body_is_summed_up() -> None:
    size = 8_000_000
    async with serving(lambda _: reply(b"x" * size)) as target:
        traced = Traced()
        seen = await probe(HTTPRequest(url=f"http://127.0.0.1:{target.port}/"), traced.door, CLOCK, LIMITS)
        assert seen.failure is None
    received = [line for line in traced.lines() if line.startswith("receive ")]
    assert len(received) == MAX_READS
    assert int(traced.lines()[-1].split()[-2]) > size


REFUSED: list[Callable[[int], HTTPRequest]] = [
    lambda port: HTTPRequest(url=f"http://127.0.0.1:{port}/{CANARY}?k={CANARY}", headers=(("X-Key", CANARY),)),
    lambda port: HTTPRequest(url=f"http://u:{CANARY}@127.0.0.1:{port}/", method="POST", body=CANARY.encode()),
    lambda port: HTTPRequest(
        url=f"http://127.0.0.1:{port}/", authentication=BasicAuth(username=CANARY, password=Secret(CANARY))
    ),
    lambda port: HTTPRequest(
        url=f"http://127.0.0.1:{port}/",
        proxy=ProxyServer(url=Secret(f"http://u:{CANARY}@127.0.0.1:{port}"), headers=(("X-Key", CANARY),)),
    ),
    lambda _: HTTPRequest(url=f"http://u:{CANARY}@127.0.0.1:1/{CANARY}?{CANARY}"),
    lambda _: HTTPRequest(url=f"http://10.0.0.1/{CANARY}?{CANARY}"),
]


@pytest.mark.parametrize("request_of", REFUSED)
async def test_no_secret_is_in_a_timeline(request_of: Callable[[int], HTTPRequest]) -> None:
    cookie = reply(CANARY.encode(), headers=(f"Set-Cookie: s={CANARY}", f"X-Echo: {CANARY}"))
    async with serving(lambda _: cookie) as target:
        traced = Traced()
        await probe(request_of(target.port), traced.door, CLOCK, LIMITS)
    assert traced.raw
    assert CANARY not in "\n".join(traced.raw)
