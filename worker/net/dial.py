"""A TCP connection to one judged address, and nothing else: no name is ever resolved here, and the peer is compared afterwards.

Connections are handed from one owner to the next (dialled, tunnelled, secured, the prober's) paused, so that nothing of what
the peer says is lost or read by the wrong one.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import cast

from worker.apitest.failure import FailureCode
from worker.net.failure import shut
from worker.net.host import Address, unmapped


class _Nobody(asyncio.Protocol):
    """Holds a connection until somebody adopts it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).pause_reading()


async def dial(address: Address, port: int) -> asyncio.Transport:
    """Connect; the transport is paused until it is adopted. The caller bounds the time; a cancellation closes the connection.

    Raises OSError, and DoorError(DENIED) if the kernel led us to another address than the one that was judged, as with 0.0.0.0.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    text = str(address)
    # asyncio resolves nothing when the host is an address. Its way of connecting costs a third of sock_connect's on uvloop.
    transport, _ = await asyncio.get_running_loop().create_connection(_Nobody, text, port, family=family)
    peer = transport.get_extra_info("peername")
    # Text first: it is equal in all but the oddest spellings. A connection that was reset meanwhile has no peer, and no use.
    if peer is not None and (peer[1] != port or (peer[0] != text and unmapped(ip_address(peer[0])) != address)):
        transport.abort()
        raise shut(
            FailureCode.DENIED, "the connection led to another address than the one that the egress policy judged"
        )
    return transport


def adopt(transport: asyncio.Transport, protocol: asyncio.BaseProtocol, said: bytes = b"") -> None:
    """Make *protocol* the owner of a paused *transport*, as if it had made the connection; *said* came before it."""
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if said and isinstance(protocol, asyncio.Protocol):
        protocol.data_received(said)
    transport.resume_reading()
