"""prometheus-blackbox-exporter as the peer: how it is started, and a driver that asks it for probes at a steady rate.

The driver keeps connections open and parses next to nothing, so that on a small machine it does not stand in the exporter's way.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote

from benchmarks.processes import end, free_port, need, wait_for_port

PROGRAM = "prometheus-blackbox-exporter"
MODULE = """modules:
  http:
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      fail_if_body_not_matches_regexp: ['"status":\\s*"ok"']
"""
_END = b"\r\n0\r\n\r\n"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@contextmanager
def exporter(more: str = "") -> Iterator[tuple[int, int]]:
    """A running exporter: its pid and its port. *more* are modules beside `http`."""
    need(PROGRAM, PROGRAM)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "blackbox.yml")
        config.write_text(MODULE + more)
        port = free_port()
        command = (PROGRAM, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error")
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        try:
            wait_for_port(port)
            yield started.pid, port
        finally:
            end(started)


class _Asker(asyncio.Protocol):
    """One connection to the exporter, one probe at a time; a reply is its body's bytes, chunk sizes and all."""

    def __init__(self) -> None:
        self._received = b""
        self._reply: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, target: str, module: str) -> bytes:
        self._received = b""
        self._reply = asyncio.get_running_loop().create_future()
        path = f"/probe?module={module}&target={quote(target, safe='')}"
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return await self._reply

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._reply is not None and not self._reply.done() and self._complete():
            self._reply.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(exc or ConnectionError("the exporter closed the connection"))

    def _complete(self) -> bool:
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is not None:
            return bool(found) and len(body) >= int(length[1])
        return self._received.endswith(_END)


async def drive(port: int, targets: Sequence[str], rate: float, *, module: str = "http") -> list[bytes]:
    """One probe of each of *targets* by *module*, *rate* begun each second.

    The replies of those that succeeded, in the order of *targets*, empty for the others.
    """
    idle: list[_Asker] = []
    loop = asyncio.get_running_loop()

    async def one(target: str) -> bytes:
        asker = idle.pop() if idle else (await loop.create_connection(_Asker, "127.0.0.1", port))[1]
        reply = await asker.ask(target, module)
        idle.append(asker)
        return reply if b"\nprobe_success 1" in reply else b""

    tasks: list[asyncio.Task[bytes]] = []
    started = time.monotonic()
    for number, target in enumerate(targets):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(one(target)))
    return list(await asyncio.gather(*tasks))
