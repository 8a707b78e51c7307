"""A TCP connection to one judged address, and nothing else: no name is ever resolved here, and the peer is compared
afterwards.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from contextlib import suppress
from ipaddress import ip_address

from worker.egress.hosts import Address, unmapped
from worker.net.failure import door_error
from worker.net.readiness import writable
from worker.net.recorder import Recorder
from worker.net.stamps import request_stamps
from worker.net.stream import Connection
from worker.outcome.failure import FailureCode

_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EALREADY})
_CONNECTED = frozenset({0, errno.EISCONN})

_TCP_INFO = struct.Struct("@68xI28xI")
"""tcpi_rtt and tcpi_total_retrans of linux/tcp.h."""


async def dial(address: Address, port: int, recorder: Recorder) -> Connection:
    """Connect. The caller bounds the time and runs the phase; a cancellation closes the connection.

    Raises OSError, and DoorError(DENIED) if the kernel led us to another address than the one that was judged, as with 0.0.0.0.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003  # the standard library's signature
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request_stamps(sock)
        await _connect(sock, (str(address), port), recorder)
        compare_peer(sock, address, port)
        return Connection(sock)
    except BaseException:
        sock.close()
        raise


async def _connect(sock: socket.socket, where: tuple[str, int], recorder: Recorder) -> None:
    began = recorder.now_ns()
    status = sock.connect_ex(where)
    if status in _UNDER_WAY:
        # A peer on this machine has answered by now: asking again saves a turn of the loop, which would be charged to it.
        status = sock.connect_ex(where)
    if status in _UNDER_WAY:
        await writable(sock)
        status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status == 0 and (took := _handshake_ns(sock)) is not None:
            recorder.exclude_ns(recorder.now_ns() - began - took)
    if status not in _CONNECTED:
        raise OSError(status, os.strerror(status))


def _handshake_ns(sock: socket.socket) -> int | None:
    """Time between SYN and SYN-ACK by the kernel's measure; None where it does not say, or when a SYN was lost, which is part
    of the time that the connection took.
    """
    if sys.platform != "linux":
        return None
    with suppress(OSError, struct.error):
        microseconds, retransmitted = _TCP_INFO.unpack(
            sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        )
        if microseconds and not retransmitted:
            return int(microseconds) * 1000
    return None


def compare_peer(sock: socket.socket, address: Address, port: int) -> None:
    """Raise DoorError(DENIED) if the kernel has connected *sock* to another address than the one that was judged."""
    text = str(address)
    peer = sock.getpeername()
    # Text first: it is equal in all but the oddest spellings.
    if peer[1] != port or (peer[0] != text and unmapped(ip_address(peer[0])) != address):
        raise door_error(
            FailureCode.DENIED, "the connection led to another address than the one that the egress policy judged"
        )
