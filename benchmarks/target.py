"""A fast target: one small JSON answer per connection, after a delay that it keeps itself; its own truth is in a header.

`X-First-Byte-Us` is what passed between the arrival of the request and the answer, measured here.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import cast

import uvloop

BODY = b'{"status":"ok","items":[{"id":1,"name":"first"},{"id":2,"name":"second"}],"version":"1.2.3"}'


class Responder(asyncio.Protocol):
    delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _: bytes) -> None:
        self._arrived = time.monotonic_ns()
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        passed = (time.monotonic_ns() - self._arrived) // 1000
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-First-Byte-Us: %d\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (passed, len(BODY), BODY)
        )
        self._transport.close()


async def serve(delay: float) -> None:
    Responder.delay = delay
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before the answer")
    uvloop.run(serve(parser.parse_args().delay))


if __name__ == "__main__":
    main()
