"""Runs the attack vectors through every prober and every way to name a target, and says what became of each run.

    python -m tests.integration.egress.siege POLICY WAY…

prints one JSON object a run. It is started so in a network namespace in which every address is the machine's own, so that a
connection to anywhere would arrive. POLICY is "default" or "open".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import uvloop

from tests.integration.egress.listeners import Listeners
from tests.support.policy import policy_of
from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import nameservers, trust_store
from tests.support.servers.http import Seen, reply, serving
from tests.vectors.egress import Vector, vectors
from worker.apitest.observation import Observation
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.protocols.tcp import TCPRequest
from worker.clock import SystemClock
from worker.egress.policy import Policy
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers import dns as dns_prober
from worker.probers import http as http_prober
from worker.probers import tcp as tcp_prober
from worker.probers.limits import ProbeLimits

CLOCK = SystemClock()
LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))
REDIRECTOR = "127.9.9.9"
"""The one address that the default policy of these tests allows: where redirects come from."""

HOST_WAYS = ("tcp", "http", "https", "redirect", "dns server")
WAYS: dict[str, tuple[str, ...]] = {
    "host": HOST_WAYS,
    "name": HOST_WAYS,
    "url": ("http",),
    "location": ("redirect",),
    "header": ("redirect",),
}
POLICIES = {
    "default": policy_of(allow=[REDIRECTOR]),
    "open": policy_of(allow=["0.0.0.0/0", "::/0"]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One vector, tried in one *way*. *code* is the failure's, "" without one; *reached* says at whose door it arrived."""

    vector: Vector
    way: str
    code: str
    message: str
    attempts: tuple[str, ...]
    reached: tuple[str, ...]


def zone() -> dns.Behaviour:
    """All names of the vectors; those outside ASCII are other spellings of one that is in it."""
    named = {vector.target.lower().removesuffix("."): vector.records for vector in vectors() if vector.by == "name"}
    return dns.zone({name: dict(records) for name, records in named.items() if name.isascii()})


class Siege:
    """What the runs have in common."""

    def __init__(self, door: Door, listeners: Listeners) -> None:
        self._door = door
        self._listeners = listeners
        self._port = listeners.port
        self.redirector = serving(self._answer_redirect)
        self.redirector.host = REDIRECTOR
        self._answer = b""

    async def attack(self, vector: Vector, way: str) -> Run:
        observation = await self._probe(vector, way)
        await self._listeners.settle()
        reached = tuple(self._listeners.reached)
        self._listeners.reached.clear()
        failure, resolution = observation.failure, observation.resolution
        attempts = [attempt.address for attempt in resolution.attempts] if resolution else []
        return Run(
            vector=vector,
            way=way,
            code=failure.code.value if failure else "",
            message=failure.message if failure else "",
            attempts=tuple(address for address in attempts if address != REDIRECTOR),
            reached=reached,
        )

    async def _probe(self, vector: Vector, way: str) -> Observation:
        target = vector.target.replace("{port}", str(self._port))
        if way == "tcp":
            return await tcp_prober.probe(
                TCPRequest(host=target, port=self._port, timeout=5), self._door, CLOCK, LIMITS
            )
        if way == "dns server":
            # The answer of a wildcard listener may come from another of its addresses, and is then waited for in vain.
            seconds = 0.2 if vector.reaches == "public" else 5
            request = DNSRequest(host="www.outside.test", server=target, port=self._port, timeout=seconds)
            return await dns_prober.probe(request, self._door, CLOCK, LIMITS)
        if way == "redirect":
            url = f"http://{REDIRECTOR}:{self.redirector.port}/"
            self._answer = redirect(
                vector, target if vector.by in {"location", "header"} else self._url("http", target)
            )
        else:
            url = target if vector.by == "url" else self._url(way, target)
        return await http_prober.probe(
            HTTPRequest(url=url, follow_redirects=True, timeout=5), self._door, CLOCK, LIMITS
        )

    def _url(self, scheme: str, host: str) -> str:
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"{scheme}://{host}:{self._port}/"

    def _answer_redirect(self, _: Seen) -> bytes:
        """What the redirector says in the run that is under way."""
        return self._answer


def redirect(vector: Vector, target: str) -> bytes:
    """Raw: a Location may hold anything, also what no server would write."""
    field = target if vector.by == "header" else f"Location: {target}"
    return reply(status=vector.status, headers=("X-Field: x",)).replace(b"X-Field: x", field.encode())


def ways_of(vector: Vector) -> Sequence[str]:
    """In what ways a vector can be tried: a Location cannot hold what would end it."""
    ways = WAYS[vector.by]
    return [way for way in ways if way != "redirect" or not set(vector.target) & set("\r\n\0")]


async def besiege(door: Door, listeners: Listeners, chosen: Iterable[Vector], ways: Sequence[str]) -> list[Run]:
    """Try all *chosen*, one after another, in those of *ways* that fit each."""
    runs = []
    siege = Siege(door, listeners)
    async with siege.redirector:
        for vector in chosen:
            for way in ways_of(vector):
                if way in ways:
                    runs.append(await siege.attack(vector, way))  # noqa: PERF401 - one after another, on purpose
    return runs


def door_asking(server: DNSServer, policy: Policy) -> Door:
    resolver = Resolver(nameservers([server.address]), ipv6=True)
    return Door(policy=policy, resolver=resolver, trust=trust_store(()))


async def main(policy: str, ways: Sequence[str]) -> None:
    async with Listeners(["0.0.0.0", "::"]) as listeners, DNSServer(zone()) as server:
        for run in await besiege(door_asking(server, POLICIES[policy]), listeners, vectors(), ways):
            print(json.dumps(asdict(run)))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2:]))
