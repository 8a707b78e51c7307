"""A fast target: one small JSON answer per connection, after a delay that it keeps itself; it says what the delay really was.

`X-First-Byte-Us` is what passed between the arrival of the request and the answer, measured here. A prober that does not show
its response's headers numbers its requests (`/health?n=12`): `GET /truths` then hands over the same microseconds by number.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from typing import cast

import orjson
import uvloop

BODY = b'{"status":"ok","items":[{"id":1,"name":"first"},{"id":2,"name":"second"}],"version":"1.2.3"}'
TRUTHS: dict[str, int] = {}


class Responder(asyncio.Protocol):
    delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._arrived = time.monotonic_ns()
        path = data.split(b" ", 2)[1]
        if path == b"/truths":
            self._send(orjson.dumps(TRUTHS), b"")
            TRUTHS.clear()
        elif self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._answer, path)
        else:
            self._answer(path)

    def _answer(self, path: bytes) -> None:
        passed = (time.monotonic_ns() - self._arrived) // 1000
        self._send(BODY, b"X-First-Byte-Us: %d\r\n" % passed)
        _, numbered, number = path.partition(b"?n=")
        if numbered:
            TRUTHS[number.decode()] = passed

    def _send(self, body: bytes, header: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (header, len(body), body)
        )
        self._transport.close()


async def serve(delay: float) -> None:
    Responder.delay = delay
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    gc.disable()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before the answer")
    uvloop.run(serve(parser.parse_args().delay))


if __name__ == "__main__":
    main()
