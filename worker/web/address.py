"""A listening socket for an address as operators write it: one address, or every one of this machine in both families."""

from __future__ import annotations

import socket

EVERYWHERE = ("", "::", "0.0.0.0")  # noqa: S104 - names to recognise
"""Every address: of both families, of both, and of IPv4 alone."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on *host*, an address or a name. Raises OSError.

    `::` takes IPv4 as well: asyncio would bind it to IPv6 alone, and half of the callers would find nobody. An empty host is
    every address too, also on a machine without IPv6.
    """
    if host == "" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 - asked for
    if host in ("", "::"):
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=socket.has_dualstack_ipv6())
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
