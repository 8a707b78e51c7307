"""A real DNS server on loopback, UDP and TCP on one port, that a test programs: honest zones, rebinding, delays, lies.

What it puts on the wire is made by dnspython, which the worker does not use: an implementation independent of what is tested.
A behaviour is a function from a Query to a Reaction; `zone` makes an honest one, the functions after it bend it.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, TypeAlias, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.support.servers.closing import end

Transport: TypeAlias = Literal["udp", "tcp"]
Addresses: TypeAlias = Sequence[str] | Callable[[int], Sequence[str]]
"""Record data in presentation format, or a function from how often this name and type were asked before (0, 1, …) to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question as it arrived. *seen* counts earlier questions of this name and type, whatever their transport."""

    message: dns.message.Message
    transport: Transport
    seen: int

    @property
    def name(self) -> str:
        return self.message.question[0].name.to_text(omit_final_dot=True).lower()

    @property
    def record_type(self) -> str:
        return dns.rdatatype.to_text(self.message.question[0].rdtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What is sent back: *payloads* one after another (on TCP each behind its length), *delay* seconds after the question.

    *hang_up* closes a TCP connection, afterwards; *from_elsewhere* sends datagrams from another port.
    """

    payloads: tuple[bytes, ...] = ()
    delay: float = 0.0
    hang_up: bool = False
    from_elsewhere: bool = False


Behaviour: TypeAlias = Callable[[Query], Reaction]

TTL = 60


def zone(records: Mapping[str, Mapping[str, Addresses]]) -> Behaviour:
    """Answer from *records*: name → type → record data. Unknown names are NXDOMAIN, unknown types empty; CNAMEs are followed."""

    def behave(query: Query) -> Reaction:
        response = dns.message.make_response(query.message)
        response.flags |= dns.flags.RA
        name = query.name
        if name not in records:
            response.set_rcode(dns.rcode.NXDOMAIN)
        for _ in range(len(records)):
            types = records.get(name, {})
            found = types.get(query.record_type) or types.get("CNAME")
            if not found:
                break
            data = list(found(query.seen) if callable(found) else found)
            kind = query.record_type if query.record_type in types else "CNAME"
            owner = dns.name.from_text(name)  # one set a record: dnspython shuffles the records of a set
            response.answer.extend(dns.rrset.from_text(owner, TTL, "IN", kind, one) for one in data)
            if kind == query.record_type:
                break
            name = data[0].removesuffix(".").lower()
        return Reaction(payloads=(response.to_wire(max_size=65_535),))

    return behave


def first_then(*answers: Sequence[str]) -> Callable[[int], Sequence[str]]:
    """Rebinding: the first answer to the first question, the second to the second, the last to all that follow."""
    return lambda seen: answers[min(seen, len(answers) - 1)]


def round_robin(*answers: Sequence[str]) -> Callable[[int], Sequence[str]]:
    """Rebinding: one answer after another, over and over."""
    return lambda seen: answers[seen % len(answers)]


def shuffled(seed: int, *answers: Sequence[str]) -> Callable[[int], Sequence[str]]:
    """Rebinding: an answer by chance each time."""
    chance = random.Random(seed)
    return lambda _: chance.choice(answers)


def silent(_: Query) -> Reaction:
    """Never answer."""
    return Reaction()


def hanging_up(_: Query) -> Reaction:
    """On TCP: close without an answer."""
    return Reaction(hang_up=True)


def delayed(seconds: float, behaviour: Behaviour) -> Behaviour:
    return lambda query: replace(behaviour(query), delay=seconds)


def losing(count: int, behaviour: Behaviour) -> Behaviour:
    """Lose the first *count* questions of each name and type."""
    return lambda query: behaviour(query) if query.seen >= count else Reaction()


def refusing(rcode: str) -> Behaviour:
    """Answer with *rcode* and nothing else."""

    def behave(query: Query) -> Reaction:
        response = dns.message.make_response(query.message)
        response.set_rcode(dns.rcode.from_text(rcode))
        return Reaction(payloads=(response.to_wire(),))

    return behave


def truncated_always(query: Query) -> Reaction:
    """Empty and truncated, whatever the transport."""
    response = dns.message.make_response(query.message)
    response.flags |= dns.flags.TC
    return Reaction(payloads=(response.to_wire(),))


def truncated(behaviour: Behaviour) -> Behaviour:
    """Empty and truncated over UDP, in full over TCP."""
    return by_transport(udp=truncated_always, tcp=behaviour)


def from_elsewhere(behaviour: Behaviour) -> Behaviour:
    """The right answer from a port that was not asked."""
    return lambda query: replace(behaviour(query), from_elsewhere=True)


def raw(*make: Callable[[Query], bytes]) -> Behaviour:
    """Bytes as they come: for what no library would send."""
    return lambda query: Reaction(payloads=tuple(one(query) for one in make))


def preceded_by(lies: Iterable[Callable[[Query], bytes]], behaviour: Behaviour) -> Behaviour:
    """Send *lies* first, the honest answer after them."""

    def behave(query: Query) -> Reaction:
        honest = behaviour(query)
        return replace(honest, payloads=(*(lie(query) for lie in lies), *honest.payloads))

    return behave


def by_transport(*, udp: Behaviour, tcp: Behaviour) -> Behaviour:
    return lambda query: (udp if query.transport == "udp" else tcp)(query)


class DNSServer:
    """`async with DNSServer(behaviour) as server:` — then *host*, *port*, and *asked*: (name, type, transport) in order."""

    def __init__(self, behaviour: Behaviour, *, host: str = "127.0.0.1") -> None:
        self.behaviour = behaviour
        self.host = host
        self.port = 0
        self.asked: list[tuple[str, str, Transport]] = []
        self._seen: dict[tuple[str, str], int] = {}
        self._handles: set[asyncio.Handle] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """`host:port` as `dnsServer` takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        while True:  # a port that is free for both: rarely more than one turn
            stream = await asyncio.start_server(self._serve, self.host, 0)
            self.port = stream.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(self.host, self.port)
                )
            except OSError:
                stream.close()
                continue
            break
        self._tcp = stream
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._elsewhere = socket.socket(family, socket.SOCK_DGRAM)
        self._elsewhere.bind((self.host, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.cancel()
        self._udp.close()
        await end(self._tcp, self._writers)
        self._elsewhere.close()

    async def forget_connections(self) -> None:
        """Wait until every client has hung up and its connection is closed here as well."""
        while self._writers:  # noqa: ASYNC110 - the connections say nothing when they end
            await asyncio.sleep(0.001)

    def react(self, wire: bytes, transport: Transport) -> Reaction:
        try:
            message = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return Reaction()
        key = (message.question[0].name.to_text().lower(), dns.rdatatype.to_text(message.question[0].rdtype))
        query = Query(message=message, transport=transport, seen=self._seen.get(key, 0))
        self._seen[key] = query.seen + 1
        self.asked.append((query.name, query.record_type, transport))
        return self.behaviour(query)

    def answer_datagram(self, transport: asyncio.DatagramTransport, wire: bytes, peer: tuple[str, int]) -> None:
        reaction = self.react(wire, "udp")

        def send() -> None:
            for payload in reaction.payloads:
                if reaction.from_elsewhere:
                    self._elsewhere.sendto(payload, peer)
                else:
                    transport.sendto(payload, peer)

        self._later(reaction.delay, send)

    def _later(self, delay: float, do: Callable[[], None]) -> None:
        if delay == 0:
            do()
        else:
            self._handles.add(asyncio.get_running_loop().call_later(delay, do))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                reaction = self.react(await reader.readexactly(size), "tcp")

                def send(reaction: Reaction = reaction) -> None:
                    for payload in reaction.payloads:
                        writer.write(len(payload).to_bytes(2, "big") + payload)
                    if reaction.hang_up:
                        writer.close()

                self._later(reaction.delay, send)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DNSServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's says so in its interface only

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.answer_datagram(self._transport, data, addr)
