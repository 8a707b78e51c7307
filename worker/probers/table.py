"""The table of probers: one row a protocol, and one signature.

HTTP, TCP and DNS are imported with this table, in the thread in which a start imports what runs tests. A prober whose imports
cost something is imported on its first run instead: its row gets a function that imports its module and calls it, so that a
worker which never sees such a test loads nothing for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from worker.apitest.observation import Observation
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.apitest.request import ProbeRequest
from worker.clock import Clock
from worker.net.door import Door
from worker.net.http.cookies import Cookies
from worker.probers import dns, http, tcp
from worker.probers.limits import ProbeLimits

R = TypeVar("R", bound=ProbeRequest)
Probe: TypeAlias = Callable[[R, Door, Clock, ProbeLimits], Awaitable[Observation]]
"""Raises nothing that a target or a definition can cause."""


@dataclass(frozen=True, slots=True)
class Prober(Generic[R]):
    """The class of the requests that *probe* takes: that of a row in the table of protocols."""

    request: type[R]
    probe: Probe[R]


_late: dict[str, Callable[..., Awaitable[Observation]]] = {}
"""Probers that were imported with their first run."""


async def _probe_ssl(request: SSLRequest, door: Door, clock: Clock, limits: ProbeLimits) -> Observation:
    """Import the prober in a thread, with `cryptography`'s reading of certificates: the loop would be held for that."""
    probe_ssl = _late.get("ssl")
    if probe_ssl is None:
        probe_ssl = await asyncio.to_thread(_import_ssl)
    return await probe_ssl(request, door, clock, limits)


def _import_ssl() -> Callable[..., Awaitable[Observation]]:
    from worker.probers import ssl  # noqa: PLC0415

    return _late.setdefault("ssl", ssl.probe)


PROBERS: tuple[Prober[Any], ...] = (
    Prober(HTTPRequest, http.probe),
    Prober(TCPRequest, tcp.probe),
    Prober(DNSRequest, dns.probe),
    Prober(SSLRequest, _probe_ssl),
)

_PROBES = {prober.request: prober.probe for prober in PROBERS}


def probe(
    request: ProbeRequest, door: Door, clock: Clock, limits: ProbeLimits, cookies: Cookies | None = None
) -> Awaitable[Observation]:
    """Run *request* with its protocol's prober. Raises nothing that a target or a definition can cause.

    *cookies* are those that the steps of one test share; protocols that have none take no notice.
    """
    if cookies is not None and isinstance(request, HTTPRequest):
        return http.probe(request, door, clock, limits, cookies)
    return _PROBES[type(request)](request, door, clock, limits)
