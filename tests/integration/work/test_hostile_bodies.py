"""Bodies that cost far more than they hold, in whole runs: nothing of them is decoded on the event loop."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.integration.work.runners import definition, runner
from tests.support.servers import hostile_http as servers
from tests.support.servers.elsewhere import elsewhere
from tests.support.servers.http import Server, reply, serving
from worker.apitest.parse import parse
from worker.apitest.result import Result
from worker.checks import charset, content

SIZE = 90_000
"""Bytes of each body: within the runner's bound."""
LOOKED_INTO = {"type": "body", "operator": "contains", "target": "needle"}


def coded(coding: str, body: bytes) -> Server:
    return serving(reply(body, headers=(f"Content-Encoding: {coding}",)))


async def run(server: Server, *assertions: dict[str, Any]) -> Result:
    async with elsewhere(server), runner() as running:
        return await running.run(parse(definition(server.url(), *assertions)))


HOSTILE = {
    "brotli of single bytes": ("br", servers.brotli_of_single_bytes(SIZE)),
    "brotli of nothing": ("br", servers.brotli_of_nothing(SIZE)),
    "deflate of single bytes": ("deflate", servers.deflate_of_single_bytes(SIZE)),
    "a gzip bomb": ("gzip", servers.bomb("gzip", 10_000_000)),
    "no zstd": ("zstd", b"(\xb5/\xfd" + bytes(SIZE)),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_the_worker_itself_decodes_no_coded_body(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("a body was decoded in the worker's own process")

    monkeypatch.setattr(content, "preview", forbidden)
    monkeypatch.setattr(content, "decode", forbidden)
    monkeypatch.setattr(charset, "decode", forbidden)
    result = await run(coded(*HOSTILE[name]), LOOKED_INTO)
    assert result.failure is not None
    assert result.failure.code.value in {"INCORRECT_ASSERTION", "BODY_TOO_LARGE", "TIMEOUT"}


@pytest.mark.parametrize(("target", "kept"), [("needle", 50), ("nowhere", 10_007)])
async def test_a_coded_body_is_shown_as_before(target: str, kept: int) -> None:
    body = b"needle " + b"x" * 10_000
    result = await run(coded("gzip", gzip.compress(body)), LOOKED_INTO | {"target": target})
    assert result.response is not None
    assert (result.response["body"], result.response["is_body_truncated"]) == (body[:kept].decode(), kept < len(body))


async def test_a_body_of_a_rare_charset_is_decoded_elsewhere_and_shown() -> None:
    body = "中文".encode("big5")
    server = serving(reply(body, headers=("Content-Type: text/plain; charset=big5",)))
    result = await run(server, LOOKED_INTO | {"target": "文"})
    assert (result.failure, (result.response or {}).get("body")) == (None, "中文")
