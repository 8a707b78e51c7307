"""Bodies whose Content-Encoding is no coding, as Node's fetch reads them from the same server."""

from __future__ import annotations

import asyncio
import gzip
import subprocess

import pytest

from tests.support.observed import judged
from tests.support.peers import peer
from tests.support.servers.http import reply, serving
from worker.apitest.protocols.http import HTTPRequest
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1_000_000))

_FETCH = """fetch(process.argv[1]).then((answer) => answer.text()).then((text) => { process.stdout.write(text); })"""


async def read_by_node(url: str) -> str:
    process = await asyncio.create_subprocess_exec(peer("node"), "-e", _FETCH, url, stdout=subprocess.PIPE)
    async with asyncio.timeout(60):
        return (await process.communicate())[0].decode()


@pytest.mark.parametrize("coding", ["UTF-8", "none", "aws-chunked", "binary", "gzip, aws-chunked", "identity", "gzip"])
async def test_the_body_is_what_node_reads(coding: str, door: Door) -> None:
    body = gzip.compress(b"as it is") if coding == "gzip" else b"as it is"
    async with serving(reply(body, headers=(f"Content-Encoding: {coding}",))) as server:
        observation = await probe(HTTPRequest(url=server.url()), door, SystemClock(), LIMITS)
        by_node = await read_by_node(server.url())
    assert by_node == "as it is"
    assert judged(observation, {"type": "body", "operator": "is", "target": by_node}).valid
