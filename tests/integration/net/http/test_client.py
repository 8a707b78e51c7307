"""The HTTP client by itself, as an action would use it: under a name of its own, and with values that know no test."""

from __future__ import annotations

from tests.integration.net.way import CLOCK
from tests.support.servers.door import loopback_door
from tests.support.servers.http import Seen, reply, serving
from worker.net.http.client import Client
from worker.net.http.cookies import Cookies
from worker.net.http.credentials import BasicCredentials
from worker.net.http.request import Request
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import FailureCode
from worker.secret import Secret

LIMITS = HTTPLimits(max_body_bytes=10_000)


def client(*default_headers: tuple[str, str]) -> Client:
    return Client(loopback_door(), CLOCK, LIMITS, default_headers)


async def test_who_asks_is_what_the_sender_says_on_every_hop() -> None:
    def answer(seen: Seen) -> bytes:
        moved = ("Location: /there",)
        return reply(status="302 Found", headers=moved) if seen.target == "/" else reply(b"here")

    async with serving(answer) as server:
        request = Request(url=server.url(), headers=(("Accept", "text/plain"),), follow_redirects=True)
        sending = client(("User-Agent", "someone/1.0"), ("Accept", "*/*"), ("X-Identification", "me"))
        transfer = await sending.send(request, 5)
    assert transfer.failure is None
    assert transfer.response is not None
    assert (transfer.response.status, transfer.response.body) == (200, b"here")
    assert [(hop.url, hop.status) for hop in transfer.hops] == [(server.url(), 302), (server.url("/there"), 200)]
    for seen in server.seen:
        assert seen.headers == (
            ("Host", f"127.0.0.1:{server.port}"),
            ("Accept", "text/plain"),
            ("User-Agent", "someone/1.0"),
            ("X-Identification", "me"),
            ("Connection", "close"),
        )


async def test_a_client_without_a_name_sends_none() -> None:
    async with serving(reply()) as server:
        await client().send(Request(url=server.url()), 5)
    assert server.seen[0].names() == ["host", "connection"]


async def test_a_transfer_that_fails_later_keeps_the_hops_before() -> None:
    async with serving(reply(status="302 Found", headers=("Location: http://10.0.0.1/",))) as server:
        transfer = await client().send(Request(url=server.url(), follow_redirects=True), 5)
    assert transfer.failure is not None
    assert transfer.failure.code is FailureCode.DENIED
    assert (transfer.response, [hop.status for hop in transfer.hops]) == (None, [302])
    assert [name for name, _ in transfer.timings.tenths] == ["redirect"]


async def test_what_cannot_be_sent_is_a_value_too() -> None:
    transfer = await client().send(Request(url="gopher://127.0.0.1/"), 5)
    assert transfer.failure is not None
    assert (transfer.failure.code, transfer.hops) == (FailureCode.INVALID_REQUEST, ())


def test_credentials_are_never_shown() -> None:
    request = Request(url="http://h/", credentials=BasicCredentials(username="u", password=Secret("hunter2")))
    assert "hunter2" not in repr(request)


def visits(seen: Seen) -> bytes:
    """Count the visits in a cookie, and set another one on the way through a redirect."""
    if seen.target == "/moved":
        return reply(status="302 Found", headers=("Location: /", "Set-Cookie: via=moved"))
    count = 1 + (seen.header("cookie") or "").count("visit")
    return reply(headers=(f"Set-Cookie: visit{count}=yes",))


async def test_cookies_that_are_handed_over_are_sent_at_once_and_keep_what_every_answer_sets() -> None:
    cookies = Cookies()
    async with serving(visits) as server:
        for path in ("/", "/moved", "/"):
            transfer = await client().send(Request(url=server.url(path), follow_redirects=True), 5, cookies)
            assert transfer.failure is None
    assert [seen.header("cookie") for seen in server.seen] == [
        None,
        "visit1=yes",
        "visit1=yes; via=moved",
        "visit1=yes; via=moved; visit2=yes",
    ]


async def test_without_them_no_request_knows_of_another() -> None:
    async with serving(visits) as server:
        for _ in range(2):
            await client().send(Request(url=server.url()), 5)
    assert [seen.header("cookie") for seen in server.seen] == [None, None]


async def test_cookies_are_kept_where_redirects_are_not_followed() -> None:
    cookies = Cookies()
    async with serving(visits) as server:
        for path in ("/moved", "/"):
            await client().send(Request(url=server.url(path)), 5, cookies)
    assert [seen.header("cookie") for seen in server.seen] == [None, "via=moved"]
