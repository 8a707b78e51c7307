"""A name server that says 127.0.0.1 to everything: `python -m benchmarks.names` prints its port."""

from __future__ import annotations

import asyncio
from typing import cast

import uvloop

ANSWER = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
"""An A record of the name that was asked for (RFC 1035 §4.1.4), for a minute."""


class Names(asyncio.DatagramProtocol):
    """Answers after *delay* seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:] + ANSWER
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.sendto, reply, addr)
        else:
            self._transport.sendto(reply, addr)


async def serve() -> None:
    names, _ = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    print(names.get_extra_info("sockname")[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
