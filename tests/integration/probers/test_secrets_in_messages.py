"""Secrets of a test's author in the messages of failures: none, whatever it is that fails."""

from __future__ import annotations

import pytest

from tests.support.servers.http import serving
from worker.apitest.authentication import BasicAuth
from worker.apitest.protocols.http import HTTPRequest
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1_000))
CANARY = "canary5ecret"


async def message(request: HTTPRequest, door: Door) -> str:
    observation = await probe(request, door, SystemClock(), LIMITS)
    assert observation.failure is not None
    assert observation.failure.message
    return observation.failure.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Api-Key", f"{CANARY}\r\nX: y"),
        ("X-Api-Key", f"{CANARY}☃"),
        ("Content-Length", CANARY),
        ("Transfer-Encoding", CANARY),
        ("Cookie", f"a={CANARY}\0"),
        ("Authorization", f"Bearer {CANARY}\n"),
    ],
)
async def test_a_header_value_that_is_refused_is_not_told(door: Door, name: str, value: str) -> None:
    told = await message(HTTPRequest(url="http://127.0.0.1:1/", headers=((name, value),)), door)
    assert name in told
    assert CANARY not in told


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/a?key={CANARY}",
        f"http://u:{CANARY}@127.0.0.1:1/a",
        f"http://u:{CANARY}@127.0.0.1:x/",
        f"http://u:{CANARY}@127.0.0.1:99999/",
        f"http://u:{CANARY}@[::1/?{CANARY}",
        f"http:u:{CANARY}@127.0.0.1/?{CANARY}",
        f"ftp://127.0.0.1/?{CANARY}",
        f"http://127.0.0.1:1/ ?{CANARY}",
        f"http://127.0.0.1:1/?{CANARY} ",
        f"http://10.0.0.1/?{CANARY}",
        f"https://127.0.0.1:1/#{CANARY}",
    ],
)
async def test_the_secrets_of_a_url_are_not_told(door: Door, url: str) -> None:
    auth = BasicAuth(username="u", password=Secret(CANARY))
    told = await message(HTTPRequest(url=url, query=(("key", CANARY),), authentication=auth), door)
    assert CANARY not in told


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ftp://h/?%s\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://u:%s@[/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ?%s\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/?%s\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
async def test_nor_are_they_when_the_answer_is_wrong(door: Door, answer: bytes) -> None:
    async with serving(answer.replace(b"%s", CANARY.encode())) as server:
        request = HTTPRequest(
            url=server.url(f"/?key={CANARY}"), headers=(("X-Api-Key", CANARY),), follow_redirects=True, timeout=5.0
        )
        assert CANARY not in await message(request, door)
