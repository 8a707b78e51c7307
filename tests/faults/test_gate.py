"""The gate passes what it is not told to spoil, spoils what it is told to, and notes what was signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.faults.gate import PULL, RESULTS, Gate, Rule, Spoil

BODY = b'{"accepted":["r1"],"duplicate":["r2"]}'
REPLY = b"HTTP/1.1 200 OK\r\nX-PL-Signature: 00\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class Upstream:
    """Answers every request with the same signed reply, and counts them."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(REPLY)
        await writer.drain()
        writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, Gate]]:
    behind, gate = Upstream(), Gate(Random(1))
    server = await asyncio.start_server(behind.serve, "127.0.0.1", 0)
    gate.upstream = server.sockets[0].getsockname()[1]
    async with server, await gate.start():
        yield behind, gate


async def exchange(gate: Gate, path: str = RESULTS, size: int = 2) -> bytes:
    """What a client reads of one exchange until it has a whole reply, or the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-PL-Worker: w\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + b"x" * size)
    try:
        head_bytes = await reader.readuntil(b"\r\n\r\n")
        length = int(head_bytes.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return head_bytes + await reader.readexactly(length)
    finally:
        writer.close()


async def test_it_passes_exchanges_and_notes_what_was_acknowledged(upstream: tuple[Upstream, Gate]) -> None:
    _, gate = upstream
    assert await exchange(gate) == REPLY
    [noted] = gate.exchanges
    assert (noted.worker, noted.path, noted.status, noted.acknowledged) == ("w", RESULTS, 200, ("r1", "r2"))


async def test_a_rule_concerns_its_paths_and_as_many_exchanges_as_it_says(upstream: tuple[Upstream, Gate]) -> None:
    _, gate = upstream
    gate.rule = Rule(Spoil.BAD_GATEWAY, (PULL,), 2)
    assert await exchange(gate, RESULTS) == REPLY
    assert [(await exchange(gate, PULL))[9:12] for _ in range(3)] == [b"502", b"502", b"200"]


@pytest.mark.parametrize(
    ("spoil", "arrives"),
    [(Spoil.RESET_BEFORE, 0), (Spoil.RESET_AFTER, 1), (Spoil.TRUNCATE, 1)],
)
async def test_a_client_gets_no_whole_reply(spoil: Spoil, arrives: int, upstream: tuple[Upstream, Gate]) -> None:
    behind, gate = upstream
    gate.rule = Rule(spoil)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await exchange(gate)
    assert (len(behind.requests), len(gate.exchanges)) == (arrives, arrives), "what was answered is known all the same"


@pytest.mark.parametrize(("spoil", "arrives"), [(Spoil.SWALLOW_REQUEST, 0), (Spoil.SWALLOW_REPLY, 1)])
async def test_a_black_hole_holds_the_client(spoil: Spoil, arrives: int, upstream: tuple[Upstream, Gate]) -> None:
    behind, gate = upstream
    gate.rule = Rule(spoil)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange(gate), 0.3)
    assert len(behind.requests) == arrives


async def test_a_large_body_is_refused_and_a_small_one_is_not(upstream: tuple[Upstream, Gate]) -> None:
    behind, gate = upstream
    gate.rule = Rule(Spoil.TOO_LARGE)
    assert (await exchange(gate, size=2_001))[9:12] == b"413"
    assert await exchange(gate, size=2_000) == REPLY
    assert len(behind.requests) == 1


async def test_a_replay_sends_old_requests_again_and_gives_the_client_its_own_reply(
    upstream: tuple[Upstream, Gate],
) -> None:
    behind, gate = upstream
    gate.rule = Rule(Spoil.REPLAY)
    assert await exchange(gate) == REPLY
    assert len(behind.requests) == 4
    assert len(set(behind.requests)) == 1


async def test_garbage_is_never_the_reply_itself(upstream: tuple[Upstream, Gate]) -> None:
    _, gate = upstream
    for _ in range(20):
        assert await gate._spoil_reply(Spoil.GARBAGE, REPLY, asyncio.StreamReader()) != REPLY
