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
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from worker.apitest.failure import FailureCode
from worker.net.dial import dial, peer_text
from worker.net.failure import DoorError, of_handshake_error, of_os_error, shut
from worker.net.host import Address, Name, parse_host
from worker.net.recorder import Recorder
from worker.net.resolver import Resolver
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

    async def _judged(self, text: str, recorder: Recorder) -> list[Address]:
        """The addresses that *text* means and the policy allows, in order; never empty."""
        host = parse_host(text)
        bare = str(host)
        named = self._policy.judge_name(bare)
        if not named.allowed:
            raise denied(bare, named)
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
            raise denied(bare, decisions[0][1])
        return allowed

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


def denied(host: str, decision: Decision) -> DoorError:
    """Names the rule and what would lift it, never the address that was judged."""
    return shut(FailureCode.DENIED, f"the egress policy does not allow {host}: {decision.message}")
