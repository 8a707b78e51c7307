"""The TCP prober against real targets: established, refused, silent, denied; phases and outcome of each."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.servers.proxy import HTTPProxy, SOCKS5Proxy
from tests.support.servers.tcp import Listener, blackhole, closed_port
from tests.support.waiting import until
from worker.apitest.observation import Observation
from worker.apitest.protocols.tcp import TCPRequest
from worker.apitest.responses.tcp import TCPConnection
from worker.clock import SystemClock
from worker.egress.proxy import Proxy
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers import tcp
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

NAME = "www.example.org"
LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1))


async def probed(door: Door, host: str, port: int, limit: float = 5.0) -> Observation:
    observation = await tcp.probe(TCPRequest(host=host, port=port, timeout=limit), door, SystemClock(), LIMITS)
    await turns()
    return observation


async def test_a_connection_is_established_and_closed_again() -> None:
    async with Listener(greeting=b"220 hello\r\n") as target:
        seen = await probed(loopback_door(), "127.0.0.1", target.port)
        await until(lambda: target.accepted == 1 and target.open == 0)
        assert target.received == b""
    assert seen.failure is None
    assert seen.response == TCPConnection(outcome="established")
    assert [name for name, _ in seen.timings.tenths] == ["tcp"]
    assert seen.resolution_as_json() is not None
    assert (seen.resolution_as_json() or {})["resolved_ip"] == "127.0.0.1"


async def test_a_name_has_its_look_up_as_a_phase() -> None:
    behaviour = dns.delayed(0.1, dns.zone({NAME: {"A": ["127.0.0.1"]}}))
    async with Listener() as target, DNSServer(behaviour) as server:
        seen = await probed(loopback_door(server.address), NAME, target.port)
    printed = seen.timings.as_json()
    assert list(printed) == ["dns", "tcp", "total"]
    assert 95 < printed["dns"] < 500
    assert (seen.resolution_as_json() or {})["server"] == server.address


async def test_a_target_that_resets_at_once_was_reached() -> None:
    async with Listener(reset=True) as target:
        seen = await probed(loopback_door(), "127.0.0.1", target.port)
    assert seen.response == TCPConnection(outcome="established")


async def test_a_refusal_is_a_failure_and_an_outcome() -> None:
    seen = await probed(loopback_door(), "127.0.0.1", closed_port())
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.CONNREFUSED
    assert seen.response == TCPConnection(outcome="refused")
    assert [name for name, _ in seen.timings.tenths] == ["tcp"]


async def test_silence_is_a_time_out_at_the_tests_limit() -> None:
    with blackhole() as port:
        seen = await probed(loopback_door(), "127.0.0.1", port, 0.2)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.TIMEOUT
    assert "no answer within 0.2 s, waiting for the connection to be accepted" in seen.failure.message
    assert seen.response == TCPConnection(outcome="timeout")
    assert 190 < seen.timings.as_json()["tcp"] < 600
    assert seen.resolution is not None
    assert len(seen.resolution.attempts) == 1


async def test_a_time_out_during_the_look_up_says_nothing_about_the_target() -> None:
    async with DNSServer(dns.silent) as server:
        seen = await probed(loopback_door(server.address), NAME, 443, 0.2)
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (FailureCode.DNS, None)
    assert [name for name, _ in seen.timings.tenths] == ["dns"]


@pytest.mark.parametrize(
    ("host", "code"),
    [("10.0.0.1", FailureCode.DENIED), ("a b", FailureCode.INVALID_REQUEST), (NAME, FailureCode.DNS)],
)
async def test_what_was_never_dialled_has_no_outcome(host: str, code: FailureCode) -> None:
    seen = await probed(loopback_door(), host, 443)
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (code, None)


async def test_trouble_of_the_proxy_is_no_outcome_of_the_target_and_its_word_about_the_target_is() -> None:
    port = closed_port()
    async with SOCKS5Proxy() as proxy:
        honest = loopback_door(proxy=Proxy.parse(Secret(f"socks5://127.0.0.1:{proxy.port}")))
        refused = await probed(honest, "127.0.0.1", port)
    gone = await probed(honest, "127.0.0.1", port)
    assert refused.response == TCPConnection(outcome="refused")
    assert gone.failure is not None
    assert (gone.failure.code, gone.response) == (FailureCode.TUNNEL, None)
    async with HTTPProxy(silent=True) as silent:
        waiting = loopback_door(proxy=Proxy.parse(Secret(f"http://127.0.0.1:{silent.port}")))
        seen = await probed(waiting, "127.0.0.1", port, 0.2)
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (FailureCode.TIMEOUT, None)
    assert "proxy" in seen.failure.message


async def test_a_cancelled_probe_is_cancelled() -> None:
    with blackhole() as port:
        task = asyncio.create_task(probed(loopback_door(), "127.0.0.1", port))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
