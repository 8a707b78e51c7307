"""HTTP/2 against the servers of others, Node's and nginx's, and what becomes of a test whose server speaks another version."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.http2_frames import data, headers, ping, settings, window
from tests.support.peers import peer
from tests.support.servers.http import Server, reply, serving
from tests.support.servers.nginx import nginx
from tests.support.servers.node_http2 import node_http2
from tests.support.servers.openssl import tls_server
from tests.support.servers.proxy import HTTPProxy
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest, HTTPVersion, ProxyServer
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.cookies import Cookies
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import Failure, FailureCode
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=5_000_000))
HTTP1, HTTP2, ANY = HTTPVersion.HTTP1, HTTPVersion.HTTP2, HTTPVersion.ANY


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("http2") / "server.pem"
    authority.issue_cert("127.0.0.1", "vhost.example").private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o644)
    path.parent.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def node(certificate: Path) -> Iterator[str]:
    with node_http2(certificate) as port:
        yield f"https://127.0.0.1:{port}"


async def run(
    url: str, door: Door, version: HTTPVersion = HTTP2, cookies: Cookies | None = None, **members: Any
) -> Observation:
    request = HTTPRequest(url=url, version=version, timeout=20, **members)
    return await probe(request, door, SystemClock(), LIMITS, cookies)


def response_of(observation: Observation) -> HTTPResponse:
    assert observation.failure is None, observation.failure
    assert isinstance(observation.response, HTTPResponse)
    return observation.response


def failure_of(observation: Observation) -> Failure:
    assert observation.failure is not None
    assert observation.response is None
    return observation.failure


def phases(observation: Observation) -> list[str]:
    return [name for name, _ in observation.timings.tenths]


async def test_node_sees_an_ordinary_request_in_http_2(node: str, door: Door) -> None:
    headers = (("X-Mixed", "Case"), ("Host", "vhost.example"), ("Connection", "close"), ("Keep-Alive", "5"))
    observation = await run(f"{node}/echo", door, method="POST", body=b"hello", headers=headers)
    response = response_of(observation)
    assert (response.status, response.http_version) == (200, "2.0")
    assert phases(observation) == ["tcp", "ssl", "firstByte", "download"]
    assert observation.timings.as_json()["total"] == pytest.approx(sum(t for _, t in observation.timings.tenths) / 10)
    seen = json.loads(response.body)
    assert (seen["httpVersion"], seen["method"], seen["size"], seen["pushes"]) == ("2.0", "POST", 5, False)
    assert seen["headers"] | {"user-agent": "?"} == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": "vhost.example",
        ":path": "/echo",
        "x-mixed": "Case",
        "content-length": "5",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate, br, zstd",
        "user-agent": "?",
    }


@pytest.mark.parametrize(("version", "spoken"), [(HTTP1, "1.1"), (HTTP2, "2.0"), (ANY, "2.0")])
async def test_a_server_of_both_versions_speaks_the_one_that_the_test_wants(
    node: str, door: Door, version: HTTPVersion, spoken: str
) -> None:
    assert response_of(await run(f"{node}/echo", door, version)).http_version == spoken


async def test_redirects_and_cookies_are_those_of_http_1(node: str, door: Door) -> None:
    cookies = Cookies()
    observation = await run(f"{node}/moved", door, cookies=cookies, follow_redirects=True)
    response = response_of(observation)
    assert [(hop.status, hop.url) for hop in response.hops] == [(302, f"{node}/moved"), (200, f"{node}/echo")]
    assert phases(observation) == ["redirect", "tcp", "ssl", "firstByte", "download"]
    assert json.loads(response.body)["headers"]["cookie"] == "seen=yes"
    assert (
        json.loads(response_of(await run(f"{node}/echo", door, cookies=cookies)).body)["headers"]["cookie"]
        == "seen=yes"
    )


async def test_each_hop_agrees_anew(node: str, door: Door, server_tls: ssl.SSLContext) -> None:
    """From a server of HTTP/1.1, with and without TLS, to one of both, and the other way round only where it may be."""
    moved = reply(status="302 Found", headers=(f"Location: {node}/echo",))
    async with serving(moved) as plain, serving(moved, tls=server_tls) as old:
        for url, version in ((plain.url(), HTTP2), (plain.url(), ANY), (old.url(), ANY)):
            response = response_of(await run(url, door, version, follow_redirects=True))
            assert response.http_version == "2.0"
        assert plain.seen[0].version == "HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/hints", 200, b"hinted"),
        ("/trailers", 200, b"with trailers"),
        ("/large", 200, b"y" * 3_000_000),
        ("/goodbye", 200, b"last words"),
    ],
)
async def test_what_servers_do_with_http_2_is_understood(
    node: str, door: Door, path: str, status: int, body: bytes
) -> None:
    response = response_of(await run(f"{node}{path}", door))
    assert (response.status, response.body) == (status, body)


async def test_a_coded_body_is_kept_as_it_came(node: str, door: Door) -> None:
    response = response_of(await run(f"{node}/coded", door))
    assert response.content_encodings == ("gzip",)
    assert len(response.body) < 1_000


async def test_a_body_larger_than_every_window_arrives_whole(node: str, door: Door) -> None:
    response = response_of(await run(f"{node}/echo", door, method="POST", body=bytes(3_000_000)))
    assert json.loads(response.body)["size"] == 3_000_000


async def test_an_early_answer_counts_although_the_request_is_not_all_sent(node: str, door: Door) -> None:
    response = response_of(await run(f"{node}/early", door, method="POST", body=bytes(3_000_000)))
    assert (response.status, response.body) == (413, b"too much")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PUT"])
async def test_every_method_is_asked(node: str, door: Door, method: str) -> None:
    observation = await run(f"{node}/echo", door, method=method)
    body = response_of(observation).body
    assert (body == b"") if method == "HEAD" else json.loads(body)["method"] == method
    assert ("download" in phases(observation)) == (method != "HEAD")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/refused", "reset the stream (REFUSED_STREAM) before the first byte of a response"),
        ("/http1", "wants this request in HTTP/1.1 (HTTP_1_1_REQUIRED): set httpVersion to http1"),
        ("/broken", "ended the connection (ENHANCE_YOUR_CALM) before the first byte of a response"),
    ],
)
async def test_a_server_that_breaks_off_is_told_with_its_reason(node: str, door: Door, path: str, words: str) -> None:
    failure = failure_of(await run(f"{node}{path}", door))
    assert failure.code is FailureCode.CONNRESET
    assert words in failure.message


async def test_the_time_of_a_test_ends_in_the_stage_that_it_reached(node: str, door: Door) -> None:
    request = HTTPRequest(url=f"{node}/nothing", version=HTTP2, timeout=0.2)
    observation = await probe(request, door, SystemClock(), LIMITS)
    failure = failure_of(observation)
    assert failure.code is FailureCode.TIMEOUT
    assert "waiting for the first byte of a response" in failure.message
    assert phases(observation) == ["tcp", "ssl"]


async def test_a_body_over_its_limit_is_too_large(node: str, door: Door) -> None:
    limits = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))
    observation = await probe(HTTPRequest(url=f"{node}/large", version=HTTP2), door, SystemClock(), limits)
    assert failure_of(observation).code is FailureCode.BODY_TOO_LARGE


async def test_http_2_goes_through_a_proxys_tunnel(node: str, door: Door) -> None:
    async with HTTPProxy(credentials=("u", "p")) as proxy:
        server = ProxyServer(url=Secret(f"http://u:p@{proxy.host}:{proxy.port}"))
        observation = await run(f"{node}/echo", door, proxy=server)
    assert json.loads(response_of(observation).body)["httpVersion"] == "2.0"
    assert phases(observation) == ["proxy", "ssl", "firstByte", "download"]


async def test_without_tls_it_is_http_1(door: Door) -> None:
    async with serving(reply(b"plain")) as server:
        for version in (HTTP2, ANY):
            assert response_of(await run(server.url(), door, version)).http_version == "1.1"


async def test_a_server_that_chooses_nothing_speaks_http_1_or_fails_a_test_that_wants_http_2(
    door: Door, server_tls: ssl.SSLContext
) -> None:
    async with serving(reply(b"old"), tls=server_tls) as server:
        assert response_of(await run(server.url(), door, ANY)).http_version == "1.1"
        observation = await run(server.url(), door, HTTP2)
    failure = failure_of(observation)
    assert failure.code is FailureCode.SSL
    assert "the server does not speak HTTP/2" in failure.message
    assert phases(observation) == ["tcp", "ssl"]


@pytest.mark.parametrize("protocol", ["-tls1_2", "-tls1_3"])
async def test_a_server_that_refuses_the_offer_is_told_with_openssls_name(
    certificate: Path, door: Door, protocol: str
) -> None:
    async with tls_server(certificate, protocol, "-alpn", "http/1.1") as port:
        failure = failure_of(await run(f"https://127.0.0.1:{port}/", door, HTTP2))
        assert response_of(await run(f"https://127.0.0.1:{port}/", door, ANY)).status == 200
    assert failure.code is FailureCode.SSL
    assert "(TLSV1_ALERT_NO_APPLICATION_PROTOCOL): the peer speaks none of the HTTP versions" in failure.message


async def test_an_offer_of_one_test_is_not_made_by_the_next(node: str, door: Door) -> None:
    observations = await asyncio.gather(*(run(f"{node}/echo", door, version) for version in (HTTP2, HTTP1) * 4))
    assert [response_of(each).http_version for each in observations] == ["2.0", "1.1"] * 4


NGINX = """
server {{
    listen 127.0.0.1:{ports[0]} ssl http2;
    ssl_certificate %(pem)s;
    ssl_certificate_key %(pem)s;
    root {folder}/www;
    http2_max_concurrent_streams 1;
    location = /said {{ default_type text/plain; return 200 "$server_protocol $request_method $http_x_asked $host"; }}
    location = /moved {{ return 301 /said; }}
    location = /file {{ gzip on; gzip_types text/plain; default_type text/plain; alias {folder}/www/file.txt; }}
}}
server {{
    listen 127.0.0.1:{ports[1]} ssl;
    ssl_certificate %(pem)s;
    ssl_certificate_key %(pem)s;
    return 200 "$server_protocol";
}}
"""


async def test_nginx_with_and_without_http_2(certificate: Path, door: Door) -> None:
    async with nginx(NGINX % {"pem": certificate}, ports=2) as (folder, (both, old)):
        (folder / "www" / "file.txt").write_text("z" * 2_000_000)
        url = f"https://127.0.0.1:{both}"
        asked = await run(f"{url}/moved", door, follow_redirects=True, headers=(("X-Asked", "yes"),))
        file = response_of(await run(f"{url}/file", door, headers=(("Accept-Encoding", "identity"),)))
        coded = response_of(await run(f"{url}/file", door))
        missing = response_of(await run(f"{url}/other", door, ANY))
        fallback = response_of(await run(f"https://127.0.0.1:{old}/", door, ANY))
        refused = failure_of(await run(f"https://127.0.0.1:{old}/", door, HTTP2))
        curl = await asyncio.create_subprocess_exec(
            *(peer("curl"), "-sk", "--http2", "-w", " %{http_version}", "-H", "X-Asked: yes", f"{url}/said"),
            stdout=subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            said, _ = await curl.communicate()
    assert response_of(asked).body == b"HTTP/2.0 GET yes 127.0.0.1"
    assert said == response_of(asked).body + b" 2"
    assert (file.body, file.content_encodings) == (b"z" * 2_000_000, ())
    assert (coded.content_encodings, len(coded.body) < 10_000) == (("gzip",), True)
    assert (missing.status, missing.http_version) == (404, "2.0")
    assert (fallback.http_version, fallback.body) == ("1.1", b"HTTP/1.1")
    assert refused.code is FailureCode.SSL


async def test_a_server_that_answers_in_http_1_after_agreeing_to_http_2_is_malformed(
    door: Door, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2"])

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(reply(b"surprise"))
        await reader.read()

    async with Server(conversation=converse, tls=context) as server:
        failure = failure_of(await run(server.url(), door))
    assert failure.code is FailureCode.MALFORMED_RESPONSE
    assert "agreed to HTTP/2 and answers in HTTP/1" in failure.message


async def test_a_flood_of_tiny_frames_leaves_the_loop_to_others(door: Door, certificate: Path) -> None:
    """Several attackers at once, each with the frame that costs most for its size; a ticker measures the dearest turn."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2"])
    flood = settings() + headers() + b"".join((window(1, stream=1), data(b"x"), ping(), settings({4: 65_535})) * 2_000)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(flood)
        await reader.read()

    dearest = 0.0

    async def tick() -> None:
        nonlocal dearest
        while True:
            before = time.thread_time()  # not the time of day: other processes have nothing to do with it
            await asyncio.sleep(0)
            dearest = max(dearest, time.thread_time() - before)

    async with Server(conversation=converse, tls=context) as server:
        await run(server.url(), door)  # imports, and the first of everything
        ticking = asyncio.create_task(tick())
        observations = await asyncio.gather(*(run(server.url(), door) for _ in range(5)))
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
    assert {failure_of(each).code for each in observations} == {FailureCode.MALFORMED_RESPONSE}
    assert dearest < 0.02
