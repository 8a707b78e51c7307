"""One file per protocol, one signature: a request, the door and a clock go in, an observation comes out. Probers never judge."""

from __future__ import annotations

from typing import assert_never

from worker.apitest.observation import Observation
from worker.apitest.request import DNSRequest, HTTPRequest, Request, TCPRequest
from worker.clock import Clock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers import dns, http, tcp

__all__ = ["HTTPLimits", "probe"]


async def probe(request: Request, door: Door, clock: Clock, limits: HTTPLimits) -> Observation:
    """Run *request* with its own prober. Raises nothing that a target or a definition can cause."""
    match request:
        case HTTPRequest():
            return await http.probe(request, door, clock, limits)
        case TCPRequest():
            return await tcp.probe(request, door, clock)
        case DNSRequest():
            return await dns.probe(request, door, clock)
        case _:
            assert_never(request)
