"""Names that change their mind: a real DNS server that answers one thing when asked once and another when asked again.

GOOD is allowed and listens, CLOSED is allowed and does not, the others listen and are not allowed. A run may reach GOOD or
nothing, and each run asks once for each address family: what was judged is what is dialled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import permutations

import pytest
import pytest_asyncio
from msgspec.structs import replace

from tests.integration.egress.listeners import Listeners
from tests.integration.egress.siege import CLOCK, LIMITS
from tests.support.policy import policy_of
from tests.support.servers import dns
from tests.support.servers.dns import Behaviour, DNSServer, Query, Reaction
from tests.support.servers.door import nameservers, trust_store
from tests.support.servers.http import reply, serving
from worker.apitest.observation import Observation
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.egress.policy import Policy
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.probers import dns as dns_prober
from worker.probers import http as http_prober
from worker.probers import tcp as tcp_prober

GOOD, CLOSED = "127.9.9.9", "127.9.9.8"
BAD, WORSE, BAD6 = "127.0.0.1", "127.127.127.127", "::1"
NAME = "rebind.test"

Probe = Callable[[Door, int], Awaitable[Observation]]


async def by_tcp(door: Door, port: int) -> Observation:
    return await tcp_prober.probe(TCPRequest(host=NAME, port=port, timeout=5), door, CLOCK, LIMITS)


async def by_http(door: Door, port: int) -> Observation:
    return await http_prober.probe(HTTPRequest(url=f"http://{NAME}:{port}/", timeout=5), door, CLOCK, LIMITS)


async def by_redirect(door: Door, port: int) -> Observation:
    server = serving(reply(status="307 Temporary Redirect", headers=(f"Location: http://{NAME}:{port}/",)))
    server.host = GOOD
    async with server:
        request = HTTPRequest(url=f"http://{GOOD}:{server.port}/", follow_redirects=True, timeout=5)
        return await http_prober.probe(request, door, CLOCK, LIMITS)


async def by_dns_server(door: Door, port: int) -> Observation:
    """Passes with the code DNS: the listeners refuse every question, but they were asked."""
    request = DNSRequest(host="www.outside.example", server=NAME, port=port, timeout=5)
    observation = await dns_prober.probe(request, door, CLOCK, LIMITS)
    refused = observation.failure is not None and "EREFUSED" in observation.failure.message
    return replace(observation, failure=None) if refused else observation


PROBES = [by_tcp, by_http, by_redirect, by_dns_server]


def code(observation: Observation) -> str:
    return observation.failure.code.value if observation.failure else ""


@pytest_asyncio.fixture
async def listeners() -> AsyncIterator[Listeners]:
    async with Listeners([GOOD, BAD, WORSE, BAD6]) as listeners:
        yield listeners


def door_to(*servers: DNSServer, policy: Policy | None = None) -> Door:
    resolver = Resolver(nameservers([server.address for server in servers]), ipv6=True)
    return Door(policy=policy or policy_of(allow=[GOOD, CLOSED]), resolver=resolver, trust=trust_store(()))


async def run(probe: Probe, behaviour: Behaviour, listeners: Listeners, runs: int) -> list[str]:
    """The codes of so many runs; whatever they are, nothing but GOOD was reached, and as often as a run passed."""
    async with DNSServer(behaviour) as server:
        codes = [code(await probe(door_to(server), listeners.port)) for _ in range(runs)]
        await listeners.settle()
    assert listeners.reached == [GOOD] * codes.count("")
    assert sorted(server.asked) == sorted([(NAME, "A", "udp"), (NAME, "AAAA", "udp")] * runs)
    return codes


@pytest.mark.parametrize("probe", PROBES)
async def test_first_good_then_bad(probe: Probe, listeners: Listeners) -> None:
    behaviour = dns.zone({NAME: {"A": dns.first_then([GOOD], [BAD])}})
    assert await run(probe, behaviour, listeners, 3) == ["", "DENIED", "DENIED"]


@pytest.mark.parametrize("probe", PROBES)
async def test_first_bad_then_good(probe: Probe, listeners: Listeners) -> None:
    behaviour = dns.zone({NAME: {"A": dns.first_then([BAD], [GOOD])}})
    assert await run(probe, behaviour, listeners, 3) == ["DENIED", "", ""]


@pytest.mark.parametrize("probe", PROBES)
async def test_round_robin(probe: Probe, listeners: Listeners) -> None:
    behaviour = dns.zone({NAME: {"A": dns.round_robin([GOOD], [BAD], [WORSE])}})
    assert await run(probe, behaviour, listeners, 6) == ["", "DENIED", "DENIED"] * 2


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("seed", [1, 2])
async def test_by_chance(probe: Probe, seed: int, listeners: Listeners) -> None:
    given: list[Sequence[str]] = []
    chance = dns.shuffled(seed, [GOOD], [BAD], [WORSE], [BAD, WORSE], [WORSE, GOOD])

    def answer(seen: int) -> Sequence[str]:
        given.append(chance(seen))
        return given[-1]

    codes = await run(probe, dns.zone({NAME: {"A": answer}}), listeners, 20)
    assert codes == ["" if GOOD in addresses else "DENIED" for addresses in given]


@pytest.mark.parametrize("probe", PROBES)
async def test_of_several_answers_only_the_good_one_is_dialled(probe: Probe, listeners: Listeners) -> None:
    answers = list(permutations([GOOD, BAD, WORSE]))
    behaviour = dns.zone({NAME: {"A": dns.round_robin(*answers), "AAAA": [BAD6]}})
    assert await run(probe, behaviour, listeners, len(answers)) == [""] * len(answers)


@pytest.mark.parametrize("probe", [by_tcp, by_http, by_redirect])
async def test_when_the_good_one_does_not_answer_the_bad_one_is_not_tried(probe: Probe, listeners: Listeners) -> None:
    behaviour = dns.zone({NAME: {"A": dns.round_robin([CLOSED, BAD], [BAD, CLOSED]), "AAAA": [BAD6]}})
    assert await run(probe, behaviour, listeners, 4) == ["CONNREFUSED"] * 4


@pytest.mark.parametrize("probe", PROBES)
async def test_one_family_good_and_the_other_bad(probe: Probe, listeners: Listeners) -> None:
    behaviour = dns.zone(
        {NAME: {"A": dns.first_then([GOOD], []), "AAAA": [BAD6, "::ffff:127.0.0.1", "64:ff9b::7f00:1"]}}
    )
    assert await run(probe, behaviour, listeners, 2) == ["", "DENIED"]


@pytest.mark.parametrize("probe", PROBES)
async def test_an_alias_that_comes_to_lead_inside(probe: Probe, listeners: Listeners) -> None:
    inside = {"good.test": {"A": [GOOD]}, "bad.test": {"A": [BAD]}}
    turned = dns.zone({NAME: {"CNAME": dns.first_then(["good.test."], ["bad.test."])}, **inside})
    # A and AAAA are counted apart, so both families turn at once.
    assert await run(probe, turned, listeners, 3) == ["", "DENIED", "DENIED"]


@pytest.mark.parametrize("probe", PROBES)
async def test_a_truncated_good_answer_with_a_bad_one_behind_it(probe: Probe, listeners: Listeners) -> None:
    good, bad = dns.zone({NAME: {"A": [GOOD]}}), dns.zone({NAME: {"A": [BAD]}})

    def cut_short(query: Query) -> Reaction:
        (wire,) = good(query).payloads
        return Reaction(payloads=(wire[:2] + bytes([wire[2] | 0x02]) + wire[3:],))  # the TC bit, RFC 1035 section 4.1.1

    async with DNSServer(dns.by_transport(udp=cut_short, tcp=bad)) as server:
        observation = await probe(door_to(server), listeners.port)
        await listeners.settle()
    assert code(observation) == "DENIED"
    assert listeners.reached == []


@pytest.mark.parametrize("probe", PROBES)
async def test_a_second_server_with_another_opinion(probe: Probe, listeners: Listeners) -> None:
    async with (
        DNSServer(dns.refusing("SERVFAIL")) as broken,
        DNSServer(dns.zone({NAME: {"A": [BAD]}})) as second,
    ):
        observation = await probe(door_to(broken, second), listeners.port)
        await listeners.settle()
    assert code(observation) == "DENIED"
    assert listeners.reached == []


async def test_a_name_that_turns_between_two_hops_of_one_run(listeners: Listeners) -> None:
    """The first hop's look-up is no promise for the second."""
    server = serving(lambda _: reply(status="302 Found", headers=(f"Location: http://{NAME}:{listeners.port}/inside",)))
    server.host = GOOD
    behaviour = dns.zone({NAME: {"A": dns.first_then([GOOD], [BAD])}})
    async with server, DNSServer(behaviour) as names:
        request = HTTPRequest(url=f"http://{NAME}:{server.port}/", follow_redirects=True, timeout=5)
        observation = await http_prober.probe(request, door_to(names), CLOCK, LIMITS)
        await listeners.settle()
    assert code(observation) == "DENIED"
    assert server.connections == 1
    assert listeners.reached == []


@pytest.mark.parametrize("probe", PROBES)
async def test_a_denied_name_is_never_looked_up(probe: Probe, listeners: Listeners) -> None:
    policy = policy_of(allow=["127.0.0.0/8"], deny_names=["*.TEST."])
    async with DNSServer(dns.zone({NAME: {"A": [GOOD]}})) as server:
        observation = await probe(door_to(server, policy=policy), listeners.port)
        await listeners.settle()
    assert code(observation) == "DENIED"
    assert observation.failure is not None
    assert "blockedDomainNames *.test; allowedDomainNames would allow it" in observation.failure.message
    assert (server.asked, listeners.reached) == ([], [])


@pytest.mark.parametrize("probe", PROBES)
async def test_an_allowed_name_lifts_no_denial_of_its_address(probe: Probe, listeners: Listeners) -> None:
    policy = policy_of(allow=[GOOD], allow_names=[NAME], deny_names=["*.test"])
    async with DNSServer(dns.zone({NAME: {"A": dns.first_then([BAD], [GOOD])}})) as server:
        door = door_to(server, policy=policy)
        codes = [code(await probe(door, listeners.port)) for _ in range(2)]
        await listeners.settle()
    assert codes == ["DENIED", ""]
    assert listeners.reached == [GOOD]


@pytest.mark.parametrize("host", [GOOD, "2131298569", "\u2460\u2461\u2466.9.9.9"])
async def test_denying_every_name_denies_addresses_written_as_hosts(host: str, listeners: Listeners) -> None:
    policy = policy_of(allow=["127.0.0.0/8"], allow_names=["*.example"], deny_names=["*"])
    async with DNSServer(dns.zone({})) as server:
        request = TCPRequest(host=host, port=listeners.port, timeout=5)
        observation = await tcp_prober.probe(request, door_to(server, policy=policy), CLOCK, LIMITS)
        await listeners.settle()
    assert code(observation) == "DENIED"
    assert listeners.reached == []


async def test_a_dns_test_does_not_ask_for_a_denied_name(listeners: Listeners) -> None:
    policy = policy_of(allow=["127.0.0.0/8"], deny_names=["*.secret.test"])
    async with DNSServer(dns.zone({})) as server:
        request = DNSRequest(host="db.secret.test", server=GOOD, port=listeners.port, timeout=5)
        observation = await dns_prober.probe(request, door_to(server, policy=policy), CLOCK, LIMITS)
        await listeners.settle()
    assert code(observation) == "DENIED"
    assert (server.asked, listeners.reached) == ([], [])
