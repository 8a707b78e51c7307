"""Names to addresses through real servers: their order, what is final, what is asked again, and what is never kept."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.integration.net.way import CLOCK, recorder
from tests.support.descriptors import open_descriptors
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import nameservers
from tests.support.waiting import until
from worker.egress.hosts import Name, parse_host
from worker.net.dns.resolver import MAX_ADDRESSES, Resolver, host_nameservers
from worker.net.failure import DoorError
from worker.outcome.failure import FailureCode

NAME = Name("www.example.org")
HONEST = dns.zone({NAME.text: {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]}, "bare.example.org": {}})


def texts(found: tuple[object, ...]) -> list[str]:
    return [str(address) for address in found]


async def test_addresses_come_in_the_order_of_the_answer_and_the_server_is_recorded() -> None:
    seen = recorder()
    async with DNSServer(HONEST) as server:
        found = await Resolver(nameservers([server.address])).resolve(NAME, seen)
        assert seen.server == server.address
    assert texts(found) == ["192.0.2.1", "192.0.2.2"]
    assert server.asked == [(NAME.text, "A", "udp")]


async def test_ipv4_comes_before_ipv6_which_is_asked_only_when_enabled() -> None:
    async with DNSServer(HONEST) as server:
        found = await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, recorder())
    assert texts(found) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert sorted(server.asked) == [(NAME.text, "A", "udp"), (NAME.text, "AAAA", "udp")]


async def test_a_name_with_ipv6_only_needs_ipv6() -> None:
    async with DNSServer(dns.zone({NAME.text: {"AAAA": ["2001:db8::1"]}})) as server:
        assert texts(await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, recorder())) == [
            "2001:db8::1"
        ]
        with pytest.raises(DoorError, match=r"ENODATA.*enableIPv6"):
            await Resolver(nameservers([server.address])).resolve(NAME, recorder())


async def test_a_name_without_any_address_is_not_told_to_enable_what_is_enabled() -> None:
    async with DNSServer(dns.zone({NAME.text: {}})) as server:
        with pytest.raises(DoorError, match="ENODATA") as caught:
            await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, recorder())
    assert "enableIPv6" not in caught.value.failure.message


@pytest.mark.parametrize(("absent", "expected"), [("A", ["2001:db8::1"]), ("AAAA", ["192.0.2.1", "192.0.2.2"])])
async def test_nxdomain_for_one_family_does_not_hide_the_other(absent: str, expected: list[str]) -> None:
    """Load balancers say so of families that they do not have."""
    nothing = dns.refusing("NXDOMAIN")
    seen = recorder()
    async with DNSServer(lambda query: nothing(query) if query.record_type == absent else HONEST(query)) as server:
        found = await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, seen)
        assert seen.server == server.address
    assert texts(found) == expected


@pytest.mark.parametrize("other", [dns.refusing("SERVFAIL"), dns.zone({NAME.text: {}}), dns.silent])
async def test_nxdomain_is_the_reason_where_no_family_has_an_address(other: dns.Behaviour) -> None:
    nothing = dns.refusing("NXDOMAIN")
    async with DNSServer(lambda query: nothing(query) if query.record_type == "AAAA" else other(query)) as server:
        with pytest.raises(DoorError, match="ENOTFOUND"):
            await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, recorder(0.3))


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LocalHost", "app.localhost", "a.b.localhost."])
@pytest.mark.parametrize(("ipv6", "expected"), [(False, ["127.0.0.1"]), (True, ["127.0.0.1", "::1"])])
async def test_localhost_is_loopback_and_asked_of_nobody(host: str, ipv6: bool, expected: list[str]) -> None:
    """RFC 6761 §6.3, 3."""
    name = parse_host(host)
    assert isinstance(name, Name)
    async with DNSServer(HONEST) as server:
        found = await Resolver(nameservers([server.address]), ipv6=ipv6).resolve(name, recorder())
    assert (texts(found), server.asked) == (expected, [])


@pytest.mark.parametrize("host", ["notlocalhost", "localhost.example.org"])
async def test_other_names_are_asked_for(host: str) -> None:
    async with DNSServer(HONEST) as server:
        with pytest.raises(DoorError, match="ENOTFOUND"):
            await Resolver(nameservers([server.address])).resolve(Name(host), recorder())
    assert server.asked == [(host, "A", "udp")]


async def test_an_ipv4_mapped_answer_is_the_ipv4_address() -> None:
    async with DNSServer(dns.zone({NAME.text: {"AAAA": ["::ffff:10.0.0.1"]}})) as server:
        assert texts(await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, recorder())) == ["10.0.0.1"]


async def test_nothing_is_kept_from_one_run_to_the_next() -> None:
    rebinding = dns.zone({NAME.text: {"A": dns.first_then(["192.0.2.1"], ["192.0.2.2"])}})
    async with DNSServer(rebinding) as server:
        resolver = Resolver(nameservers([server.address]))
        assert texts(await resolver.resolve(NAME, recorder())) == ["192.0.2.1"]
        assert texts(await resolver.resolve(NAME, recorder())) == ["192.0.2.2"]


@pytest.mark.parametrize(
    "trouble",
    [
        dns.silent,
        dns.refusing("SERVFAIL"),
        dns.refusing("REFUSED"),
        dns.refusing("NOTIMP"),
        dns.raw(lambda q: q.message.to_wire()[:4]),
    ],
    ids=["silent", "SERVFAIL", "REFUSED", "NOTIMP", "garbage"],
)
async def test_the_next_server_is_asked_when_one_is_in_trouble(trouble: dns.Behaviour) -> None:
    seen = recorder(1.2)
    async with DNSServer(trouble) as first, DNSServer(HONEST) as second:
        found = await Resolver(nameservers([first.address, second.address])).resolve(NAME, seen)
    assert texts(found)[0] == "192.0.2.1"
    assert seen.server == second.address
    assert len(first.asked) == len(second.asked) == 1


async def test_the_next_server_is_asked_when_nothing_listens_at_the_first() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        empty = f"127.0.0.1:{taken.getsockname()[1]}"
    async with DNSServer(HONEST) as second:
        assert await Resolver(nameservers([empty, second.address])).resolve(NAME, recorder())


async def test_the_first_server_is_the_only_one_asked_when_it_answers() -> None:
    async with DNSServer(HONEST) as first, DNSServer(HONEST) as second:
        for _ in range(5):
            await Resolver(nameservers([first.address, second.address])).resolve(NAME, recorder())
    assert (len(first.asked), second.asked) == (5, [])


async def test_a_name_that_does_not_exist_is_not_asked_of_the_next_server() -> None:
    async with DNSServer(dns.zone({})) as first, DNSServer(HONEST) as second:
        with pytest.raises(DoorError) as caught:
            await Resolver(nameservers([first.address, second.address])).resolve(NAME, recorder())
    assert second.asked == []
    assert caught.value.failure.code is FailureCode.DNS
    assert "of hostname www.example.org failed (ENOTFOUND)" in caught.value.failure.message
    assert first.address in caught.value.failure.message


async def test_a_lost_datagram_is_sent_again() -> None:
    async with DNSServer(dns.losing(1, HONEST)) as server:
        assert await Resolver(nameservers([server.address])).resolve(NAME, recorder(0.8))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (dns.silent, "ETIMEOUT"),
        (dns.refusing("SERVFAIL"), "ESERVFAIL"),
        (dns.refusing("REFUSED"), "EREFUSED"),
        (dns.zone({NAME.text: {}}), "ENODATA"),
        (dns.zone({NAME.text: {"CNAME": ["elsewhere.example.net."]}}), "ENODATA"),
    ],
)
async def test_each_kind_of_failure_has_its_code(behaviour: dns.Behaviour, code: str) -> None:
    async with DNSServer(behaviour) as server:
        with pytest.raises(DoorError) as caught:
            await Resolver(nameservers([server.address])).resolve(NAME, recorder(0.3))
    assert caught.value.failure.code is FailureCode.DNS
    assert f"({code})" in caught.value.failure.message


async def test_a_time_out_names_every_server_and_the_cure() -> None:
    async with DNSServer(dns.silent) as first, DNSServer(dns.silent) as second:
        with pytest.raises(DoorError, match="ETIMEOUT") as caught:
            await Resolver(nameservers([first.address, second.address])).resolve(NAME, recorder(0.4))
    message = caught.value.failure.message
    for name in (first.address, second.address, "dnsServer", "dnsUseHost"):
        assert name in message
    assert message.count("no answer within") == 2


async def test_a_refusal_and_a_time_out_are_told_apart_by_server() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        empty = f"127.0.0.1:{taken.getsockname()[1]}"
    async with DNSServer(dns.silent) as second:
        with pytest.raises(DoorError) as caught:
            await Resolver(nameservers([empty, second.address])).resolve(NAME, recorder(0.4))
    assert f"{empty}: nothing listens there" in caught.value.failure.message
    assert f"{second.address}: no answer within" in caught.value.failure.message


async def test_without_any_server_the_failure_says_so() -> None:
    with pytest.raises(DoorError, match="no DNS server is configured"):
        await Resolver([]).resolve(NAME, recorder())


async def test_silent_servers_share_the_time_that_is_left() -> None:
    """Two rounds over two servers within 0.4 s: no server may use up what the others need."""
    async with DNSServer(dns.silent) as first, DNSServer(dns.silent) as second:
        began = CLOCK.monotonic_ns()
        with pytest.raises(DoorError):
            await Resolver(nameservers([first.address, second.address])).resolve(NAME, recorder(0.4))
    assert 0.3 < (CLOCK.monotonic_ns() - began) / 1e9 < 0.6
    assert (len(first.asked), len(second.asked)) == (2, 2)


async def test_only_so_many_addresses_of_a_name_are_considered() -> None:
    many = dns.zone({NAME.text: {"A": [f"192.0.2.{number}" for number in range(1, 101)]}})
    async with DNSServer(dns.truncated(many)) as server:
        found = await Resolver(nameservers([server.address])).resolve(NAME, recorder())
    assert len(found) == MAX_ADDRESSES


async def test_one_silent_family_does_not_hide_the_other() -> None:
    def a_only(query: dns.Query) -> dns.Reaction:
        return HONEST(query) if query.record_type == "A" else dns.silent(query)

    async with DNSServer(a_only) as server:
        found = await Resolver(nameservers([server.address]), ipv6=True).resolve(NAME, recorder(0.5))
    assert texts(found) == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize("ipv6", [False, True])
async def test_a_cancelled_look_up_closes_its_sockets(ipv6: bool) -> None:
    async with DNSServer(dns.silent) as server:
        before = open_descriptors()
        task = asyncio.create_task(Resolver(nameservers([server.address]), ipv6=ipv6).resolve(NAME, recorder(30)))
        await until(lambda: len(server.asked) == 1 + ipv6)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await turns()
        assert open_descriptors() == before


def test_the_servers_of_resolv_conf_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    lines = ["# nameserver 9.9.9.9", "search example.org", "nameserver 192.0.2.1", "nameserver fe80::1%eth0"]
    lines += ["nameserver x", "nameserver", "nameserver 2001:db8::1 # second"]
    path.write_text("\n".join(lines))
    assert [str(server) for server in host_nameservers(path)] == ["192.0.2.1", "2001:db8::1"]
    assert host_nameservers(tmp_path / "absent") == ()
