"""A TCP connection to one judged address, and nothing else: no name is ever resolved here, and the peer is compared
afterwards.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from worker.apitest.failure import FailureCode
from worker.net.failure import shut
from worker.net.host import Address, unmapped


def socket_for(address: Address, kind: socket.SocketKind) -> socket.socket:
    """A non-blocking socket of the address's family."""
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, kind)
    sock.settimeout(0)
    return sock


async def dial(address: Address, port: int) -> socket.socket:
    """Connect. The caller bounds the time; a cancellation closes the socket. Raises OSError, and DoorError(DENIED) if the
    kernel led us to another address than the one that was judged, as it does with 0.0.0.0.
    """
    sock = socket_for(address, socket.SOCK_STREAM)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        _compare(sock.getpeername(), address, port)
    except BaseException:
        sock.close()
        raise
    return sock


def _compare(peer: tuple[str, int], address: Address, port: int) -> None:
    # Text first: it is equal in all but the oddest spellings, and parsing costs as much as the rest.
    if peer[1] != port or (peer[0] != str(address) and unmapped(ip_address(peer[0])) != address):
        raise shut(
            FailureCode.DENIED, "the connection led to another address than the one that the egress policy judged"
        )
