"""Client certificates against servers that demand one: to whom they are shown, and what happens where they cannot be."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.support.certificates import Issued, issue
from tests.support.descriptors import open_descriptors
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.servers.http import Server, reply, serving
from tests.support.servers.tcp import Listener
from tests.support.waiting import until
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.request import ClientCertificate
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.ssl import SSLResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.net.identity import ClientIdentity, show
from worker.net.trust import MOST_KEPT, TrustStore
from worker.outcome.failure import FailureCode
from worker.probers import http
from worker.probers import ssl as prober
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1_000_000))
HOST = "127.0.0.1"
ROOT = issue("Root", ca=True)
SERVER = issue("server", ROOT, names=[HOST, "a.test", "b.test", "x.a.test"])
CLIENT = issue("client", ROOT)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def certificate(shown: Issued = CLIENT, *, key: str | None = None, domains: tuple[str, ...] = ()) -> ClientCertificate:
    return ClientCertificate(chain=shown.pem, key=Secret(key or shown.key_pem), domains=domains)


@pytest.fixture
def believing(tmp_path: Path) -> Door:
    return loopback_door(ca_files=[ROOT.write(tmp_path / "root.pem")])


def demanding(
    path: Path, *, mode: ssl.VerifyMode = ssl.CERT_REQUIRED, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = SERVER.serving(path)
    context.verify_mode = mode
    context.maximum_version = version
    context.load_verify_locations(cadata=ROOT.pem)
    return context


async def fetched(url: str, door: Door, shown: ClientCertificate | None, *, insecure: bool = False) -> Observation:
    request = HTTPRequest(url=url, client_certificate=shown, allow_insecure=insecure, follow_redirects=True, timeout=20)
    observation = await http.probe(request, door, SystemClock(), LIMITS)
    await turns()
    return observation


def status(observation: Observation) -> int:
    assert observation.failure is None, observation.failure
    assert isinstance(observation.response, HTTPResponse)
    return observation.response.status


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("insecure", [False, True])
async def test_a_server_that_demands_a_certificate_gets_it(
    version: ssl.TLSVersion, insecure: bool, believing: Door, tmp_path: Path
) -> None:
    async with serving(reply(), tls=demanding(tmp_path / "server.pem", version=version)) as server:
        for _ in range(2):  # the second time from what was kept
            assert status(await fetched(server.url(), believing, certificate(), insecure=insecure)) == 200
        without = await fetched(server.url(), believing, None, insecure=insecure)
        foreign = await fetched(server.url(), believing, certificate(issue("client")), insecure=insecure)
        assert len(server.seen) == 2
    for refused in (without, foreign):
        assert refused.failure is not None
        assert refused.failure.code in (FailureCode.SSL, FailureCode.CONNRESET)


class Peers:
    """The certificates that clients showed to a server which demands none, one by one; None for none."""

    def __init__(self, path: Path) -> None:
        self.shown: list[bool] = []
        self.tls = demanding(path, mode=ssl.CERT_OPTIONAL)

    def serving(self, answer: bytes) -> Server:
        server = serving(answer, tls=self.tls)
        converse = server.conversation

        async def looking(reader: object, writer: object) -> None:
            self.shown.append(writer.get_extra_info("ssl_object").getpeercert() is not None)  # type: ignore[attr-defined]
            await converse(reader, writer)  # type: ignore[arg-type]

        server.conversation = looking
        return server


@pytest.mark.parametrize(
    ("domains", "first", "second"),
    [
        ((), True, False),
        (("b.test",), False, True),
        (("a.test", "b.test"), True, True),
        (("*.test",), False, False),
        (("*.a.test",), False, False),
    ],
)
async def test_a_redirect_to_another_host_does_not_carry_it_there(
    domains: tuple[str, ...], first: bool, second: bool, tmp_path: Path
) -> None:
    zone = dns.zone({"a.test": {"A": [HOST]}, "b.test": {"A": [HOST]}})
    peers = Peers(tmp_path / "server.pem")
    async with DNSServer(zone) as names, peers.serving(reply(b"end")) as there:
        location = f"Location: https://b.test:{there.port}/"
        async with peers.serving(reply(status="302 Found", headers=(location,))) as here:
            door = loopback_door(names.address, ca_files=[ROOT.write(tmp_path / "root.pem")])
            observation = await fetched(f"https://a.test:{here.port}/", door, certificate(domains=domains))
    assert status(observation) == 200
    assert peers.shown == [first, second]


async def test_it_is_not_shown_to_whoever_comes_first_over_tls(tmp_path: Path) -> None:
    """A test of an http URL that is redirected to somebody else's https one."""
    zone = dns.zone({"a.test": {"A": [HOST]}, "b.test": {"A": [HOST]}})
    peers = Peers(tmp_path / "server.pem")
    async with DNSServer(zone) as names, peers.serving(reply(b"end")) as there:
        location = f"Location: https://b.test:{there.port}/"
        async with serving(reply(status="302 Found", headers=(location,))) as here:
            door = loopback_door(names.address, ca_files=[ROOT.write(tmp_path / "root.pem")])
            observation = await fetched(f"http://a.test:{here.port}/", door, certificate())
    assert status(observation) == 200
    assert peers.shown == [False]


def locked() -> str:
    return CLIENT.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")).decode()


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (ClientCertificate(chain="cert-content", key=Secret("key-content")), "not valid PEM"),
        (ClientCertificate(chain=CLIENT.pem, key=Secret("")), "not valid PEM"),
        (certificate(key=issue("other").key_pem), "the key is not that of the certificate"),
        (certificate(key=locked()), "the key has a passphrase"),
    ],
)
async def test_one_that_cannot_be_used_is_told_without_its_contents(
    shown: ClientCertificate, reason: str, believing: Door, tmp_path: Path
) -> None:
    async with Listener(tls=demanding(tmp_path / "server.pem")) as target:
        request = SSLRequest(host=HOST, port=target.port, server_name=HOST, client_certificate=shown)
        seen = [
            await fetched(f"https://{HOST}:{target.port}/", believing, shown),
            await prober.probe(request, believing, SystemClock(), LIMITS),
        ]
        await until(lambda: target.open == 0)
    for observation in seen:
        assert observation.failure is not None
        assert observation.failure.code is FailureCode.INVALID_REQUEST
        assert reason in observation.failure.message
        assert "BEGIN" not in observation.failure.message
        assert "content" not in observation.failure.message


async def test_over_http_it_is_not_looked_at(believing: Door) -> None:
    shown = ClientCertificate(chain="cert-content", key=Secret("key-content"))
    async with serving(reply()) as server:
        assert status(await fetched(server.url(), believing, shown)) == 200


@pytest.mark.parametrize("accept_any", [False, True])
async def test_an_ssl_test_shows_it_in_every_handshake(accept_any: bool, believing: Door, tmp_path: Path) -> None:
    door = loopback_door() if accept_any else believing
    tls = demanding(tmp_path / "server.pem", version=ssl.TLSVersion.TLSv1_2)
    async with Listener(tls=tls) as target:
        request = SSLRequest(
            host=HOST,
            port=target.port,
            server_name=HOST,
            client_certificate=certificate(),
            accept_any=accept_any,
            lowest_version=True,
        )
        seen = await prober.probe(request, door, SystemClock(), LIMITS)
        bare = await prober.probe(
            SSLRequest(host=HOST, port=target.port, server_name=HOST), believing, SystemClock(), LIMITS
        )
        await until(lambda: target.open == 0)
    assert seen.failure is None
    assert isinstance(seen.response, SSLResponse)
    assert seen.response.lowest_version == "TLSv1.2"
    # Without one, the server's own certificate is told all the same.
    assert bare.failure is not None
    assert bare.failure.code in (FailureCode.SSL, FailureCode.CONNRESET)
    assert isinstance(bare.response, SSLResponse)
    assert bare.response.chain[0].subject.as_json()["CN"] == "server"


def test_a_key_is_read_from_memory_and_nothing_stays_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = open_descriptors()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    show(ClientIdentity(chain=CLIENT.pem, key=Secret(CLIENT.key_pem)), context)
    assert open_descriptors() == before
    assert list(tmp_path.iterdir()) == []


def test_few_contexts_are_kept_and_the_latest_ones() -> None:
    store = TrustStore()
    made: list[int] = []

    def make(number: int) -> ssl.SSLContext:
        made.append(number)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    for number in range(MOST_KEPT):
        store.kept(number, lambda number=number: make(number))  # type: ignore[misc]
    store.kept(0, lambda: make(0))
    store.kept("one more", lambda: make(-1))
    store.kept(0, lambda: make(0))
    store.kept(1, lambda: make(1))
    assert made == [*range(MOST_KEPT), -1, 1]
