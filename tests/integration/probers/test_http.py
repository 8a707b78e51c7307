"""Ordinary HTTP against a real server on loopback; expectations are those of RFC 9110 and RFC 9112."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
import time
from collections.abc import Sequence

import pytest
import trustme

from tests.support.servers.door import loopback_door
from tests.support.servers.http import Server, read_request, reply, serving
from worker import __version__
from worker.apitest.authentication import BasicAuth
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.outcome.phases import Timings
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1_000_000))


async def run(request: HTTPRequest, door: Door) -> Observation:
    return await probe(request, door, SystemClock(), LIMITS)


def response_of(observation: Observation) -> HTTPResponse:
    assert observation.failure is None
    assert isinstance(observation.response, HTTPResponse)
    return observation.response


def phase_names(observation: Observation) -> Sequence[str]:
    return [name for name, _ in observation.timings.tenths]


def self_signed() -> ssl.SSLContext:
    """A certificate of an authority that nobody has heard of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_get_yields_status_headers_body_and_phases(door: Door) -> None:
    answer = reply(b"hello", headers=("Content-Type: text/plain", "X-Two: 1", "x-two: 2"))
    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url("/greeting?to=you")), door)
    response = response_of(observation)
    assert (response.status, response.http_version, response.body) == (200, "1.1", b"hello")
    assert response.headers == (
        ("Content-Type", "text/plain"),
        ("X-Two", "1"),
        ("x-two", "2"),
        ("Content-Length", "5"),
    )
    assert server.seen[0].method == "GET"
    assert server.seen[0].target == "/greeting?to=you"
    assert phase_names(observation) == ["tcp", "firstByte", "download"]
    assert observation.timings.as_json()["total"] == pytest.approx(sum(t for _, t in observation.timings.tenths) / 10)
    assert observation.resolution is not None
    assert (observation.resolution.address, observation.resolution.port) == ("127.0.0.1", server.port)


async def test_a_test_is_sent_under_the_workers_name_and_takes_what_checks_decode(door: Door) -> None:
    async with serving(reply()) as server:
        await run(HTTPRequest(url=server.url()), door)
    assert server.seen[0].headers == (
        ("Host", f"127.0.0.1:{server.port}"),
        ("User-Agent", f"Synthetics/{__version__}"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Connection", "close"),
    )


async def test_tls_is_a_phase_of_its_own(door: Door, server_tls: ssl.SSLContext) -> None:
    async with serving(reply(b"safe"), tls=server_tls) as server:
        observation = await run(HTTPRequest(url=server.url()), door)
    assert response_of(observation).body == b"safe"
    assert phase_names(observation) == ["tcp", "ssl", "firstByte", "download"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"])
async def test_every_method_carries_a_body_with_its_length_and_type(door: Door, method: str) -> None:
    async with serving(lambda seen: reply(seen.body)) as server:
        request = HTTPRequest(url=server.url(), method=method, body=b'{"a":1}', content_type="application/json")
        observation = await run(request, door)
    assert response_of(observation).body == b'{"a":1}'
    seen = server.seen[0]
    assert (seen.method, seen.header("Content-Length"), seen.header("Content-Type")) == (
        method,
        "7",
        "application/json",
    )


async def test_basic_credentials_are_sent_in_utf8(door: Door) -> None:
    async with serving(reply()) as server:
        auth = BasicAuth(username="test", password=Secret("123£"))
        await run(HTTPRequest(url=server.url(), authentication=auth), door)
    assert server.seen[0].header("Authorization") == "Basic dGVzdDoxMjPCow=="  # the example of RFC 7617 §2.1


async def test_a_refused_connection_is_a_failure_with_its_code_and_the_url(door: Door) -> None:
    async with serving(reply()) as server:
        url = server.url("/path")
    observation = await run(HTTPRequest(url=url.replace("//", "//user:pass@") + "?key=canary"), door)
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.CONNREFUSED
    assert f"{url}?…:" in observation.failure.message
    assert "canary" not in observation.failure.message
    assert "pass" not in observation.failure.message


async def test_a_self_signed_server_is_refused_and_the_cure_is_named(door: Door) -> None:
    async with serving(reply(), tls=self_signed()) as server:
        refused = await run(HTTPRequest(url=server.url()), door)
        allowed = await run(HTTPRequest(url=server.url(), allow_insecure=True), door)
    assert refused.failure is not None
    assert refused.failure.code is FailureCode.SSL
    assert "caFile" in refused.failure.message
    assert response_of(allowed).status == 200
    assert phase_names(allowed) == ["tcp", "ssl", "firstByte"]


async def test_a_virtual_host_is_asked_for_in_the_handshake_too(door: Door, server_tls: ssl.SSLContext) -> None:
    async with serving(reply(b"v"), tls=server_tls) as server:
        named = await run(HTTPRequest(url=server.url(), headers=(("Host", "vhost.example"),)), door)
        other = await run(HTTPRequest(url=server.url(), headers=(("Host", "other.example"),)), door)
    assert response_of(named).body == b"v"
    assert server.seen[0].header("Host") == "vhost.example"
    assert other.failure is not None
    assert other.failure.code is FailureCode.SSL


@pytest.mark.parametrize(
    ("answer", "phases"),
    [
        (reply(b"x"), ["tcp", "firstByte", "download"]),
        (reply(b""), ["tcp", "firstByte"]),
        (reply(status="204 No Content", length=False), ["tcp", "firstByte"]),
        (reply(b"x", length=False), ["tcp", "firstByte", "download"]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ["tcp", "firstByte"]),
    ],
)
async def test_there_is_no_download_without_a_body(door: Door, answer: bytes, phases: list[str]) -> None:
    async with serving(answer) as server:
        observation = await run(HTTPRequest(url=server.url()), door)
    response_of(observation)
    assert phase_names(observation) == phases


async def test_the_answer_to_head_ends_with_its_head(door: Door) -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") as server:
        observation = await run(HTTPRequest(url=server.url(), method="HEAD"), door)
    assert ("Content-Length", "1000") in response_of(observation).headers
    assert phase_names(observation) == ["tcp", "firstByte"]


async def test_each_wait_is_put_down_to_the_phase_in_which_it_happened(door: Door) -> None:
    """On a busy machine a wait is longer than asked for, so the server tells how long it was; and no phase can be too long
    while no other one is too short and all together are what passed.
    """
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        began = time.monotonic()
        await asyncio.sleep(seconds)
        waited.append(time.monotonic() - began)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await wait(0.08)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await writer.drain()
        await wait(0.04)
        writer.write(b"Content-Length: 4\r\n\r\nsl")
        await writer.drain()
        await wait(0.04)
        writer.write(b"ow")
        await reader.read()

    async with Server(conversation=slowly) as server:
        began = time.monotonic()
        observation = await run(HTTPRequest(url=server.url()), door)
        passed = time.monotonic() - began
    assert response_of(observation).body == b"slow"
    seconds = {name: tenths / 10_000 for name, tenths in observation.timings.tenths}
    assert list(seconds) == ["tcp", "firstByte", "download"]
    assert seconds["firstByte"] > waited[0] - 0.001
    assert seconds["download"] > waited[1] + waited[2] - 0.001
    assert sum(seconds.values()) < passed + 0.001


async def test_a_slow_head_without_a_body_is_not_lost_from_the_total(door: Door) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await writer.drain()
        await asyncio.sleep(0.08)
        writer.write(b"Content-Length: 0\r\n\r\n")
        await reader.read()

    async with Server(conversation=slowly) as server:
        observation = await run(HTTPRequest(url=server.url()), door)
    assert phase_names(observation) == ["tcp", "firstByte"]
    assert observation.timings.total_tenths >= 790


async def test_a_large_body_arrives_whole_either_way(door: Door, server_tls: ssl.SSLContext) -> None:
    body = bytes(range(256)) * 3_000
    chunks = b"".join(b"%x\r\n%s\r\n" % (1000, body[at : at + 1000]) for at in range(0, len(body), 1000))
    answers = (
        reply(body),
        reply(body, length=False),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
    )
    for answer in answers:
        for tls in (None, server_tls):
            async with serving(answer, tls=tls) as server:
                observation = await run(HTTPRequest(url=server.url()), door)
            assert response_of(observation).body == body


async def test_a_large_upload_arrives_whole(door: Door, server_tls: ssl.SSLContext) -> None:
    body = bytes(range(256)) * 20_000
    for tls in (None, server_tls):
        async with serving(lambda seen: reply(str(len(seen.body)).encode()), tls=tls) as server:
            observation = await run(HTTPRequest(url=server.url(), method="PUT", body=body), door)
        assert response_of(observation).body == b"5120000"
        assert server.seen[0].body == body


async def test_a_chunked_upload_is_read_back_by_an_independent_server(door: Door) -> None:
    async with serving(lambda seen: reply(seen.body)) as server:
        request = HTTPRequest(
            url=server.url(), method="POST", body=b"in chunks", headers=(("Transfer-Encoding", "chunked"),)
        )
        observation = await run(request, door)
    assert response_of(observation).body == b"in chunks"


async def test_the_path_reaches_the_server_as_written_with_the_query_appended(door: Door) -> None:
    async with serving(reply()) as server:
        await run(HTTPRequest(url=server.url("/a%2Fb//c?x=1+2&y=%2B#part"), query=(("z", "a b&c"),)), door)
    assert server.seen[0].target == "/a%2Fb//c?x=1+2&y=%2B&z=a%20b%26c"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (HTTPRequest(url="nonsense"), FailureCode.INVALID_REQUEST),
        (HTTPRequest(url="http://127.0.0.1 /a"), FailureCode.INVALID_REQUEST),
        (HTTPRequest(url="http://127.0.0.1/", headers=(("A", "b\r\nC: d"),)), FailureCode.INVALID_CHAR_IN_HEADER),
        (
            HTTPRequest(url="http://127.0.0.1/", body=b"x", headers=(("Content-Length", "2"),)),
            FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH,
        ),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is_dialled(
    door: Door, request_: HTTPRequest, code: FailureCode
) -> None:
    observation = await run(request_, door)
    assert observation.failure is not None
    assert observation.failure.code is code
    assert observation.timings == Timings()
    assert observation.resolution is None


async def test_a_denied_address_is_never_connected_to() -> None:
    async with serving(reply()) as server:
        observation = await run(HTTPRequest(url=server.url("/path")), loopback_door(deny=("127.0.0.0/8",), allow=()))
    assert observation.failure is not None
    assert observation.failure.code is FailureCode.DENIED
    assert server.connections == 0


LATE = 0.15
"""Seconds for which the worker's loop is held up after the answer has arrived."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what arrives")
async def test_a_target_is_not_charged_with_the_workers_lateness(door: Door) -> None:
    """The server answers after 20 ms and ends the body 20 ms later, in a thread of its own; the loop sleeps through both."""
    loop = asyncio.get_running_loop()
    held_up, sent = threading.Event(), threading.Event()
    sent_at = 0.0

    def serve() -> None:
        nonlocal sent_at
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            loop.call_soon_threadsafe(hold_up)
            held_up.wait()
            time.sleep(0.02)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12")
            time.sleep(0.02)
            connection.sendall(b"34")
            sent_at = time.monotonic()
            sent.set()

    def hold_up() -> None:
        held_up.set()
        sent.wait()
        time.sleep(LATE)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        began = time.monotonic()
        observation = await run(HTTPRequest(url=url), door)
        thread.join(10)
    timings = observation.timings.as_json()
    assert response_of(observation).body == b"1234"
    assert timings["firstByte"] + timings["download"] >= 40
    assert timings["total"] < (sent_at - began) * 1000 + LATE * 500, "as sent, and not as received"
