"""The SSL prober against real TLS servers: what is accepted, what is refused and why, and what is told in either case."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.certificates import DAY, Issued, issue
from tests.support.descriptors import open_descriptors
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.servers.http import reply, serving
from tests.support.servers.openssl import self_signed, tls_server
from tests.support.servers.proxy import HTTPProxy
from tests.support.servers.tcp import Listener, closed_port
from tests.support.waiting import until
from worker.apitest.observation import Observation
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.responses.ssl import SSLResponse
from worker.clock import SystemClock
from worker.egress.proxy import Proxy
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.probers import ssl as prober
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1))
HOST = "127.0.0.1"
PROTOCOLS = {"-tls1": "TLSv1", "-tls1_1": "TLSv1.1", "-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}


async def probed(door: Door, port: int, *, seconds: float = 20.0, name: str = HOST, **asked: Any) -> Observation:
    request = SSLRequest(host=HOST, port=port, server_name=name, timeout=seconds, **asked)
    observation = await prober.probe(request, door, SystemClock(), LIMITS)
    await turns()
    return observation


def response(observation: Observation) -> SSLResponse:
    assert isinstance(observation.response, SSLResponse)
    return observation.response


def refused(observation: Observation) -> tuple[FailureCode, str]:
    """The code, and the reason that the response has."""
    assert observation.failure is not None
    fault = response(observation).fault
    assert fault is not None
    assert f"({fault.name})" in observation.failure.message
    return observation.failure.code, fault.name


def door_for(*anchors: Issued, tmp_path: Path) -> Door:
    path = tmp_path / "anchors.pem"
    path.write_text("".join(each.pem for each in anchors))
    return loopback_door(ca_files=[path])


async def test_a_believed_certificate_is_told_with_what_was_agreed(door: Door, server_tls: ssl.SSLContext) -> None:
    async with Listener(tls=server_tls) as target:
        seen = await probed(door, target.port, name="vhost.example")
        assert target.server_names == ["vhost.example"]
        await until(lambda: target.open == 0)
    assert seen.failure is None
    assert [name for name, _ in seen.timings.tenths] == ["tcp", "handshake"]
    told = response(seen)
    assert (told.presented, len(told.chain), told.fault) == (1, 1, None)
    assert told.handshake is not None
    assert told.handshake.protocol == "TLSv1.3"
    assert "DNS:vhost.example" in told.chain[0].alternative_names


@pytest.mark.parametrize(
    ("name", "sent"), [("größe.test", "xn--gre-6ka8i.test"), ("Shop.TEST.", "shop.test"), ("127.1", None)]
)
async def test_a_name_is_sent_as_the_wire_has_it(name: str, sent: str | None, tmp_path: Path) -> None:
    own = issue("shop", names=[sent or HOST])
    async with Listener(tls=own.serving(tmp_path / "own.pem")) as target:
        seen = await probed(loopback_door(), target.port, name=name, accept_self_signed=True)
        assert set(target.server_names) == {sent}
    assert seen.failure is None


@pytest.mark.parametrize("name", ["a..b", "", "a" * 64 + ".test", "a b"])
async def test_what_cannot_be_a_name_is_an_invalid_request(name: str, door: Door, server_tls: ssl.SSLContext) -> None:
    async with Listener(tls=server_tls) as target:
        seen = await probed(door, target.port, name=name)
        await until(lambda: target.open == 0)
    assert seen.failure is not None
    assert seen.failure.code in (FailureCode.INVALID_REQUEST, FailureCode.SSL)


@pytest.mark.parametrize("option", PROTOCOLS)
async def test_every_version_of_tls_is_spoken_and_its_facts_are_openssls(
    option: str, door: Door, authority: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "server.pem"
    authority.issue_cert(HOST, key_type=trustme.KeyType.RSA).private_key_and_cert_chain_pem.write_to_path(str(path))
    async with tls_server(path, option, "-cipher", "ALL:@SECLEVEL=0") as port:
        seen = await probed(door, port, lowest_version=True)
    assert seen.failure is None
    told = response(seen)
    assert told.handshake is not None
    assert (told.handshake.protocol, told.lowest_version) == (PROTOCOLS[option], PROTOCOLS[option])
    assert (told.chain[0].public_key.kind, told.chain[0].public_key.size) == ("RSA", 2048)


async def test_the_lowest_version_is_that_of_the_target_and_not_the_agreed_one(door: Door, target: Path) -> None:
    async with tls_server(target, "-cipher", "ALL:@SECLEVEL=0", "-no_tls1") as port:
        told = response(await probed(door, port, lowest_version=True))
    assert told.handshake is not None
    assert (told.handshake.protocol, told.lowest_version) == ("TLSv1.3", "TLSv1.1")


@pytest.fixture
def target(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "target.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize(
    ("begins", "ends", "reason"), [(-3 * DAY, -DAY, "CERT_HAS_EXPIRED"), (DAY, 2 * DAY, "CERT_NOT_YET_VALID")]
)
async def test_a_certificate_outside_its_time_is_refused_and_told(
    begins: timedelta, ends: timedelta, reason: str, tmp_path: Path
) -> None:
    root = issue("Root", ca=True)
    leaf = issue("shop", root, names=[HOST], begins=begins, ends=ends)
    door = door_for(root, tmp_path=tmp_path)
    async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
        seen = await probed(door, target.port)
        assert refused(seen) == (FailureCode.SSL, reason)
        told = response(seen)
        assert told.chain[0].subject.as_json() == {"O": "Shop", "CN": "shop"}
        assert told.handshake is None
        ignored = await probed(door, target.port, accept_any=True)
    assert ignored.failure is None
    fault = response(ignored).fault
    assert fault is not None
    assert (fault.name, response(ignored).handshake is not None) == (reason, True)


@pytest.mark.parametrize("accept_self_signed", [False, True])
async def test_another_name_is_refused_whoever_signed(accept_self_signed: bool, tmp_path: Path) -> None:
    own = issue("shop", names=["shop.test"])
    door = door_for(own, tmp_path=tmp_path)
    async with Listener(tls=own.serving(tmp_path / "leaf.pem")) as target:
        seen = await probed(door, target.port, accept_self_signed=accept_self_signed)
        assert refused(seen) == (FailureCode.SSL, "IP_ADDRESS_MISMATCH")
        unknown = await probed(loopback_door(), target.port, accept_self_signed=accept_self_signed)
        named = await probed(loopback_door(), target.port, name="shop.test", accept_self_signed=accept_self_signed)
    reason = "IP_ADDRESS_MISMATCH" if accept_self_signed else "DEPTH_ZERO_SELF_SIGNED_CERT"
    assert refused(unknown) == (FailureCode.SSL, reason)
    assert (named.failure is None) is accept_self_signed


async def test_an_unknown_issuer_is_accepted_only_where_the_test_says_so(tmp_path: Path) -> None:
    root = issue("Root", ca=True)
    middle = issue("Middle", root, ca=True)
    leaf = issue("shop", middle, names=[HOST])
    chains = {
        (): "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        (middle,): "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        (middle, root): "SELF_SIGNED_CERT_IN_CHAIN",
    }
    for chain, reason in chains.items():
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem", *chain)) as target:
            assert refused(await probed(loopback_door(), target.port)) == (FailureCode.SSL, reason)
            accepted = await probed(loopback_door(), target.port, accept_self_signed=True)
        assert accepted.failure is None
        told = response(accepted)
        assert told.fault is not None
        assert (told.fault.name, told.presented) == (reason, 1 + len(chain))


async def test_an_expired_self_signed_certificate_is_still_expired(tmp_path: Path) -> None:
    own = issue("shop", names=[HOST], begins=-3 * DAY, ends=-DAY)
    async with Listener(tls=own.serving(tmp_path / "own.pem")) as target:
        seen = await probed(loopback_door(), target.port, accept_self_signed=True)
    assert refused(seen) == (FailureCode.SSL, "CERT_HAS_EXPIRED")


async def test_small_keys_and_old_signatures_are_told_and_not_refused(tmp_path: Path) -> None:
    small = self_signed(tmp_path / "small.pem", key="rsa:512")
    async with tls_server(small, "-cipher", "ALL:@SECLEVEL=0", "-tls1_2") as port:
        seen = await probed(loopback_door(ca_files=[small]), port)
    assert seen.failure is None
    assert response(seen).chain[0].public_key.size == 512


@pytest.mark.parametrize("asked", [{}, {"accept_self_signed": True}, {"accept_any": True}])
async def test_only_the_first_handshake_is_timed(asked: dict[str, Any], tmp_path: Path) -> None:
    own = issue("shop", names=[HOST])
    async with Listener(tls=own.serving(tmp_path / "own.pem")) as target:
        seen = await probed(loopback_door(), target.port, **asked)
    assert [name for name, _ in seen.timings.tenths] == ["tcp", "handshake"]
    assert seen.resolution is not None
    assert len(seen.resolution.attempts) == 1


async def test_a_missing_intermediate_is_fetched_from_where_the_certificate_says(tmp_path: Path) -> None:
    root = issue("Root", ca=True)
    middle = issue("Middle", root, ca=True)
    async with serving(reply(middle.der)) as repository:
        leaf = issue("shop", middle, names=[HOST], issuers=repository.url("/middle.cer"))
        door = door_for(root, tmp_path=tmp_path)
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
            seen = await probed(door, target.port)
            forbidden = await probed(door, target.port, fetch_intermediates=False)
        assert [each.target for each in repository.seen] == ["/middle.cer"]
    assert seen.failure is None
    told = response(seen)
    assert told.fault is not None
    assert (told.fetched, told.presented, told.fault.name) == (1, 1, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")
    assert refused(forbidden) == (FailureCode.SSL, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")


@pytest.mark.parametrize("issuer_name", ["Root", "rOOT", "Root "])
async def test_a_fetched_certificate_is_no_anchor(issuer_name: str, tmp_path: Path) -> None:
    """OpenSSL takes names that differ in case or blanks for the same, and so a certificate with two such for self-signed."""
    root = issue("Root", ca=True, issuer_name=issuer_name)
    async with serving(reply(root.der)) as repository:
        leaf = issue("shop", root, names=[HOST], issuers=repository.url())
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
            seen = await probed(loopback_door(), target.port)
        assert len(repository.seen) == 1
    assert refused(seen) == (FailureCode.SSL, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")
    assert response(seen).fetched == 0


async def test_an_intermediate_behind_a_denied_address_is_not_fetched(tmp_path: Path) -> None:
    leaf = issue("shop", issue("Root", ca=True), names=[HOST], issuers="http://169.254.169.254/latest/meta-data")
    async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
        seen = await probed(loopback_door(), target.port)
    assert refused(seen) == (FailureCode.SSL, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")


@pytest.mark.parametrize("answer", [b"", b"not a certificate", b"\x30\x82" * 1000])
async def test_nonsense_in_the_place_of_an_intermediate_changes_nothing(answer: bytes, tmp_path: Path) -> None:
    async with serving(reply(answer)) as repository:
        leaf = issue("shop", issue("Root", ca=True), names=[HOST], issuers=repository.url())
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
            seen = await probed(loopback_door(), target.port)
    assert refused(seen) == (FailureCode.SSL, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")


async def test_intermediates_without_end_are_fetched_a_few_times(tmp_path: Path) -> None:
    """Each certificate says that its issuer is one click further on."""
    authorities = [issue("CA 0", ca=True)]
    async with serving(lambda seen: reply(authorities[int(seen.target[1:])].der)) as repository:
        for number in range(1, 20):
            place = repository.url(f"/{number - 1}")
            authorities.append(issue(f"CA {number}", authorities[-1], ca=True, issuers=place))
        leaf = issue("shop", authorities[-1], names=[HOST], issuers=repository.url("/19"))
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
            seen = await probed(loopback_door(), target.port)
        assert [each.target for each in repository.seen] == ["/19", "/18", "/17"]
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.SSL


async def test_long_chains_and_large_certificates_are_counted_and_cut(tmp_path: Path) -> None:
    others = [issue(f"Other {number}", ca=True) for number in range(30)]
    own = issue("shop", names=[HOST, *(f"host-{number:04}.shop.example" for number in range(1500))])
    async with Listener(tls=own.serving(tmp_path / "own.pem", *others)) as target:
        seen = await probed(loopback_door(), target.port, accept_any=True)
    assert seen.failure is None
    told = response(seen)
    assert (told.presented, told.chain) == (31, ())
    medium = issue("shop", names=[HOST, *(f"host-{number:04}.shop.example" for number in range(900))])
    async with Listener(tls=medium.serving(tmp_path / "medium.pem", *others)) as target:
        told = response(await probed(loopback_door(), target.port, accept_any=True))
    assert (told.presented, len(told.chain), len(told.chain[0].alternative_names)) == (31, 10, 100)


async def test_a_chain_beyond_what_openssl_takes_is_a_failure(tmp_path: Path) -> None:
    own = issue("shop", names=[HOST])
    others = [issue("Other", names=[f"{number:060}.example" for number in range(400)]) for _ in range(4)]
    async with Listener(tls=own.serving(tmp_path / "own.pem", *others)) as target:
        seen = await probed(loopback_door(), target.port)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.SSL


async def test_a_refused_connection_has_no_certificate(door: Door) -> None:
    seen = await probed(door, closed_port())
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (FailureCode.CONNREFUSED, None)


async def test_a_server_that_never_ends_its_handshake_is_a_time_out(door: Door) -> None:
    async with Listener() as silent:
        seen = await probed(door, silent.port, seconds=0.3)
        await until(lambda: silent.open == 0)
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (FailureCode.TIMEOUT, None)
    assert "waiting for the TLS handshake to end" in seen.failure.message


async def test_a_server_that_does_not_speak_tls_is_told(door: Door) -> None:
    async with Listener(greeting=b"220 mail.example.org ESMTP\r\n" * 10) as target:
        seen = await probed(door, target.port)
    assert seen.failure is not None
    assert (seen.failure.code, seen.response) == (FailureCode.SSL, None)


@pytest.mark.parametrize("hands_over_names", [False, True])
async def test_further_handshakes_go_through_the_operators_proxy_too(hands_over_names: bool, tmp_path: Path) -> None:
    own = issue("shop", names=["shop.test"])
    zone = dns.zone({"shop.test": {"A": [HOST]}})
    async with (
        HTTPProxy(names={"shop.test": HOST}) as proxy,
        Listener(tls=own.serving(tmp_path / "own.pem")) as target,
        DNSServer(zone) as names,
    ):
        through = replace(Proxy.parse(Secret(f"http://{HOST}:{proxy.port}")), hands_over_names=hands_over_names)
        request = SSLRequest(
            host="shop.test",
            port=target.port,
            server_name="shop.test",
            accept_self_signed=True,
            lowest_version=True,
        )
        door = loopback_door(names.address, proxy=through)
        seen = await prober.probe(request, door, SystemClock(), LIMITS)
        asked = "shop.test" if hands_over_names else HOST
        assert [head.split()[1] for head in proxy.heads] == [f"{asked}:{target.port}"] * 5
        assert len(names.asked) == (0 if hands_over_names else 1)
    assert seen.failure is None
    assert response(seen).lowest_version == "TLSv1.2"
    assert seen.timings.tenths[-1][0] == "handshake"


async def test_cancelled_anywhere_leaves_nothing_open(tmp_path: Path) -> None:
    own = issue("shop", names=[HOST])
    async with Listener() as silent, Listener(tls=own.serving(tmp_path / "own.pem")) as target:
        await probed(loopback_door(), target.port)  # what is made once is there
        before = open_descriptors()
        task = asyncio.create_task(probed(loopback_door(), silent.port))
        await until(lambda: silent.received)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: silent.open == 0 and target.open == 0)
        await turns()
        assert open_descriptors() <= before


async def test_an_observation_says_when_it_was_made(door: Door, server_tls: ssl.SSLContext) -> None:
    before = SystemClock().now().timestamp()
    async with Listener(tls=server_tls) as target:
        told = response(await probed(door, target.port))
    assert before <= told.checked_at <= SystemClock().now().timestamp()
