"""A network of a benchmark's own: a namespace with a loopback, whose resolver asks a server of ours, and a line that takes time.

A benchmark calls `enter` first: it starts the same command again inside. Nothing has a name outside and nothing needs removing:
network, mounts and processes end with the benchmark, however that ends. Without root it tries a user namespace; where neither
is permitted it says so and ends like a benchmark that has no peer. The line is a process: few kernels have netem at hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.processes import NO_PEER, need, running

INSIDE = "--in-its-own-network"
"""The last argument of a command that runs inside."""
HERE, FAR = IPv4Address("198.18.0.1"), IPv4Address("198.18.0.2")
"""The line's ends, of the block for benchmarks (RFC 2544). Whoever connects to FAR reaches this machine's own listeners."""
TUN = Path("/dev/net/tun")
_SETUP = """
mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf &&
ip link set lo up && { test -w /dev/net/tun || { echo "/dev/net/tun is not there or not ours" >&2; false; } } &&
shift && exec "$@"
"""
_FILES = {"resolv.conf": "nameserver 127.0.0.1\n", "nsswitch.conf": "hosts: files dns\n"}
"""What asks no other service of the machine for a name."""
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 65_536


def enter(module: str) -> None:
    """Return if this process is inside; run `python -m module` with the same arguments inside otherwise, and exit as it did."""
    if sys.argv[-1] == INSIDE:
        sys.argv.pop()
        return
    need("unshare", "util-linux")
    need("ip", "iproute2")
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    if os.geteuid():
        unshare.append("--map-root-user")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in _FILES.items():
            Path(folder, name).write_text(text)
        inside = [*unshare, "sh", "-c", _SETUP, "sh", folder]
        tried = subprocess.run([*inside, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            print(
                f"this benchmark cannot have a network of its own here (root can): {tried.stderr.strip()}",
                file=sys.stderr,
            )
            sys.exit(NO_PEER)
        sys.exit(subprocess.run([*inside, sys.executable, "-m", module, *sys.argv[1:], INSIDE], check=False).returncode)


@contextlib.contextmanager
def line(seconds: float) -> Iterator[None]:
    """While entered, FAR is at the end of a line on which each packet takes *seconds*, in each direction."""
    with running(reflect, seconds):
        yield


def reflect(ready: Connection, seconds: float) -> None:
    """Give each packet back *seconds* after it came, with its addresses exchanged, for ever.

    What this machine sends to FAR comes back as sent by FAR to HERE, so that one machine is both ends. The exchange leaves
    every checksum as it is.
    """
    tun = os.open(TUN, os.O_RDWR)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", b"line", _IFF_TUN | _IFF_NO_PI))
    for command in (f"addr add {HERE} peer {FAR} dev line", "link set line up"):
        subprocess.run(["ip", *command.split()], check=True)
    ready.send(None)
    under_way: deque[tuple[float, bytes]] = deque()
    while True:
        left = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        if select.select([tun], [], [], left)[0]:
            packet = os.read(tun, _LARGEST)
            due = time.monotonic() + seconds
            if packet[0] >> 4 == 4:  # the kernel's own IPv6 chatter ends here
                under_way.append((due, packet[:12] + packet[16:20] + packet[12:16] + packet[20:]))
        while under_way and under_way[0][0] <= time.monotonic():
            os.write(tun, under_way.popleft()[1])
