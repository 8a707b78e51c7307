"""A name server that says 127.0.0.1 to everything: `python -m benchmarks.names` prints its port."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import cast

import uvloop

LOOPBACK = IPv4Address("127.0.0.1")


def answer(query: bytes, address: IPv4Address = LOOPBACK) -> bytes:
    """The reply to *query*: an A record of the name that was asked for (RFC 1035 §4.1.4), for a minute."""
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + address.packed
    return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:] + record


class Names(asyncio.DatagramProtocol):
    """Answers at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(answer(data), addr)


async def serve() -> None:
    names, _ = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    print(names.get_extra_info("sockname")[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
