"""nginx as a target: TLS versions and ciphers that it insists on, and client certificates that it demands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.certificates import issue
from tests.support.servers.door import loopback_door
from tests.support.servers.nginx import nginx
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest, HTTPVersion
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.request import ClientCertificate
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.ssl import SSLResponse
from worker.clock import SystemClock
from worker.net.http.response import HTTPLimits
from worker.probers import http
from worker.probers import ssl as prober
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

HOST = "127.0.0.1"
LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))
ROOT = issue("Root", ca=True)
SERVER = issue("server", ROOT, names=[HOST])
CLIENT = issue("client", ROOT)
STRANGER = issue("client")
SHOWN, OTHER = (ClientCertificate(chain=each.pem, key=Secret(each.key_pem)) for each in (CLIENT, STRANGER))
TLS12, TLS13, DEMANDING = range(3)

CONFIG = """
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    default_type text/plain;
    server {{ listen 127.0.0.1:{ports[0]} ssl; ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;
        return 200 "$ssl_protocol $ssl_cipher"; }}
    server {{ listen 127.0.0.1:{ports[1]} ssl http2; ssl_protocols TLSv1.3; return 200 "$ssl_protocol $server_protocol"; }}
    server {{ listen 127.0.0.1:{ports[2]} ssl http2; ssl_client_certificate {folder}/root.pem; ssl_verify_client on;
        return 200 "$ssl_client_s_dn $server_protocol"; }}
"""


@pytest_asyncio.fixture
async def ports() -> AsyncIterator[tuple[int, ...]]:
    def write(folder: Path) -> None:
        SERVER.write(folder / "server.pem")
        (folder / "root.pem").write_text(ROOT.pem)

    async with nginx(CONFIG, ports=3, prepare=write) as (_, taken):
        yield taken


async def fetched(
    port: int, path: Path, version: HTTPVersion = HTTPVersion.ANY, shown: ClientCertificate | None = None
) -> Observation:
    request = HTTPRequest(url=f"https://{HOST}:{port}/", version=version, client_certificate=shown, timeout=20)
    door = loopback_door(ca_files=[ROOT.write(path / "root.pem")])
    return await http.probe(request, door, SystemClock(), LIMITS)


def body(observation: Observation) -> tuple[int, str]:
    assert observation.failure is None, observation.failure
    assert isinstance(observation.response, HTTPResponse)
    return observation.response.status, observation.response.body.decode()


async def test_the_version_and_the_cipher_that_nginx_insists_on(ports: tuple[int, ...], tmp_path: Path) -> None:
    old = await fetched(ports[TLS12], tmp_path)
    assert body(old) == (200, "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256")
    assert isinstance(old.response, HTTPResponse)
    assert old.response.handshake is not None
    assert old.response.handshake.as_json() == {"protocol": "TLSv1.2", "cipher": "ECDHE-ECDSA-AES128-GCM-SHA256"}
    assert body(await fetched(ports[TLS13], tmp_path)) == (200, "TLSv1.3 HTTP/2.0")
    assert body(await fetched(ports[TLS13], tmp_path, HTTPVersion.HTTP1)) == (200, "TLSv1.3 HTTP/1.1")


@pytest.mark.parametrize(("version", "spoken"), [(HTTPVersion.HTTP1, "HTTP/1.1"), (HTTPVersion.HTTP2, "HTTP/2.0")])
async def test_a_client_certificate_is_shown_over_both_versions(
    ports: tuple[int, ...], tmp_path: Path, version: HTTPVersion, spoken: str
) -> None:
    port = ports[DEMANDING]
    assert body(await fetched(port, tmp_path, version, SHOWN)) == (200, f"CN=client,O=Shop {spoken}")
    status, words = body(await fetched(port, tmp_path, version))
    assert (status, "No required SSL certificate was sent" in words) == (400, True)
    status, words = body(await fetched(port, tmp_path, version, OTHER))
    assert (status, "The SSL certificate error" in words) == (400, True)


async def test_an_ssl_test_of_nginx_says_what_it_speaks(ports: tuple[int, ...], tmp_path: Path) -> None:
    door = loopback_door(ca_files=[ROOT.write(tmp_path / "root.pem")])
    for port, protocol in ((ports[TLS12], "TLSv1.2"), (ports[TLS13], "TLSv1.3")):
        observation = await prober.probe(
            SSLRequest(host=HOST, port=port, server_name=HOST, timeout=20), door, SystemClock(), LIMITS
        )
        assert observation.failure is None
        assert isinstance(observation.response, SSLResponse)
        assert observation.response.handshake is not None
        assert observation.response.handshake.protocol == protocol
