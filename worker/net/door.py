"""The one door to targets: an endpoint goes in, a connected transport with the caller's protocol comes out, or a
DoorError.

Resolve once, judge every answer, dial a judged address, compare the peer, shake hands: in this order, each step timed
as a phase of the recorder (`dns`, `tcp`, `ssl`). Addresses are tried one after another in the resolver's order and
each attempt is recorded; there is no racing. The caller bounds the whole by the deadline that its recorder knows
(`asyncio.timeout`); a cancellation at any await closes what was opened.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from worker.apitest.failure import FailureCode
from worker.apitest.observation import DNSAnswer
from worker.net.dial import dial, peer_text
from worker.net.dnswire import Question
from worker.net.exchange import Nameserver
from worker.net.failure import DoorError, of_handshake_error, of_os_error, shut
from worker.net.host import Address, Name, parse_host
from worker.net.recorder import Recorder
from worker.net.resolver import Resolver, consult, unresolved
from worker.net.trust import TrustStore
from worker.policy import Decision, Policy

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSSettings:
    """*server_name* is sent as SNI and looked for in the certificate; without *verify* anything is accepted, and
    still timed.
    """

    server_name: str
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """*host* as the test writes it: a name, or an address with or without brackets."""

    host: str
    port: int
    tls: TLSSettings | None = None


QUERY_SECONDS = 5.0
"""How long a DNS test waits for one server when its own time allows it: dig's default."""


class Door:
    """Shared by all probers; keeps no state between calls."""

    def __init__(self, *, policy: Policy, resolver: Resolver, trust: TrustStore) -> None:
        self._policy = policy
        self._resolver = resolver
        self._trust = trust

    async def open(
        self, protocol_factory: Callable[[], P], endpoint: Endpoint, recorder: Recorder
    ) -> tuple[asyncio.Transport, P]:
        """Connect to *endpoint*. No phase is running afterwards, whatever happens."""
        try:
            addresses = await self._judged(endpoint.host, recorder)
            sock = await self._connect(addresses, endpoint.port, recorder)
            return await self._establish(protocol_factory, sock, endpoint, recorder)
        finally:
            recorder.stop()

    async def nameservers(self, host: str | None, port: int, recorder: Recorder) -> tuple[Nameserver, ...]:
        """Whom a DNS test asks: the server that it names, judged like any target, or the worker's own in their order."""
        if host is None:
            return self._resolver.in_order()
        try:
            return tuple(Nameserver(address, port) for address in await self._judged(host, recorder))
        finally:
            recorder.stop()

    async def query(self, servers: Sequence[Nameserver], host: str, record_type: str, recorder: Recorder) -> DNSAnswer:
        """One record set of *host* from the first of *servers* that answers, whatever its rcode; an address is asked
        by its reverse name. Raises DoorError when nobody answers.
        """
        asked = self._named(host)
        name = question_name(asked, record_type)
        recorder.start("dns")
        try:
            consulted = await consult(servers, Question(name, record_type), recorder, QUERY_SECONDS)
        finally:
            recorder.stop()
        if consulted.reply is None:
            raise unresolved(str(asked), consulted.code, consulted.trouble)
        recorder.server = str(consulted.server)
        reply = consulted.reply
        return DNSAnswer(
            record_type=record_type, records=reply.records, rcode=reply.rcode, flags=reply.flags, ttl=reply.ttl
        )

    async def _judged(self, text: str, recorder: Recorder) -> list[Address]:
        """The addresses that *text* means and the policy allows, in order; never empty."""
        host = self._named(text)
        found: tuple[Address, ...]
        if isinstance(host, Name):
            recorder.start("dns")
            found = await self._resolver.resolve(host, recorder)
            recorder.stop()
        else:
            found = (host,)
        decisions = [(address, self._policy.judge(address)) for address in found]
        allowed = [address for address, decision in decisions if decision.allowed]
        if not allowed:
            raise denied(str(host), decisions[0][1])
        return allowed

    def _named(self, text: str) -> Address | Name:
        """What *text* means, if the policy lets it be looked up at all."""
        host = parse_host(text)
        decision = self._policy.judge_name(str(host))
        if not decision.allowed:
            raise denied(str(host), decision)
        return host

    async def _connect(self, addresses: list[Address], port: int, recorder: Recorder) -> socket.socket:
        """The first address that answers; each of several gets its share of the time that is left, the last one all
        of it.
        """
        recorder.start("tcp")
        for position, address in enumerate(addresses, start=1):
            began = recorder.now_ns()
            share = None if position == len(addresses) else recorder.remaining() / (len(addresses) - position + 1)
            try:
                async with asyncio.timeout(share):
                    sock = await dial(address, port)
            except OSError as error:
                failure = of_os_error(error, peer_text(address, port))
                recorder.attempted(address, port, began, failure.message)
            except asyncio.CancelledError:
                recorder.attempted(address, port, began, "no answer before the test's time was over")
                raise
            else:
                recorder.attempted(address, port, began)
                recorder.stop()
                return sock
        raise DoorError(failure)

    async def _establish(
        self, protocol_factory: Callable[[], P], sock: socket.socket, endpoint: Endpoint, recorder: Recorder
    ) -> tuple[asyncio.Transport, P]:
        loop = asyncio.get_running_loop()
        tls = endpoint.tls
        try:
            if tls is None:
                return await loop.create_connection(protocol_factory, sock=sock)
            name = tls.server_name.removesuffix(".")
            recorder.start("ssl")
            return await loop.create_connection(
                protocol_factory, sock=sock, ssl=self._trust.context(verify=tls.verify), server_hostname=name
            )
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise DoorError(of_handshake_error(error, name if tls else endpoint.host)) from error
            raise


def question_name(host: Address | Name, record_type: str) -> str:
    """What is asked about *host*. An address has a reverse name (RFC 1035 §3.5, RFC 3596 §2.5) and nothing else."""
    if isinstance(host, Name):
        return host.text
    if record_type != "PTR":
        raise shut(FailureCode.INVALID_REQUEST, f"an address has PTR records only, no {record_type}")
    return host.reverse_pointer


def denied(host: str, decision: Decision) -> DoorError:
    """Names the rule and what would lift it, never the address that was judged."""
    return shut(FailureCode.DENIED, f"the egress policy does not allow {host}: {decision.message}")
