"""The table of protocols: what a test's `subtype` may be. Every other list of protocols is made from this one.

Adding a protocol: docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from worker.apitest.protocols import dns, http, ssl, tcp
from worker.apitest.protocols.protocol import Protocol

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (http.PROTOCOL, tcp.PROTOCOL, dns.PROTOCOL, ssl.PROTOCOL)}
)
"""By name."""
