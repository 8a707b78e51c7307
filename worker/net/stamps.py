"""The moment at which the kernel had what a socket received. A busy event loop reads late; the network must not be charged
for it.

Linux stamps each packet on arrival and hands the stamp over with the bytes (SO_TIMESTAMPNS, socket(7); for TCP since 4.14:
the stamp of the last segment that a read took bytes of). Elsewhere there are no stamps, and arrival is when it was read.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from functools import cache

_SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: amd64, arm64 and nearly all others. Python's socket does not name it."""

_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
_NANOSECONDS = 1_000_000_000


def request_stamps(sock: socket.socket) -> None:
    """Have what *sock* receives stamped, where the kernel can."""
    keep_stamping()
    _request(sock)


def receive_stamped(sock: socket.socket, size: int) -> tuple[bytes, int | None]:
    """Up to *size* bytes, and their arrival in nanoseconds of wall time (`Clock.age_ns`). Raises what recv(2) raises."""
    data, ancillary, _, _ = sock.recvmsg(size, _ANCILLARY)
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(content)
            return data, seconds * _NANOSECONDS + nanoseconds
    return data, None


@cache
def keep_stamping() -> None:
    """Keep one socket that wants stamps for as long as the process lives. The kernel stamps packets only while there is one, and
    begins a little after it was asked: a worker with nothing else under way would not have its first packets stamped.
    """
    if sys.platform == "linux":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            _request(sock)
            sock.detach()


def _request(sock: socket.socket) -> None:
    if sys.platform == "linux":
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
