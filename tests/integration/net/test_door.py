"""The door without TLS or proxy: what is judged, what is dialled, in which order, and what is written down about it."""

from __future__ import annotations

import asyncio
import resource

import pytest

from tests.integration.net.way import CLOCK, recorder
from tests.support.descriptors import open_descriptors
from tests.support.policy import policy_of
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door, trust_store
from tests.support.servers.tcp import Listener, blackhole, closed_port
from tests.support.waiting import until
from worker.net.dns.resolver import Resolver
from worker.net.door import Door, Endpoint
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.outcome.failure import FailureCode

NAME = "www.example.org"


async def opened(door: Door, host: str, port: int, seen: Recorder | None = None) -> None:
    """Open and close; the DoorError is the caller's."""
    stream = await door.open(Endpoint(host=host, port=port), seen or recorder())
    stream.close()
    await turns()


async def refusal(door: Door, host: str, port: int = 443, seen: Recorder | None = None) -> DoorError:
    with pytest.raises(DoorError) as caught:
        await opened(door, host, port, seen)
    return caught.value


def zone(*addresses: str, ipv6: tuple[str, ...] = ()) -> dns.Behaviour:
    return dns.zone({NAME: {"A": addresses, "AAAA": ipv6}})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_is_dialled_without_any_look_up(host: str) -> None:
    seen = recorder()
    async with Listener(host=host, greeting=b"hello") as target:
        stream = await loopback_door().open(Endpoint(host=host, port=target.port), seen)
        assert await asyncio.wait_for(stream.receive(), 5) == b"hello"
        stream.close()
    assert list(seen.phases) == ["tcp"]
    assert (seen.server, str(seen.address), seen.port) == (None, host, target.port)
    assert [(one.address, one.port, one.error) for one in seen.attempts] == [(host, target.port, None)]


async def test_a_name_is_looked_up_once_and_its_address_dialled() -> None:
    seen = recorder()
    async with Listener() as target, DNSServer(zone("127.0.0.1")) as server:
        await opened(loopback_door(server.address), NAME, target.port, seen)
        assert server.asked == [(NAME, "A", "udp")]
        assert target.accepted == 1
    assert list(seen.phases) == ["dns", "tcp"]
    assert (seen.server, str(seen.address)) == (server.address, "127.0.0.1")


async def test_the_look_up_takes_as_long_as_it_takes() -> None:
    seen = recorder()
    async with Listener() as target, DNSServer(dns.delayed(0.15, zone("127.0.0.1"))) as server:
        await opened(loopback_door(server.address), NAME, target.port, seen)
    assert 145_000_000 <= seen.phases["dns"] < 500_000_000
    assert seen.phases["tcp"] < 100_000_000


SPELLINGS = [
    "127.1", "127.0.0.1.", "0x7f.1", "0177.0.0.1", "2130706433", "017700000001", "①②⑦.⓪.⓪.①", "１２７。０。０。１",
    "::ffff:127.0.0.1", "[::ffff:7f00:1]",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
async def test_any_spelling_of_an_address_is_judged_and_dialled_as_that_address(host: str) -> None:
    async with Listener() as target:
        seen = recorder()
        await opened(loopback_door(), host, target.port, seen)
        assert str(seen.address) == "127.0.0.1"
        refused = await refusal(loopback_door(allow=()), host, target.port)
        assert refused.failure.code is FailureCode.DENIED
        assert target.accepted == 1


@pytest.mark.parametrize(
    "host", ["fe80::1%lo", "[::1%25lo]", "256.1.1.1", "1.2.3.4.5", "a b", "127.0.0.1\0.example.org", ""]
)
async def test_a_host_that_is_none_is_an_invalid_request(host: str) -> None:
    async with DNSServer(zone("127.0.0.1")) as server:
        refused = await refusal(loopback_door(server.address), host)
    assert refused.failure.code is FailureCode.INVALID_REQUEST
    assert server.asked == []


async def test_a_denied_address_is_not_dialled_and_the_refusal_names_rule_and_option() -> None:
    async with Listener(host="127.0.0.2") as target, DNSServer(zone("127.0.0.2")) as server:
        door = loopback_door(server.address, allow=("127.0.0.1/32",))
        for host in ("127.0.0.2", NAME):
            refused = await refusal(door, host, target.port)
            assert refused.failure.code is FailureCode.DENIED
            assert "127.0.0.0/8" in refused.failure.message
            assert "whitelistedRange.4" in refused.failure.message
        assert "127.0.0.2" not in refused.failure.message
        assert target.accepted == 0


async def test_localhost_is_judged_by_the_policy_and_asked_of_nobody() -> None:
    async with Listener() as target, DNSServer(zone("192.0.2.1")) as server:
        await opened(loopback_door(server.address), "localhost", target.port)
        refused = await refusal(loopback_door(server.address, allow=()), "app.localhost", target.port)
    assert (target.accepted, server.asked) == (1, [])
    assert refused.failure.code is FailureCode.DENIED
    assert "127.0.0.0/8" in refused.failure.message


async def test_a_denied_name_is_never_looked_up() -> None:
    seen = recorder()
    async with DNSServer(zone("127.0.0.1")) as server:
        refused = await refusal(loopback_door(server.address, deny_names=("*.example.org",)), NAME, 443, seen)
    assert refused.failure.code is FailureCode.DENIED
    assert "blockedDomainNames" in refused.failure.message
    assert (server.asked, seen.phases, seen.resolution()) == ([], {}, None)


async def test_denied_answers_are_dropped_and_the_others_dialled() -> None:
    seen = recorder()
    async with Listener() as target, DNSServer(zone("10.0.0.1", "127.0.0.1", "169.254.169.254")) as server:
        await opened(loopback_door(server.address), NAME, target.port, seen)
    assert [one.address for one in seen.attempts] == ["127.0.0.1"]


async def test_an_answer_that_changes_after_it_was_judged_changes_nothing() -> None:
    """Rebinding: the name means another address from the second question on. There is no second question."""
    behaviour = dns.zone({NAME: {"A": dns.first_then(["127.0.0.1"], ["127.0.0.2"])}})
    async with (
        Listener() as target,
        Listener(host="127.0.0.2", port=target.port) as other,
        DNSServer(behaviour) as server,
    ):
        await opened(loopback_door(server.address, allow=("127.0.0.1/32",)), NAME, target.port)
        assert (target.accepted, other.accepted, len(server.asked)) == (1, 0, 1)
        refused = await refusal(loopback_door(server.address, allow=("127.0.0.1/32",)), NAME, target.port)
        assert (refused.failure.code, other.accepted) == (FailureCode.DENIED, 0)


async def test_addresses_are_tried_in_order_and_each_attempt_is_recorded() -> None:
    seen = recorder()
    async with Listener() as target, DNSServer(zone("127.0.0.3", "127.0.0.1", "127.0.0.4")) as server:
        await opened(loopback_door(server.address), NAME, target.port, seen)
    first, second = seen.attempts
    assert (first.address, second.address, second.error) == ("127.0.0.3", "127.0.0.1", None)
    assert first.error is not None
    assert "refused" in first.error
    assert str(seen.address) == "127.0.0.1"


async def test_ipv4_is_tried_before_ipv6() -> None:
    seen = recorder()
    async with Listener(host="::1") as target, DNSServer(zone("127.0.0.3", ipv6=("::1",))) as server:
        await opened(loopback_door(server.address, ipv6=True), NAME, target.port, seen)
    assert [one.address for one in seen.attempts] == ["127.0.0.3", "::1"]


async def test_an_address_that_swallows_everything_leaves_time_for_the_next() -> None:
    with blackhole("127.0.0.4") as port:
        async with Listener(port=port), DNSServer(zone("127.0.0.4", "127.0.0.1")) as server:
            door = loopback_door(server.address)
            seen = recorder(0.6)
            await opened(door, NAME, port, seen)
    first, second = seen.attempts
    assert (second.address, second.error) == ("127.0.0.1", None)
    assert "no answer" in (first.error or "")
    assert 2000 <= first.elapsed_tenths < 4500  # half of what was left after the look-up
    assert seen.phases["tcp"] >= 200_000_000


async def test_the_last_failure_is_the_one_that_is_reported() -> None:
    seen = recorder()
    async with DNSServer(zone("127.0.0.3", "127.0.0.4")) as server:
        refused = await refusal(loopback_door(server.address), NAME, closed_port(), seen)
    assert refused.failure.code is FailureCode.CONNREFUSED
    assert "127.0.0.4" in refused.failure.message
    assert [one.error is None for one in seen.attempts] == [False, False]


async def test_a_port_where_nothing_listens_refuses() -> None:
    port = closed_port()
    refused = await refusal(loopback_door(), "127.0.0.1", port)
    assert refused.failure.code is FailureCode.CONNREFUSED
    assert f"127.0.0.1:{port}" in refused.failure.message


@pytest.mark.parametrize(("host", "leads_to"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
async def test_where_the_kernel_leads_elsewhere_the_connection_is_closed(host: str, leads_to: str) -> None:
    """The unspecified address is this machine to Linux: what is connected is loopback, which was not judged."""
    async with Listener(host=leads_to) as target:
        refused = await refusal(loopback_door(allow=("0.0.0.0/8", "::/128")), host, target.port)
        await until(lambda: target.open == 0)
        assert target.received == b""
    assert refused.failure.code is FailureCode.DENIED


def open_door_but_for_loopback() -> Door:
    """The default blocks are off, and an operator denies loopback by name."""
    policy = policy_of(deny=["127.0.0.0/8", "::1/128"], block_special_purpose=False)
    return Door(policy=policy, resolver=Resolver(()), trust=trust_store(()))


UNSPECIFIED = ["0.0.0.0", "0", "0x0", "0.0", "::", "[::]", "::ffff:0.0.0.0", "::ffff:0:0"]


@pytest.mark.parametrize("host", UNSPECIFIED)
async def test_the_unspecified_address_is_no_way_to_loopback_and_no_oracle(host: str) -> None:
    leads_to = "::1" if host in ("::", "[::]") else "127.0.0.1"
    async with Listener(host=leads_to) as target:
        told = [await refusal(open_door_but_for_loopback(), host, port) for port in (target.port, closed_port())]
        assert target.accepted == 0
    assert {refused.failure.code for refused in told} == {FailureCode.DENIED}
    assert len({refused.failure.message for refused in told}) == 1


@pytest.mark.parametrize("host", UNSPECIFIED)
async def test_nor_is_it_one_to_a_name_server_there(host: str) -> None:
    async with DNSServer(zone("192.0.2.1"), host="::1" if host in ("::", "[::]") else "127.0.0.1") as server:
        with pytest.raises(DoorError) as caught:
            await open_door_but_for_loopback().nameservers(host, server.port, recorder())
        assert server.asked == []
    assert caught.value.failure.code is FailureCode.DENIED


@pytest.mark.parametrize(("host", "leads_to"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
async def test_where_the_kernel_leads_a_datagram_elsewhere_none_is_sent(host: str, leads_to: str) -> None:
    async with DNSServer(zone("192.0.2.1"), host=leads_to) as server:
        door = loopback_door(allow=("0.0.0.0/8", "::/128", "127.0.0.0/8", "::1/128"))
        servers = await door.nameservers(host, server.port, recorder())
        with pytest.raises(DoorError) as caught:
            await door.query(servers, NAME, "A", recorder())
        assert server.asked == []
    assert caught.value.failure.code is FailureCode.DENIED


@pytest.mark.parametrize(("host", "leads_to"), [("0.0.0.0", "127.0.0.1"), ("[::]", "::1")])
async def test_an_operators_own_resolver_may_be_called_this_machine(host: str, leads_to: str) -> None:
    async with DNSServer(zone("127.0.0.1"), host=leads_to) as server, Listener() as target:
        await opened(loopback_door(f"{host}:{server.port}"), NAME, target.port, recorder())
    assert server.asked


REBINDING = {
    "first, then second": dns.first_then(["127.0.0.1"], ["127.0.0.2"]),
    "round robin": dns.round_robin(["127.0.0.1"], ["127.0.0.2"]),
    "by chance": dns.shuffled(7, ["127.0.0.1"], ["127.0.0.2"]),
    "many at once": dns.first_then(["127.0.0.2", "127.0.0.1", "::ffff:127.0.0.2"]),
    "the other first": dns.first_then(["127.0.0.2"], ["127.0.0.1"]),
}


@pytest.mark.parametrize("strategy", REBINDING)
@pytest.mark.parametrize("kind", ["A", "CNAME", "AAAA"])
async def test_no_rebinding_reaches_what_is_denied(strategy: str, kind: str) -> None:
    """127.0.0.1 is allowed, 127.0.0.2 is not and counts who comes; the name answers with either, by each strategy."""
    answers = REBINDING[strategy]

    def mapped(seen: int) -> list[str]:
        return [one if ":" in one else f"::ffff:{one}" for one in answers(seen)]

    def plain(seen: int) -> list[str]:
        return [one for one in answers(seen) if ":" not in one]

    records: dict[str, dict[str, dict[str, dns.Addresses]]] = {
        "A": {NAME: {"A": plain}},
        "CNAME": {NAME: {"CNAME": ["inside.example.net."]}, "inside.example.net": {"A": plain}},
        "AAAA": {NAME: {"AAAA": mapped}},
    }
    async with Listener() as target, Listener(host="127.0.0.2", port=target.port) as secret:
        async with DNSServer(dns.zone(records[kind])) as server:
            door = loopback_door(server.address, allow=("127.0.0.1/32",), ipv6=kind == "AAAA")
            outcomes = set()
            for _ in range(8):
                try:
                    await opened(door, NAME, target.port)
                    outcomes.add("reached")
                except DoorError as error:
                    outcomes.add(error.failure.code.value)
        assert secret.accepted == 0
        assert target.accepted > 0
    assert outcomes <= {"reached", "DENIED"}


async def test_a_worker_without_descriptors_does_not_blame_the_target() -> None:
    door = loopback_door()
    async with Listener() as target:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            refused = await refusal(door, "127.0.0.1", target.port)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.failure.code is FailureCode.INTERNAL_ERROR
    assert "the worker has no file descriptor left" in refused.failure.message


# Cancellation, at each await on the way


async def cancelled(door: Door, host: str, port: int, seen: Recorder) -> None:
    """Start to open, let it come to rest, cancel; nothing may be left open."""
    before = open_descriptors()
    task = asyncio.create_task(door.open(Endpoint(host=host, port=port), seen))
    await until(lambda: seen.running is not None)
    await asyncio.sleep(0.05)  # the attempt is under way; nothing tells when
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    assert open_descriptors() == before
    assert seen.running is None


async def test_cancelled_while_looking_up() -> None:
    seen = recorder()
    async with DNSServer(dns.silent) as server:
        await cancelled(loopback_door(server.address), NAME, 443, seen)
    assert (list(seen.phases), seen.latest) == (["dns"], "dns")


async def test_cancelled_while_connecting() -> None:
    seen = recorder()
    with blackhole() as port:
        await cancelled(loopback_door(), "127.0.0.1", port, seen)
    assert (list(seen.phases), seen.latest) == (["tcp"], "tcp")
    (attempt,) = seen.attempts
    assert "before the test's time was over" in (attempt.error or "")


async def test_cancelled_while_connecting_to_the_first_of_several() -> None:
    seen = recorder()
    with blackhole("127.0.0.4") as port:
        async with DNSServer(zone("127.0.0.4", "127.0.0.1")) as server:
            await cancelled(loopback_door(server.address), NAME, port, seen)
    assert [one.address for one in seen.attempts] == ["127.0.0.4"]


# DNS tests ask through the door as well


async def test_the_server_that_a_dns_test_names_is_a_target() -> None:
    async with DNSServer(zone("192.0.2.1")) as server:
        door = loopback_door()
        servers = await door.nameservers("127.0.0.1", server.port, recorder())
        assert (await door.query(servers, NAME, "A", recorder())).records == ("192.0.2.1",)
        with pytest.raises(DoorError) as caught:
            await loopback_door(allow=()).nameservers("127.0.0.1", server.port, recorder())
    assert caught.value.failure.code is FailureCode.DENIED


async def test_each_address_of_a_named_dns_server_is_judged() -> None:
    names = dns.zone({"ns.example.org": {"A": ["127.0.0.9", "127.0.0.1"]}})
    async with DNSServer(names) as own:
        door = loopback_door(own.address, allow=("127.0.0.1/32",))
        asked = await door.nameservers("ns.example.org", 5353, recorder())
    assert [str(server) for server in asked.servers] == ["127.0.0.1:5353"]


async def test_a_dns_test_that_times_out_names_every_server_and_the_cure() -> None:
    async with DNSServer(dns.silent) as first, DNSServer(dns.silent) as second:
        door = loopback_door(first.address, second.address)
        with pytest.raises(DoorError, match="ETIMEOUT") as caught:
            await door.query(await door.nameservers(None, 53, recorder()), NAME, "A", recorder(0.4))
    message = caught.value.failure.message
    assert all(name in message for name in (NAME, first.address, second.address, "dnsServer", "dnsUseHost"))
    assert message.count("no answer within") == 2
    for server in (first, second):  # a lost datagram is no time-out
        assert [asked[:2] for asked in server.asked] == [(NAME, "A")] * 2


async def test_no_option_cures_a_server_that_the_test_names() -> None:
    """Also where the worker asks the same one."""
    async with DNSServer(dns.silent) as server:
        door = loopback_door(server.address)
        with pytest.raises(DoorError, match="ETIMEOUT") as caught:
            await door.query(await door.nameservers(server.host, server.port, recorder()), NAME, "A", recorder(0.3))
    assert server.address in caught.value.failure.message
    assert "dnsServer" not in caught.value.failure.message


async def test_without_a_server_a_dns_test_tells_the_cure() -> None:
    door = loopback_door()
    with pytest.raises(DoorError, match="no DNS server is configured; dnsServer names other servers"):
        await door.query(await door.nameservers(None, 53, recorder()), NAME, "A", recorder())


async def test_a_denied_name_is_not_asked_of_a_dns_server_either() -> None:
    async with DNSServer(zone("192.0.2.1")) as server:
        door = loopback_door(server.address, deny_names=(NAME,))
        with pytest.raises(DoorError) as caught:
            await door.query(await door.nameservers(None, 53, recorder()), NAME, "A", recorder())
    assert (caught.value.failure.code, server.asked) == (FailureCode.DENIED, [])


async def test_the_time_that_passes_between_phases_is_in_none() -> None:
    seen = recorder()
    async with Listener() as target, DNSServer(zone("127.0.0.1")) as server:
        began = CLOCK.monotonic_ns()
        await opened(loopback_door(server.address), NAME, target.port, seen)
        assert sum(seen.phases.values()) <= CLOCK.monotonic_ns() - began
    assert seen.timings().as_json()["total"] == pytest.approx(sum(value for _, value in seen.timings().tenths) / 10)
