"""TLS through the door: the name that is sent, the certificate that is demanded, and the reason why a handshake failed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.integration.net.way import recorder
from tests.support.descriptors import open_descriptors
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.servers.tcp import Listener
from tests.support.waiting import until
from worker.net.door import Door, Endpoint, TLSSettings
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.net.tls import SecureStream
from worker.outcome.failure import Failure, FailureCode

NAME = "www.example.org"
HOUR = timedelta(hours=1)


def serving(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


async def opened(
    door: Door, port: int, *, name: str, verify: bool = True, seen: Recorder | None = None
) -> SecureStream:
    endpoint = Endpoint(host="127.0.0.1", port=port, tls=TLSSettings(server_name=name, verify=verify))
    stream = await door.open(endpoint, seen or recorder())
    assert isinstance(stream, SecureStream)
    return stream


async def failure(door: Door, port: int, *, name: str = "127.0.0.1", verify: bool = True) -> Failure:
    with pytest.raises(DoorError) as caught:
        await opened(door, port, name=name, verify=verify)
    return caught.value.failure


async def test_the_handshake_is_a_phase_of_its_own_after_tcp(ca_file: Path, server_tls: ssl.SSLContext) -> None:
    seen = recorder()
    async with Listener(tls=server_tls) as target:
        stream = await opened(loopback_door(ca_files=[ca_file]), target.port, name=NAME, seen=seen)
        assert stream.session.version() == "TLSv1.3"
        stream.close()
    assert list(seen.phases) == ["tcp", "ssl"]
    assert min(seen.phases.values()) > 0


@pytest.mark.parametrize(("name", "sent"), [(NAME, NAME), (f"{NAME}.", NAME), ("127.0.0.1", None)])
async def test_the_servers_name_is_sent_and_an_address_is_not(
    name: str, sent: str | None, ca_file: Path, server_tls: ssl.SSLContext
) -> None:
    async with Listener(tls=server_tls) as target:
        (await opened(loopback_door(ca_files=[ca_file]), target.port, name=name)).close()
        assert target.server_names == [sent]


async def test_http_1_1_is_what_is_offered(ca_file: Path, server_tls: ssl.SSLContext) -> None:
    server_tls.set_alpn_protocols(["h2", "http/1.1"])
    async with Listener(tls=server_tls) as target:
        stream = await opened(loopback_door(ca_files=[ca_file]), target.port, name=NAME)
        assert stream.session.selected_alpn_protocol() == "http/1.1"
        stream.close()


async def test_an_authority_that_nobody_named_is_not_believed(server_tls: ssl.SSLContext) -> None:
    async with Listener(tls=server_tls) as target:
        seen = await failure(loopback_door(), target.port)
    assert seen.code is FailureCode.SSL
    assert "(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)" in seen.message
    assert "caFile" in seen.message


def expired(authority: trustme.CA) -> trustme.LeafCert:
    now = datetime.now(UTC)
    return authority.issue_cert("127.0.0.1", not_before=now - 2 * HOUR, not_after=now - HOUR)


def early(authority: trustme.CA) -> trustme.LeafCert:
    now = datetime.now(UTC)
    return authority.issue_cert("127.0.0.1", not_before=now + HOUR, not_after=now + 2 * HOUR)


@pytest.mark.parametrize(
    ("issue", "name", "reason"),
    [
        (expired, "127.0.0.1", "CERT_HAS_EXPIRED"),
        (early, "127.0.0.1", "CERT_NOT_YET_VALID"),
        (lambda authority: authority.issue_cert("other.example.org"), NAME, "HOSTNAME_MISMATCH"),
        (lambda authority: authority.issue_cert("192.0.2.1"), "127.0.0.1", "IP_ADDRESS_MISMATCH"),
    ],
)
async def test_what_is_wrong_with_a_certificate_has_its_name(
    issue: Callable[[trustme.CA], trustme.LeafCert], name: str, reason: str, authority: trustme.CA, ca_file: Path
) -> None:
    async with Listener(tls=serving(issue(authority))) as target:
        seen = await failure(loopback_door(ca_files=[ca_file]), target.port, name=name)
        assert (seen.code, f"({reason})" in seen.message) == (FailureCode.SSL, True)
        unverified = await opened(loopback_door(ca_files=[ca_file]), target.port, name=name, verify=False)
        unverified.close()


def chain(path: Path, *pems: trustme.Blob) -> ssl.SSLContext:
    path.write_bytes(b"".join(pem.bytes() for pem in pems))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_a_self_signed_certificate_is_told_from_an_unknown_authority_in_the_chain(tmp_path: Path) -> None:
    stranger = trustme.CA()
    leaf = stranger.issue_cert("127.0.0.1")
    alone = chain(tmp_path / "alone.pem", stranger.private_key_pem, stranger.cert_pem)
    with_root = chain(tmp_path / "chain.pem", leaf.private_key_pem, leaf.cert_chain_pems[0], stranger.cert_pem)
    async with Listener(tls=alone) as first, Listener(tls=with_root) as second:
        assert "(DEPTH_ZERO_SELF_SIGNED_CERT)" in (await failure(loopback_door(), first.port)).message
        assert "(SELF_SIGNED_CERT_IN_CHAIN)" in (await failure(loopback_door(), second.port)).message


async def test_without_verification_anything_is_accepted_and_still_timed(server_tls: ssl.SSLContext) -> None:
    seen = recorder()
    async with Listener(tls=server_tls) as target:
        stream = await opened(loopback_door(), target.port, name="anything.example.net", verify=False, seen=seen)
        stream.close()
        assert target.server_names == ["anything.example.net"]
    assert list(seen.phases) == ["tcp", "ssl"]


async def test_a_port_that_does_not_speak_tls_is_told_so() -> None:
    async with Listener(greeting=b"220 mail.example.org ESMTP\r\n" * 10) as target:
        seen = await failure(loopback_door(), target.port)
    assert seen.code is FailureCode.SSL
    assert "does not seem to speak TLS" in seen.message


@pytest.mark.parametrize("reset", [True, False])
async def test_a_peer_that_hangs_up_during_the_handshake_resets_the_connection(reset: bool) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with Listener(reset=True) as resetting, await asyncio.start_server(hang_up, "127.0.0.1", 0) as closing:
        port = resetting.port if reset else closing.sockets[0].getsockname()[1]
        seen = await failure(loopback_door(), port)
    assert seen.code is FailureCode.CONNRESET
    assert "TLS handshake" in seen.message


async def test_cancelled_during_the_handshake_closes_the_connection() -> None:
    seen = recorder()
    async with Listener() as silent:
        before = open_descriptors()
        task = asyncio.create_task(opened(loopback_door(), silent.port, name="127.0.0.1", seen=seen))
        await until(lambda: silent.received)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: silent.open == 0)
        await turns()
        assert open_descriptors() == before
    assert (list(seen.phases), seen.latest, seen.running) == (["tcp", "ssl"], "ssl", None)


async def test_a_failed_handshake_leaves_nothing_open(server_tls: ssl.SSLContext) -> None:
    async with Listener(tls=server_tls) as target:
        before = open_descriptors()
        for _ in range(5):
            await failure(loopback_door(), target.port)
        await turns()
        await until(lambda: open_descriptors() <= before)


async def test_the_name_is_looked_up_and_the_certificate_is_the_names(
    ca_file: Path, server_tls: ssl.SSLContext
) -> None:
    seen = recorder()
    async with Listener(tls=server_tls) as target, DNSServer(dns.zone({NAME: {"A": ["127.0.0.1"]}})) as server:
        door = loopback_door(server.address, ca_files=[ca_file])
        endpoint = Endpoint(host=NAME, port=target.port, tls=TLSSettings(server_name=NAME))
        stream = await door.open(endpoint, seen)
        stream.close()
    assert list(seen.phases) == ["dns", "tcp", "ssl"]


@pytest.mark.parametrize("name", [".example.com", "a..b", ".", "a" * 64 + ".example.com", "a." * 200 + "com", ""])
@pytest.mark.parametrize("verify", [True, False])
async def test_what_cannot_be_the_name_of_a_server_is_told_so(
    name: str, verify: bool, server_tls: ssl.SSLContext
) -> None:
    async with Listener(tls=server_tls) as target:
        before = open_descriptors()
        seen = await failure(loopback_door(), target.port, name=name, verify=verify)
        assert seen.code is FailureCode.INVALID_REQUEST
        assert "not a valid name of a server" in seen.message
        await until(lambda: target.open == 0)
        assert open_descriptors() <= before
