"""Two network namespaces and a line between them: outside there is the control plane, inside a worker and its private targets.

From inside nothing but the control plane's address can be reached, and from outside nothing that is inside. Names are those of a
hosts file of the test. Nothing needs removing: namespaces, mounts and processes end with the process that made them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.support.peers import missing
from tests.support.waiting import PATIENCE

OUTSIDE, PRIVATE = "198.18.0.1", "10.20.0.1"
"""The control plane's address (of the block for benchmarks, RFC 2544), and that of the private targets."""

_SETUP = f"""
set -e
mount -t tmpfs none /run
mount --bind "$1" /etc/hosts
mount --bind /dev/null /etc/resolv.conf
ip link set lo up
ip netns add private
ip link add outside type veth peer name inside netns private
ip addr add {OUTSIDE}/30 dev outside
ip link set outside up
ip -n private link set lo up
ip -n private addr add 198.18.0.2/30 dev inside
ip -n private link set inside up
ip -n private addr add {PRIVATE}/32 dev lo
echo ready
exec sleep infinity
"""


class PrivateNetwork:
    """`with PrivateNetwork(folder, hosts) as network:`. *hosts* are the names of addresses. Skips where it is not permitted."""

    def __init__(self, folder: Path, hosts: dict[str, str]) -> None:
        self._folder = folder
        self._hosts = folder / "hosts"
        self._hosts.write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
        self._anchor: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if not (shutil.which("unshare") and shutil.which("ip")):
            missing("unshare (util-linux) or ip (iproute2) is not installed")
        unshare = ("unshare", "--map-root-user", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")
        pipe = subprocess.PIPE
        anchor = subprocess.Popen(
            [*unshare, "sh", "-c", _SETUP, "sh", str(self._hosts)], stdout=pipe, stderr=pipe, text=True
        )
        assert anchor.stdout is not None
        if anchor.stdout.readline() != "ready\n":
            _, trouble = anchor.communicate(timeout=PATIENCE)
            missing(f"network namespaces are not permitted here: {trouble.strip()}")
        self._anchor = anchor
        return self

    def __exit__(self, *_: object) -> None:
        if self._anchor is not None:
            self._anchor.kill()
            self._anchor.communicate()

    @property
    def outside(self) -> list[str]:
        """Runs the command behind it, in *folder*, where the control plane is."""
        assert self._anchor is not None
        process = self._anchor.pid
        namespaces = ("--user", "--net", "--mount", f"--pid=/proc/{process}/ns/pid_for_children")
        return ["nsenter", f"--target={process}", *namespaces, "--preserve-credentials", f"--wdns={self._folder}"]

    @property
    def inside(self) -> list[str]:
        """Runs the command behind it where the worker and its targets are."""
        return [*self.outside, "nsenter", "--net=/run/netns/private"]
