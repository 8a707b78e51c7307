"""The one door to targets: an endpoint goes in, a connected stream comes out, or a DoorError.

Resolve once, judge every answer, dial a judged address, compare the peer, shake hands: in this order, each step timed
as a phase of the recorder (`dns`, `tcp`, `ssl`). Addresses are tried one after another in the resolver's order and
each attempt is recorded; there is no racing. The caller bounds the whole by the deadline that its recorder knows
(`Deadline.limit`); a cancellation at any await closes what was opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from ipaddress import ip_address

from msgspec import Struct

from worker.egress.hosts import Address, Host, Name, parse_host
from worker.egress.nameserver import Nameserver
from worker.egress.policy import Decision, Policy
from worker.egress.proxy import Proxy
from worker.errors import HostError
from worker.net import alpn
from worker.net.attempts import first_reached
from worker.net.dial import dial
from worker.net.dns.resolver import Resolver, ServersInOrder, consult
from worker.net.dns.wire import DNSReply, Question
from worker.net.failure import DoorError, door_error, of_handshake_error, unresolved
from worker.net.identity import ClientIdentity
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream
from worker.net.trust import TrustStore, agreed
from worker.net.tunnel import Tunnels, dial_unjudged
from worker.outcome.failure import FailureCode


class TLSSettings(Struct, frozen=True, kw_only=True):
    """*server_name* is sent as SNI and looked for in the certificate; without *verify* anything is accepted, and
    still timed. *identity* is shown to a server that asks for a certificate. *offer* are the protocols to choose from.
    """

    server_name: str
    verify: bool = True
    identity: ClientIdentity | None = None
    offer: alpn.Offer = alpn.HTTP1


class Endpoint(Struct, frozen=True, kw_only=True):
    """*host* as the test writes it: a name, or an address with or without brackets. *proxy* is the test's own, if it has one."""

    host: str
    port: int
    tls: TLSSettings | None = None
    proxy: Proxy | None = None


NAMES = 4096
"""Hosts whose reading and whose word of the policy are kept: a location's tests come again each period."""

QUERY_SECONDS = 5.0
"""Longest wait for one server of a DNS test when its own time allows it: dig's default."""


class Door:
    """Shared by all who send to targets; keeps nothing between calls but its policy's decisions on names, which never change."""

    def __init__(self, *, policy: Policy, resolver: Resolver, trust: TrustStore, proxy: Proxy | None = None) -> None:
        self._policy = policy
        self._named = lru_cache(maxsize=NAMES)(partial(named, policy))
        self._resolver = resolver
        self.trust = trust
        self._tunnels = None if proxy is None else Tunnels(proxy, dial_unjudged(proxy, resolver), trust=trust)

    async def open(self, endpoint: Endpoint, recorder: Recorder) -> Stream:
        """Connect to *endpoint*; the caller closes the stream. No phase is running afterwards, whatever happens."""
        tls = endpoint.tls
        try:
            host = self._named(endpoint.host)
            if tls is not None and tls.identity is not None:
                await self.trust.prepare_identity(tls.identity, recorder, verify=tls.verify)
            if endpoint.proxy is None:
                stream = await self._reach(host, endpoint.port, recorder)
            else:
                stream = await self._reach_through(endpoint.proxy, host, endpoint.port, recorder)
            recorder.stop()
            if tls is not None:
                return await self._secure(stream, tls, recorder)
            return stream
        finally:
            recorder.stop()

    async def open_again(self, endpoint: Endpoint, first: Recorder) -> Stream:
        """Connect once more to the address that *first* reached, without TLS: in its time, and in none of its phases."""
        host, recorder = self._named(endpoint.host), first.detached()
        if first.address is None:
            return await self._reach(host, endpoint.port, recorder)
        return await self._connect(
            host, await self._judged(ip_address(first.address), recorder), endpoint.port, recorder
        )

    async def _reach(self, host: Address | Name, port: int, recorder: Recorder) -> Stream:
        """A stream to *host*, looked up here unless the proxy does that."""
        tunnels = self._tunnels
        if (
            tunnels is not None
            and isinstance(host, Name)
            and tunnels.proxy.hands_over_names
            and tunnels.proxy.serves(host)
        ):
            recorder.start("proxy")
            return await tunnels.open(host, port, recorder)
        return await self._connect(host, await self._judged(host, recorder), port, recorder)

    async def _connect(
        self, host: Address | Name, addresses: Sequence[Address], port: int, recorder: Recorder
    ) -> Stream:
        """A stream to the first of the *addresses* of *host* that can be reached.

        Through a proxy the phase `proxy` is all that it takes until the tunnel stands, and there is no `tcp`.
        """
        tunnels = self._tunnels
        if tunnels is None or not tunnels.proxy.serves(host):
            recorder.start("tcp")
            return await first_reached(addresses, port, lambda address: dial(address, port, recorder), recorder)
        recorder.start("proxy")
        return await first_reached(addresses, port, lambda address: tunnels.open(address, port, recorder), recorder)

    async def _reach_through(self, proxy: Proxy, host: Address | Name, port: int, recorder: Recorder) -> Stream:
        """A stream to *host* through a test's own proxy, which is reached like any target: judged, and through the operator's."""

        async def dial_proxy(detached: Recorder) -> Stream:
            return await self._reach(self._named(str(proxy.host)), proxy.port, detached)

        tunnels = Tunnels(proxy, dial_proxy, trust=self.trust, owner="the test's proxy")
        addresses = await self._judged(host, recorder)
        recorder.start("proxy")
        return await first_reached(addresses, port, lambda address: tunnels.open(address, port, recorder), recorder)

    async def _secure(self, stream: Stream, tls: TLSSettings, recorder: Recorder) -> SecureStream:
        recorder.start("ssl")
        name = tls.server_name.removesuffix(".")  # neither SNI (RFC 6066 §3) nor certificates have the last dot
        try:
            secured = await self.trust.secure(
                stream, name, verify=tls.verify, recorder=recorder, identity=tls.identity, offer=tls.offer
            )
        except OSError as error:
            raise DoorError(of_handshake_error(error, name)) from error
        recorder.handshake = agreed(secured)
        return secured

    async def addresses(self, host: str, recorder: Recorder) -> tuple[Address, ...]:
        """The addresses of *host* that the policy allows, in order, for who dials by a library of its own. Raises DoorError."""
        try:
            return tuple(await self._judged(self._named(host), recorder))
        finally:
            recorder.stop()

    async def nameservers(self, host: str | None, port: int, recorder: Recorder) -> ServersInOrder:
        """Name servers for a DNS test: its own (judged like any target), else the worker's in their order."""
        if host is None:
            return self._resolver.in_order()
        judged = await self.addresses(host, recorder)
        return ServersInOrder(servers=tuple(Nameserver(address, port) for address in judged))

    async def query(self, asked: ServersInOrder, host: str, record_type: str, recorder: Recorder) -> DNSReply:
        """Look up one record set of *host*: the reply of the first of the servers that gives a final one, whatever its
        rcode; an address is asked by its reverse name. Raises DoorError when nobody answers.
        """
        named = self._named(host)
        name = question_name(named, record_type)
        recorder.start("dns")
        try:
            consulted = await consult(asked.servers, Question(name, record_type), recorder, QUERY_SECONDS)
            recorder.exclude(consulted.arrived)
        finally:
            recorder.stop()
        if consulted.reply is None:
            cure = f"; {asked.cure}" if asked.cure else ""
            raise DoorError(unresolved(str(named), consulted.code, consulted.trouble + cure))
        recorder.server = str(consulted.server)
        return consulted.reply

    async def _judged(self, host: Address | Name, recorder: Recorder) -> list[Address]:
        """The addresses that *host* means and the policy allows, in order; never empty."""
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


def named(policy: Policy, text: str) -> Host:
    """Read *text*, if *policy* lets it be looked up at all. Raises DoorError."""
    try:
        host = parse_host(text)
    except HostError as error:
        reason = f"the host {text[:80]!r} cannot be used: {error.reason}"
        raise door_error(FailureCode.INVALID_REQUEST, reason) from None
    decision = policy.judge_name(host)
    if not decision.allowed:
        raise denied(str(host), decision)
    return host


def question_name(host: Address | Name, record_type: str) -> str:
    """The name to ask about *host*. An address has a reverse name (RFC 1035 §3.5, RFC 3596 §2.5) and nothing else."""
    if isinstance(host, Name):
        return host.text
    if record_type != "PTR":
        raise door_error(FailureCode.INVALID_REQUEST, f"an address has PTR records only, not {record_type}")
    return host.reverse_pointer


def denied(host: str, decision: Decision) -> DoorError:
    """Names the rule and what would lift it, never the address that was judged."""
    return door_error(FailureCode.DENIED, f"the egress policy does not allow {host}: {decision.message}")
