"""The DNS prober against a real server: record sets as a test compares them, rcodes, flags, and servers that are in trouble."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.observed import judged
from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.waiting import until
from worker.apitest.observation import Observation
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.responses.dns import DNSAnswer, DNSAnswers
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers import dns as prober
from worker.probers.limits import ProbeLimits

NAME = "www.example.org"
LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1))
ZONE = {
    NAME: {
        "A": ["192.0.2.1", "10.0.0.1"],
        "AAAA": ["2001:db8::1"],
        "MX": ["10 mail.example.org.", "20 backup.example.org."],
        "NS": ["ns1.example.org."],
        "TXT": ['"v=spf1 " "-all"'],
        "SOA": ["ns1.example.org. admin.example.org. 1 7200 3600 1209600 300"],
        "SRV": ["1 2 5060 sip.example.org."],
        "CAA": ['0 issue "ca.example.net"'],
    },
    "alias.example.org": {"CNAME": [f"{NAME}."]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["host.example.org."]},
    "dns.example.org": {"A": ["127.0.0.1"]},
}
HONEST = dns.zone(ZONE)
FLAGS = ("qr", "rd", "ra")


async def asked(
    door: Door, host: str, *types: str, server: str | None = None, port: int = 53, limit: float = 5
) -> Observation:
    request = DNSRequest(host=host, record_types=types or ("A",), server=server, port=port, timeout=limit)
    return await prober.probe(request, door, SystemClock(), LIMITS)


def answers(seen: Observation) -> tuple[DNSAnswer, ...]:
    assert isinstance(seen.response, DNSAnswers)
    return seen.response.answers


@pytest.mark.parametrize(
    ("host", "kind", "records"),
    [
        (NAME, "A", ("192.0.2.1", "10.0.0.1")),
        (NAME, "AAAA", ("2001:db8::1",)),
        ("alias.example.org", "CNAME", (NAME,)),
        ("alias.example.org", "A", ("192.0.2.1", "10.0.0.1")),
        (NAME, "MX", ("10 mail.example.org", "20 backup.example.org")),
        (NAME, "NS", ("ns1.example.org",)),
        (NAME, "TXT", ("v=spf1 -all",)),
        (NAME, "SOA", ("ns1.example.org admin.example.org 1 7200 3600 1209600 300",)),
        (NAME, "SRV", ("1 2 5060 sip.example.org",)),
        ("192.0.2.1", "PTR", ("host.example.org",)),
        ("1.2.0.192.in-addr.arpa.", "PTR", ("host.example.org",)),
        (NAME, "CAA", ('0 issue "ca.example.net"',)),
    ],
)
async def test_each_type_is_asked_of_the_server_that_the_test_names(
    host: str, kind: str, records: tuple[str, ...]
) -> None:
    async with DNSServer(HONEST) as server:
        seen = await asked(loopback_door(), host, kind, server="127.0.0.1", port=server.port)
    assert seen.failure is None
    assert answers(seen) == (DNSAnswer(record_type=kind, records=records, rcode="NOERROR", flags=FLAGS, ttl=dns.TTL),)
    assert [name for name, _ in seen.timings.tenths] == ["dns"]
    assert seen.resolution is not None
    assert seen.resolution.server == server.address


@pytest.mark.parametrize(
    ("written", "passes"),
    [
        ('"v=DKIM1; k=rsa; " "p=MIIB"', True),
        (r'"v=DKIM1\; k=rsa; p=MIIB"', True),  # as zone files write a semicolon
        (r'"v=DKIM1\\; k=rsa; p=MIIB"', False),  # pasted into a form that escapes by itself
        (r'"\"v=DKIM1; k=rsa; p=MIIB\""', False),
    ],
)
async def test_only_a_sound_dkim_record_passes(written: str, passes: bool) -> None:
    """What a zone says, read by dnspython, sent over the wire and judged: its data are unescaped once, by the zone's reader."""
    assertion = {"type": "recordEvery", "property": "TXT", "operator": "is", "target": "v=DKIM1; k=rsa; p=MIIB"}
    async with DNSServer(dns.zone({NAME: {"TXT": [written]}})) as server:
        seen = await asked(loopback_door(server.address), NAME, "TXT")
    assert judged(seen, assertion).valid is passes


async def test_several_types_are_asked_in_order_and_the_time_is_all_of_it() -> None:
    async with DNSServer(dns.delayed(0.05, HONEST)) as server:
        seen = await asked(loopback_door(server.address), NAME, "A", "MX", "TXT")
    assert [answer.record_type for answer in answers(seen)] == ["A", "MX", "TXT"]
    assert [kind for _, kind, _ in server.asked] == ["A", "MX", "TXT"]
    assert 145 < seen.timings.as_json()["dns"] < 800


async def test_without_a_server_the_workers_own_are_asked_in_their_order() -> None:
    async with DNSServer(dns.refusing("SERVFAIL")) as first, DNSServer(HONEST) as second:
        seen = await asked(loopback_door(first.address, second.address), NAME)
    assert answers(seen)[0].records == ("192.0.2.1", "10.0.0.1")
    assert len(first.asked) == 1
    assert seen.resolution is not None
    assert seen.resolution.server == second.address


async def test_a_server_may_be_named_and_its_addresses_are_judged() -> None:
    async with DNSServer(HONEST) as own, DNSServer(HONEST) as target:
        seen = await asked(loopback_door(own.address), NAME, server="dns.example.org", port=target.port)
        assert answers(seen)[0].records == ("192.0.2.1", "10.0.0.1")
        assert own.asked == [("dns.example.org", "A", "udp")]
        denied = await asked(loopback_door(own.address, allow=()), NAME, server="dns.example.org", port=target.port)
    assert denied.failure is not None
    assert (denied.failure.code, denied.response) == (FailureCode.DENIED, None)
    assert len(target.asked) == 1


@pytest.mark.parametrize("server", ["10.0.0.1", "0x0a000001", "::ffff:10.0.0.1", "169.254.169.254"])
async def test_a_denied_server_is_never_asked(server: str) -> None:
    seen = await asked(loopback_door(), NAME, server=server)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.DENIED


async def test_the_worker_does_not_judge_what_is_only_reported() -> None:
    """10.0.0.1 is denied to dial; that a name means it is what a test of an internal zone wants to know."""
    async with DNSServer(dns.zone({NAME: {"A": ["10.0.0.1"]}})) as server:
        seen = await asked(loopback_door(server.address), NAME)
    assert (seen.failure, answers(seen)[0].records) == (None, ("10.0.0.1",))


async def test_a_denied_name_is_not_asked() -> None:
    async with DNSServer(HONEST) as server:
        seen = await asked(loopback_door(server.address, deny_names=("*.example.org",)), NAME)
    assert seen.failure is not None
    assert (seen.failure.code, server.asked) == (FailureCode.DENIED, [])


@pytest.mark.parametrize(
    ("behaviour", "rcode", "code"),
    [
        (dns.zone({}), "NXDOMAIN", "ENOTFOUND"),
        (dns.refusing("SERVFAIL"), "SERVFAIL", "ESERVFAIL"),
        (dns.refusing("REFUSED"), "REFUSED", "EREFUSED"),
        (dns.refusing("NOTIMP"), "NOTIMP", "NOTIMP"),
    ],
)
async def test_an_rcode_that_says_no_is_a_failure_and_an_answer(
    behaviour: dns.Behaviour, rcode: str, code: str
) -> None:
    async with DNSServer(behaviour) as server:
        seen = await asked(loopback_door(), NAME, server="127.0.0.1", port=server.port)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.DNS
    assert f"hostname {NAME} failed ({code})" in seen.failure.message
    assert (answers(seen)[0].rcode, answers(seen)[0].records) == (rcode, ())


async def test_no_such_records_is_an_answer_without_any() -> None:
    async with DNSServer(HONEST) as server:
        seen = await asked(loopback_door(server.address), "dns.example.org", "MX")
    assert seen.failure is None
    assert answers(seen) == (DNSAnswer(record_type="MX", records=(), rcode="NOERROR", flags=FLAGS),)


async def test_a_large_answer_comes_over_tcp() -> None:
    many = dns.zone({NAME: {"TXT": [f'"{number:03}{"x" * 200}"' for number in range(100)]}})
    async with DNSServer(dns.truncated(many)) as server:
        seen = await asked(loopback_door(), NAME, "TXT", server="127.0.0.1", port=server.port)
    assert len(answers(seen)[0].records) == 100
    assert [transport for _, _, transport in server.asked] == ["udp", "tcp"]


async def test_what_was_answered_before_the_failure_is_kept() -> None:
    def a_only(query: dns.Query) -> dns.Reaction:
        return HONEST(query) if query.record_type == "A" else dns.silent(query)

    async with DNSServer(a_only) as server:
        seen = await asked(loopback_door(server.address), NAME, "A", "MX", limit=0.3)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.DNS
    assert "(ETIMEOUT)" in seen.failure.message
    assert server.address in seen.failure.message
    assert [answer.record_type for answer in answers(seen)] == ["A"]


async def test_a_silent_server_fails_within_the_tests_limit() -> None:
    async with DNSServer(dns.silent) as server:
        seen = await asked(loopback_door(server.address), NAME, limit=0.3)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.DNS
    assert "(ETIMEOUT)" in seen.failure.message
    assert server.address in seen.failure.message
    assert 220 < seen.timings.as_json()["dns"] < 800


async def test_a_port_where_nothing_listens_is_told_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    seen = await asked(loopback_door(), NAME, server="127.0.0.1", port=port)
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (FailureCode.DNS, None)
    assert f"127.0.0.1:{port}" in seen.failure.message
    assert "(ECONNREFUSED)" in seen.failure.message


@pytest.mark.parametrize(("host", "kind"), [("192.0.2.1", "A"), ("a b", "A"), ("", "A"), ("a..b", "MX")])
async def test_what_cannot_be_asked_is_an_invalid_request(host: str, kind: str) -> None:
    async with DNSServer(HONEST) as server:
        seen = await asked(loopback_door(server.address), host, kind)
    assert seen.failure is not None
    assert (seen.failure.code, server.asked) == (FailureCode.INVALID_REQUEST, [])


async def test_a_cancelled_probe_is_cancelled() -> None:
    async with DNSServer(dns.silent) as server:
        task = asyncio.create_task(asked(loopback_door(server.address), NAME))
        await until(lambda: server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
