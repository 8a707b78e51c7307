"""The doors to targets under the two policies of actions: `free`, for hosts that a task names, is the operator's egress
policy as it stands; `named`, for hosts that the operator wrote into a connection, opens private address space on top of it,
and nothing else.

The metadata services of clouds stay shut under both. Those of one address in unique local space lie amid what `named` opens,
so they are cut out of it; `allowIMDSEndpoint` leaves them in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, TypeVar

from worker.actions.action import ActionFailure
from worker.actions.tools import ActionRoute
from worker.clock import Clock
from worker.egress.address_table import Network
from worker.egress.policy import Policy
from worker.egress.proxy import Proxy
from worker.egress.rules import Glob
from worker.net import alpn
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.failure import door_error
from worker.net.identity import ClientIdentity
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tls import SecureStream
from worker.net.trust import TrustStore
from worker.outcome.failure import FailureCode

_Range = TypeVar("_Range", IPv4Network, IPv6Network)

PRIVATE: Final[tuple[Network, ...]] = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
METADATA: Final[tuple[Network, ...]] = tuple(
    map(ip_network, ("169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128", "168.63.129.16/32"))
)
MOST_KEPT: Final = 16
"""Stores of authorities that are kept, a megabyte each: as many as connections with authorities of their own are usual."""
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python has no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRules:
    """The operator's own rules, as the worker has them. *metadata*: `allowIMDSEndpoint`."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    allow_names: tuple[Glob, ...] = ()
    deny_names: tuple[Glob, ...] = ()
    nat64_prefixes: tuple[IPv6Network, ...] = ()
    block_special_purpose: bool = True
    metadata: bool = False

    def free(self) -> Policy:
        return self._policy(self.allow)

    def named(self) -> Policy:
        shut = (*self.deny, *(() if self.metadata else METADATA))
        return self._policy((*self.allow, *_without(PRIVATE, shut)))

    def _policy(self, allow: Iterable[Network]) -> Policy:
        opened = METADATA if self.metadata else ()
        return Policy.build(
            allow=(*allow, *opened),
            deny=self.deny,
            allow_names=self.allow_names,
            deny_names=self.deny_names,
            block_special_purpose=self.block_special_purpose,
            nat64_prefixes=self.nat64_prefixes,
        )


class ActionDoors:
    """One door for each policy and set of authorities; they keep no connection."""

    def __init__(
        self,
        rules: EgressRules,
        resolver: Resolver,
        clock: Clock,
        *,
        ca_files: Iterable[Path] = (),
        proxy: Proxy | None = None,
    ) -> None:
        self._policies = {True: rules.named(), False: rules.free()}
        self._resolver = resolver
        self._clock = clock
        self._ca_files = tuple(ca_files)
        self._proxy = proxy
        self._trust: dict[tuple[str | None, int, bool], TrustStore] = {}

    def policy(self, *, named: bool) -> Policy:
        return self._policies[named]

    async def to(self, route: ActionRoute) -> Door:
        """Raises ActionFailure (TLS) where the authorities cannot be read."""
        trust = await self._store(route)
        return Door(policy=self._policies[route.named], resolver=self._resolver, trust=trust, proxy=self._proxy)

    async def _store(self, route: ActionRoute) -> TrustStore:
        files = self._ca_files if route.ca_file is None else (*self._ca_files, Path(route.ca_file))
        try:
            changed = 0 if route.ca_file is None else _changed(route.ca_file)
            key = (route.ca_file, changed, route.expired_allowed)
            store = self._trust.pop(key, None)
            if store is None:
                # Reading all authorities takes 20 ms, which the loop has not got.
                make = (
                    (lambda: ForgivingTrustStore(files, self._clock))
                    if route.expired_allowed
                    else lambda: TrustStore(files)
                )
                store = await asyncio.to_thread(make)
        except (OSError, ssl.SSLError):
            raise ActionFailure("TLS", f"the authorities in {route.ca_file} cannot be read as certificates") from None
        self._trust[key] = store
        if len(self._trust) > MOST_KEPT:
            del self._trust[next(iter(self._trust))]
        return store


class ForgivingTrustStore(TrustStore):
    """Takes certificates whose time is over, and is as strict as its parent in all else."""

    def __init__(self, ca_files: Iterable[Path], clock: Clock) -> None:
        self._clock = clock
        super().__init__(ca_files)

    def believe(self, context: ssl.SSLContext) -> None:
        super().believe(context)
        context.verify_flags |= _NO_CHECK_TIME

    async def secure(
        self,
        stream: Stream,
        server_name: str,
        *,
        verify: bool,
        recorder: Recorder,
        identity: ClientIdentity | None = None,
        offer: alpn.Offer = alpn.HTTP1,
    ) -> SecureStream:
        secured = await super().secure(
            stream, server_name, verify=verify, recorder=recorder, identity=identity, offer=offer
        )
        begins = (secured.session.getpeercert() or {}).get("notBefore")
        if (
            begins is not None
            and datetime.fromtimestamp(ssl.cert_time_to_seconds(str(begins)), UTC) > self._clock.now()
        ):
            secured.close()
            raise door_error(FailureCode.SSL, f"{server_name}: the certificate is not valid yet")
        return secured


def _changed(path: str) -> int:
    return Path(path).stat().st_mtime_ns


def _without(opened: Iterable[Network], shut: Iterable[Network]) -> Iterator[Network]:
    """*opened* without the addresses of *shut*."""
    for network in opened:
        pieces: list[Network] = [network]
        for hole in shut:
            pieces = [rest for piece in pieces for rest in _cut(piece, hole)]
        yield from pieces


def _cut(piece: Network, hole: Network) -> Iterator[Network]:
    match piece, hole:
        case IPv4Network(), IPv4Network():
            yield from _rest(piece, hole)
        case IPv6Network(), IPv6Network():
            yield from _rest(piece, hole)
        case _:
            yield piece


def _rest(piece: _Range, hole: _Range) -> Iterator[_Range]:
    if not piece.overlaps(hole):
        yield piece
    elif hole.subnet_of(piece):
        yield from piece.address_exclude(hole)
