"""The gate: a proxy between one worker and the control plane that spoils exchanges as its rule says, and notes what was answered.

It knows HTTP/1.1 with Content-Length, which is what both programs speak, and opens one connection upstream for each request.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from tests.faults.record import Exchange

PULL = "/worker/v1/pull"
RESULTS = "/worker/v1/results"
MOST_HELD = 40.0
"""Seconds for one connection upstream or into a black hole: more than any round's fault, so that nothing stays for ever."""
KEPT_REQUESTS = 50
"""Requests that may be replayed."""


class Spoil(Enum):
    """A way to spoil an exchange."""

    RESET_BEFORE = "reset before the request arrives"
    RESET_AFTER = "reset before the reply"
    SWALLOW_REQUEST = "black hole for requests"
    SWALLOW_REPLY = "black hole for replies"
    TRUNCATE = "truncated replies"
    GARBAGE = "garbage for replies"
    TOO_LARGE = "unsigned 413 beyond 2 KB"
    BAD_GATEWAY = "unsigned 502"
    DELAY = "delayed requests"
    REPLAY = "replayed requests"


@dataclass(frozen=True, slots=True)
class Rule:
    """*spoil* what goes to *paths*. *most* exchanges at most, where it is not None."""

    spoil: Spoil
    paths: tuple[str, ...] = (PULL, RESULTS)
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A request or reply as bytes, and its header fields by lower-case name."""

    start: str
    headers: dict[str, str] = field(repr=False)
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def whole(self) -> bytes:
        return self.head + self.body


class _ResetError(Exception):
    """The client's connection is to be reset."""


class Gate:
    """One listening port. `rule` may be set at any time; `exchanges` are the signed replies of the control plane."""

    def __init__(self, random: Random) -> None:
        self.port = 0
        self.upstream = 0
        self.rule: Rule | None = None
        self.spoilt = 0
        self.exchanges: list[Exchange] = []
        self._random = random
        self._requests: list[Message] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=65_536)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await _read(reader)
                async with asyncio.timeout(MOST_HELD):
                    writer.write(await self._pass(request, reader))
                    await writer.drain()
                if self.rule is not None and self.rule.spoil is Spoil.TRUNCATE:
                    return
        except _ResetError:
            writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # a client or a control plane that is gone
        except asyncio.CancelledError:
            pass  # the round is over, and asyncio would print it
        finally:
            writer.close()

    async def _pass(self, request: Message, reader: asyncio.StreamReader) -> bytes:
        """The bytes to answer *request* with. Raises _ResetError."""
        spoil = self._applies(request)
        self._requests = [*self._requests[-KEPT_REQUESTS:], request]
        match spoil:
            case Spoil.RESET_BEFORE:
                raise _ResetError
            case Spoil.SWALLOW_REQUEST:
                await reader.read()
                raise _ResetError
            case Spoil.TOO_LARGE:
                return (
                    _unsigned("413 Request Entity Too Large") if len(request.body) > 2_000 else await self._ask(request)
                )
            case Spoil.BAD_GATEWAY:
                return _unsigned("502 Bad Gateway")
            case Spoil.DELAY:
                await asyncio.sleep(self._random.uniform(0.5, 3))
                return await self._ask(request)
            case Spoil.REPLAY:
                reply = await self._ask(request)
                for old in self._random.choices(self._requests, k=3):
                    await self._ask(old)
                return reply
            case _:
                return await self._spoil_reply(spoil, await self._ask(request), reader)

    async def _spoil_reply(self, spoil: Spoil | None, reply: bytes, reader: asyncio.StreamReader) -> bytes:
        match spoil:
            case Spoil.RESET_AFTER:
                raise _ResetError
            case Spoil.SWALLOW_REPLY:
                await reader.read()
                raise _ResetError
            case Spoil.TRUNCATE:
                return reply[: self._random.randrange(len(reply))]
            case Spoil.GARBAGE if self._random.random() < 0.5:
                return self._random.randbytes(len(reply)) + b"\r\n\r\n"
            case Spoil.GARBAGE:
                place = self._random.randrange(len(reply))
                return reply[:place] + bytes([reply[place] ^ 1]) + reply[place + 1 :]
            case _:
                return reply

    def _applies(self, request: Message) -> Spoil | None:
        rule = self.rule
        if rule is None or request.start.split(" ")[1] not in rule.paths:
            return None
        if rule.most is not None and self.spoilt >= rule.most:
            return None
        self.spoilt += 1
        return rule.spoil

    async def _ask(self, request: Message) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request.whole)
            reply = await _read(reader)
        finally:
            writer.close()
        self._note(request, reply)
        return reply.whole

    def _note(self, request: Message, reply: Message) -> None:
        if "x-pl-signature" not in reply.headers:
            return
        path, status = request.start.split(" ")[1], int(reply.start.split(" ")[1])
        named = json.loads(reply.body) if path == RESULTS and status == 200 else {}
        acknowledged = (*named.get("accepted", ()), *named.get("duplicate", ()))
        at, worker = round(time.time() * 1000), request.headers["x-pl-worker"]
        self.exchanges.append(Exchange(at, worker, path, status, acknowledged))


async def _read(reader: asyncio.StreamReader) -> Message:
    head = await reader.readuntil(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Message(start, headers, head, body)


def _unsigned(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno.".encode()
