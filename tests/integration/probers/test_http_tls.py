"""HTTPS targets as they are: OpenSSL's own server in each protocol and cipher, and the same targets seen by Node and curl."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from tests.support.peers import peer
from tests.support.servers.door import loopback_door
from tests.support.servers.http import reply, serving
from tests.support.servers.openssl import self_signed, tls_server
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.outcome.handshake import Handshake
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1_000_000))

ORDINARY = [
    ("-tls1_2", "AES256-GCM-SHA384"),
    ("-tls1_2", "AES128-GCM-SHA256"),
    ("-tls1_2", "AES256-SHA256"),
    ("-tls1_2", "AES128-SHA256"),
    ("-tls1_2", "AES256-SHA"),
    ("-tls1_2", "AES128-SHA"),
    ("-tls1_2", "ECDHE-RSA-AES256-SHA"),
    ("-tls1_2", "ECDHE-RSA-AES128-SHA256"),
    ("-tls1_2", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("-tls1_2", "DHE-RSA-AES256-GCM-SHA384"),
    ("-tls1_2", "DHE-RSA-AES128-SHA"),
    ("-tls1_3", "TLS_AES_128_GCM_SHA256"),
]
"""Protocols and ciphers of OpenSSL's default list that a server with an RSA key may insist on."""

NAMES = {"-tls1": "TLSv1", "-tls1_1": "TLSv1.1", "-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}

_NODE = """
require("https").get(process.argv[1], (response) => {
    console.log(response.statusCode, response.socket.getProtocol(), response.socket.getCipher().name);
    response.resume();
}).on("error", (error) => { console.log(error.code); });
"""


@pytest.fixture(scope="session")
def target(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with an RSA key, as old servers and management cards have."""
    path = tmp_path_factory.mktemp("target") / "rsa.pem"
    leaf = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


async def run(url: str, door: Door, *, insecure: bool = False, host: str | None = None) -> Observation:
    headers = () if host is None else (("Host", host),)
    return await probe(HTTPRequest(url=url, headers=headers, allow_insecure=insecure), door, SystemClock(), LIMITS)


async def handshake_with(port: int, door: Door, *, insecure: bool = False) -> Handshake | None:
    observation = await run(f"https://127.0.0.1:{port}/", door, insecure=insecure)
    assert observation.failure is None, observation.failure
    assert isinstance(observation.response, HTTPResponse)
    assert observation.response.status == 200
    return observation.response.handshake


async def said_by(*command: str, **environment: str) -> str:
    """What a program of others says of the same target."""
    process = await asyncio.create_subprocess_exec(
        peer(command[0]), *command[1:], stdout=subprocess.PIPE, env=os.environ | environment
    )
    async with asyncio.timeout(60):
        return (await process.communicate())[0].decode().strip()


@pytest.mark.parametrize(("protocol", "cipher"), ORDINARY)
async def test_an_ordinary_server_is_up_and_the_result_says_what_was_agreed(
    protocol: str, cipher: str, target: Path, door: Door
) -> None:
    chosen = ("-ciphersuites", cipher) if protocol == "-tls1_3" else ("-cipher", cipher)
    async with tls_server(target, protocol, *chosen) as port:
        assert await handshake_with(port, door) == Handshake(protocol=NAMES[protocol], cipher=cipher)


@pytest.mark.parametrize("cipher", ["AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA", "ECDHE-RSA-AES256-SHA"])
async def test_node_and_curl_agree_on_the_same(cipher: str, target: Path, ca_file: Path, door: Door) -> None:
    async with tls_server(target, "-tls1_2", "-cipher", cipher) as port:
        url = f"https://127.0.0.1:{port}/"
        seen = await handshake_with(port, door)
        node = await said_by("node", "-e", _NODE, url, NODE_EXTRA_CA_CERTS=str(ca_file))
        curl = await said_by("curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--cacert", str(ca_file), url)
    assert seen == Handshake(protocol="TLSv1.2", cipher=cipher)
    assert (node, curl) == (f"200 TLSv1.2 {cipher}", "200")


@pytest.mark.parametrize("protocol", ["-tls1", "-tls1_1"])
async def test_old_protocols_are_spoken_where_the_test_allows_what_is_insecure(
    protocol: str, target: Path, door: Door
) -> None:
    async with tls_server(target, protocol, "-cipher", "AES256-SHA:@SECLEVEL=0") as port:
        refused = await run(f"https://127.0.0.1:{port}/", door)
        assert refused.failure is not None
        assert refused.failure.code is FailureCode.SSL
        agreed = await handshake_with(port, door, insecure=True)
    assert agreed == Handshake(protocol=NAMES[protocol], cipher="AES256-SHA")


async def test_keys_of_any_size_are_accepted_where_the_test_allows_what_is_insecure(tmp_path: Path) -> None:
    small = self_signed(tmp_path / "small.pem", key="rsa:512")
    door = loopback_door(ca_files=[small])
    async with tls_server(small, "-tls1_2", "-cipher", "AES256-SHA:@SECLEVEL=0") as port:
        refused = await run(f"https://127.0.0.1:{port}/", door)
        assert refused.failure is not None
        assert refused.failure.code is FailureCode.SSL
        agreed = await handshake_with(port, door, insecure=True)
    assert agreed == Handshake(protocol="TLSv1.2", cipher="AES256-SHA")


async def test_without_tls_there_is_no_handshake(door: Door) -> None:
    async with serving(reply(b"plain")) as server:
        observation = await run(server.url(), door)
    assert isinstance(observation.response, HTTPResponse)
    assert observation.response.handshake is None


async def test_a_pinned_leaf_alone_is_an_anchor(authority: trustme.CA, tmp_path: Path) -> None:
    """curl and OpenSSL's -partial_chain take it too: the operator has named exactly this certificate."""
    leaf = authority.issue_cert("127.0.0.1")
    pinned = tmp_path / "leaf.pem"
    leaf.cert_chain_pems[0].write_to_path(str(pinned))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    async with serving(reply(b"pinned"), tls=context) as server:
        observation = await run(server.url(), loopback_door(ca_files=[pinned]))
        curl = await said_by("curl", "-s", "--cacert", str(pinned), server.url())
        stranger = await run(server.url(), loopback_door())
    assert observation.failure is None
    assert curl == "pinned"
    assert stranger.failure is not None


async def test_a_pinned_intermediate_alone_is_an_anchor(authority: trustme.CA, tmp_path: Path) -> None:
    intermediate = authority.create_child_ca()
    pinned = tmp_path / "intermediate.pem"
    intermediate.cert_pem.write_to_path(str(pinned))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    intermediate.issue_cert("127.0.0.1").configure_cert(context)
    async with serving(reply(b"pinned"), tls=context) as server:
        observation = await run(server.url(), loopback_door(ca_files=[pinned]))
    assert observation.failure is None


async def test_a_pinned_leaf_is_still_compared_with_the_name(authority: trustme.CA, tmp_path: Path) -> None:
    leaf = authority.issue_cert("other.example")
    pinned = tmp_path / "leaf.pem"
    leaf.cert_chain_pems[0].write_to_path(str(pinned))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    async with serving(reply(), tls=context) as server:
        observation = await run(server.url(), loopback_door(ca_files=[pinned]))
    assert observation.failure is not None
    assert "(IP_ADDRESS_MISMATCH)" in observation.failure.message


_NODE_NAME = """
const [port, servername] = process.argv.slice(1);
require("https").get({host: "127.0.0.1", port, servername, headers: {host: servername}}, (response) => {
    console.log(true); response.resume();
}).on("error", () => { console.log(false); });
"""


@pytest.mark.parametrize(
    ("names", "host", "accepted"),
    [
        (("*.wild.test",), "x_y.wild.test", True),
        (("*.wild.test",), "x-y.wild.test", True),
        (("*.wild.test",), "_x.wild.test", True),
        (("other.test", "*.wild.test"), "X_Y.WILD.test", True),
        (("*.wild.test",), "a_b.c.wild.test", False),
        (("*.wild.test",), "x_y.tame.test", False),
        (("x-y.wild.test",), "x_y.wild.test", False),
        (("*.test",), "x_y.test", False),
        (("wild.test",), "x_y.wild.test", False),
    ],
)
async def test_an_underscore_may_stand_under_a_wildcard(
    names: tuple[str, ...], host: str, accepted: bool, authority: trustme.CA, ca_file: Path, door: Door
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    async with serving(reply(), tls=context) as server:
        observation = await run(server.url(), door, host=host)
        arguments = (str(server.port), host)
        node = await said_by("node", "-e", _NODE_NAME, *arguments, NODE_EXTRA_CA_CERTS=str(ca_file))
        curl = await said_by(
            *("curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--cacert", str(ca_file)),
            *("--resolve", f"{host}:{server.port}:127.0.0.1", f"https://{host}:{server.port}/"),
        )
    assert (observation.failure is None) is accepted
    assert (node == "true", curl == "200") == (accepted, accepted)
    if observation.failure is not None:
        assert observation.failure.code is FailureCode.SSL
        assert "(HOSTNAME_MISMATCH)" in observation.failure.message


@pytest.mark.parametrize("name", ["DNS:x_y.wild.test", "IP:192.0.2.1"])
async def test_an_underscore_in_the_certificate_itself_is_compared(name: str, tmp_path: Path) -> None:
    """The common name counts only where there is no DNS name, as OpenSSL has it."""
    certificate = self_signed(tmp_path / "own.pem", subject="x_y.wild.test", name=name)
    async with tls_server(certificate) as port:
        observation = await run(
            f"https://127.0.0.1:{port}/", loopback_door(ca_files=[certificate]), host="x_y.wild.test"
        )
        other = await run(f"https://127.0.0.1:{port}/", loopback_door(ca_files=[certificate]), host="x_z.wild.test")
    assert observation.failure is None
    assert other.failure is not None
    assert "(HOSTNAME_MISMATCH)" in other.failure.message
