"""One file per protocol: a request, the door and a clock go in, an observation comes out.

A prober records; it never judges, and it raises nothing: what a target does wrong is a value.
"""

from __future__ import annotations

from typing import assert_never

from worker.apitest.observation import Observation
from worker.apitest.request import DNSRequest, HTTPRequest, Request, TCPRequest
from worker.clock import Clock
from worker.net.door import Door
from worker.probers import dns, http, tcp
from worker.probers.http import HTTPLimits

__all__ = ["HTTPLimits", "probe"]


async def probe(request: Request, door: Door, clock: Clock, http_limits: HTTPLimits) -> Observation:
    """Run *request* once, within its own time limit."""
    match request:
        case HTTPRequest():
            return await http.probe(request, door, clock, http_limits)
        case TCPRequest():
            return await tcp.probe(request, door, clock)
        case DNSRequest():
            return await dns.probe(request, door, clock)
        case _:
            assert_never(request)
