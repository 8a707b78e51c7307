"""Names to addresses, and questions to servers in their order. Looked up once a run: nothing is cached, nothing is
judged here.

Named servers are asked in the order in which they were given; the next one after a time-out, a refusal or a server
failure. NXDOMAIN is final. Servers that were silent are asked a second time, because datagrams get lost. With
*use_host* the machine's own resolver (c-ares: /etc/hosts, search domains, nsswitch order) comes first, and its
NXDOMAIN is final as well: a name that is private must not be asked of public servers. Localhost names are loopback
addresses and are asked of nobody; whether these may be dialled is the policy's business.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import aiodns
import pycares
from msgspec import Struct

from worker.egress.hosts import Address, Name, unmapped
from worker.egress.nameserver import Nameserver, of_this_machine
from worker.net.dns.query import NoReplyError, ask
from worker.net.dns.wire import DNSReply, Question
from worker.net.failure import DoorError, no_answer_within, of_rcode, unresolved
from worker.net.recorder import Recorder
from worker.outcome.failure import Failure

RESOLV_CONF = Path("/etc/resolv.conf")

SERVER_SECONDS = 2.0
"""Longest wait for one server when the test's own time allows it."""

MARGIN_SECONDS = 0.05
"""Kept back from the test's time, so that a silent server is named before the test's own limit is over."""

HOST_SECONDS = 5.0
"""Longest wait for the machine's own resolver, all its servers and search domains together."""

ROUNDS = 2
"""A lost datagram must not become an alert."""

_KEEP_ORDER = 1 << 7
"""ARES_AI_NOSORT of ares.h, which pycares does not name: the answer's order is the resolver's."""

MAX_ADDRESSES = 32
"""Addresses of one name that are considered; they are tried one after another."""

_LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""The addresses of every localhost name, IPv4 first."""

_FINAL = frozenset({"NOERROR", "NXDOMAIN"})


class Consultation(Struct, frozen=True, kw_only=True):
    """The result of asking servers in order. *reply* is None when nobody answered; then *code* and *trouble* say why."""

    server: Nameserver | None = None
    reply: DNSReply | None = None
    arrived: int | None = None
    code: str = ""
    trouble: str = ""


class ServersInOrder(Struct, frozen=True, kw_only=True):
    """Name servers of a DNS test. *cure* says what an operator may change where none answers; a test's own have none."""

    servers: tuple[Nameserver, ...]
    cure: str = ""


class Resolver:
    """*servers* in order, or the host's resolver and then *servers*; AAAA is asked only with *ipv6*."""

    def __init__(
        self,
        servers: Sequence[Nameserver],
        *,
        use_host: bool = False,
        ipv6: bool = False,
    ) -> None:
        self.servers = tuple(map(of_this_machine, servers))
        self._use_host = use_host
        self._types = ("A", "AAAA") if ipv6 else ("A",)

    def in_order(self) -> ServersInOrder:
        """Name servers for a DNS test that names none: with *use_host* first those of this machine, read anew each time."""
        servers = (*host_nameservers(RESOLV_CONF), *self.servers) if self._use_host else self.servers
        return ServersInOrder(servers=servers, cure=self.cure())

    async def resolve(self, name: Name, recorder: Recorder) -> tuple[Address, ...]:
        """All addresses, IPv4 first, each family in the answer's order; never empty. Raises DoorError(DNS)."""
        if is_localhost(name):
            return _LOOPBACK[: len(self._types)]
        so_far = ""
        if self._use_host:
            try:
                if found := await self._resolve_by_host(name, recorder):
                    return found
            except NoReplyError as error:
                if not self.servers:
                    raise DoorError(unresolved(name.text, error.code, f"{error}; {self.cure()}")) from None
                so_far = f"{error}, "
        consulted = await self._consult_each_type(name, recorder)
        recorder.exclude(max((one.arrived for one in consulted if one.arrived is not None), default=None))
        addresses: list[Address] = []
        for consultation in consulted:
            reply = consultation.reply
            if reply is None:
                continue
            if reply.records or not addresses:
                recorder.server = str(consultation.server)
            addresses.extend(unmapped(ip_address(text)) for text in reply.records)
        if not addresses:
            raise DoorError(self._no_address(name, consulted, so_far))
        return tuple(addresses[:MAX_ADDRESSES])

    def cure(self) -> str:
        """A sentence on what an operator may change when none of these servers answers."""
        if self._use_host:
            return "dnsServer names other servers"
        return "dnsServer names other servers, dnsUseHost asks those of this machine"

    def _no_address(self, name: Name, consulted: Sequence[Consultation], so_far: str) -> Failure:
        """The failure of answers without an address; *so_far* is the trouble with the host's resolver.

        One family may be said not to exist while the other does (RFC 8020 §2).
        """
        absent = [one for one in consulted if one.reply is not None and one.reply.rcode == "NXDOMAIN"]
        for one in (*absent, *consulted):
            if one.reply is None:
                return unresolved(name.text, one.code, f"{so_far}{one.trouble}; {self.cure()}")
            if one.reply.rcode != "NOERROR":
                return of_rcode(name.text, one.reply.rcode, str(one.server))
        return self._no_data(name, str(consulted[0].server))

    def _no_data(self, name: Name, resolver: str) -> Failure:
        if len(self._types) > 1:
            return unresolved(name.text, "ENODATA", f"{resolver} knows the name, but no address for it")
        reason = f"{resolver} knows the name, but no IPv4 address for it; enableIPv6 asks for IPv6 addresses too"
        return unresolved(name.text, "ENODATA", reason)

    async def _consult_each_type(self, name: Name, recorder: Recorder) -> list[Consultation]:
        if len(self._types) == 1:
            return [await consult(self.servers, Question(name.text, self._types[0]), recorder)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(consult(self.servers, Question(name.text, kind), recorder)) for kind in self._types
            ]
        return [task.result() for task in tasks]

    async def _resolve_by_host(self, name: Name, recorder: Recorder) -> tuple[Address, ...]:
        """The host's answer. Raises DoorError, and NoReplyError when its resolver is in trouble and others may be asked."""
        seconds = min(HOST_SECONDS, _spare(recorder) / (2 if self.servers else 1))
        # A fresh channel each: one that lives longer learns to time out early and to reorder its servers.
        resolver = aiodns.DNSResolver()
        try:
            async with recorder.limit(seconds):
                result = await resolver.getaddrinfo(
                    name.text + "." * name.absolute,
                    family=socket.AF_UNSPEC if len(self._types) > 1 else socket.AF_INET,
                    type=socket.SOCK_STREAM,
                    flags=_KEEP_ORDER,
                )
        except TimeoutError:
            raise _host_failed("ETIMEOUT", no_answer_within(seconds)) from None
        except aiodns.error.DNSError as error:
            raise self._host_refused(name, *error.args) from None
        finally:
            await resolver.close()
        found = [unmapped(ip_address(node.addr[0].decode())) for node in result.nodes]
        return tuple(sorted(found, key=lambda address: address.version)[:MAX_ADDRESSES])

    def _host_refused(self, name: Name, number: int, reason: str) -> DoorError | NoReplyError:
        if number == aiodns.error.ARES_ENOTFOUND:
            return DoorError(unresolved(name.text, "ENOTFOUND", "it does not exist, says this machine's resolver"))
        if number == aiodns.error.ARES_ENODATA:
            return DoorError(self._no_data(name, "this machine's resolver"))
        return _host_failed(pycares.errno.errorcode.get(number, "EUNKNOWN").removeprefix("ARES_"), reason)


def _host_failed(code: str, reason: str) -> NoReplyError:
    """The trouble of the host's resolver, with the servers that it asks."""
    servers = ", ".join(map(str, host_nameservers(RESOLV_CONF)))
    return NoReplyError(code, f"this machine's resolver{servers and f' ({servers})'}: {reason}")


def is_localhost(name: Name) -> bool:
    """True for `localhost` and the names below it, which are never asked of a server (RFC 6761 §6.3)."""
    return name.text == "localhost" or name.text.endswith(".localhost")


def host_nameservers(path: Path) -> tuple[Nameserver, ...]:
    """The `nameserver` lines of resolv.conf(5); empty when there are none. Servers behind a zone id are left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    servers = []
    for words in map(str.split, lines):
        if len(words) > 1 and words[0] == "nameserver" and "%" not in words[1]:
            with suppress(ValueError):
                servers.append(of_this_machine(Nameserver(ip_address(words[1]))))
    return tuple(servers)


async def consult(
    servers: Sequence[Nameserver], question: Question, recorder: Recorder, seconds: float = SERVER_SECONDS
) -> Consultation:
    """Ask *servers* in order until one gives a final answer. If nobody does: the last answer, or the trouble with each server."""
    outcome = Consultation(code="ENOSERVER", trouble="no DNS server is configured")
    waiting, troubles = list(servers), dict[Nameserver, str]()
    for rounds_left in range(ROUNDS - 1, -1, -1):
        silent = []
        for position, server in enumerate(waiting):
            asks_left = len(waiting) - position + len(waiting) * rounds_left
            try:
                answer = await ask(server, question, min(seconds, _spare(recorder) / asks_left), recorder)
            except NoReplyError as error:
                if error.code == "ETIMEOUT":
                    silent.append(server)
                troubles[server] = f"{server}: {error}"
                if outcome.reply is None:
                    outcome = Consultation(server=server, code=error.code, trouble=", ".join(troubles.values()))
                continue
            outcome = Consultation(server=server, reply=answer.reply, arrived=answer.arrived)
            if answer.reply.rcode in _FINAL:
                return outcome
        waiting = silent
    return outcome


def _spare(recorder: Recorder) -> float:
    return max(0.0, recorder.remaining() - MARGIN_SECONDS)
