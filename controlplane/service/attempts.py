"""Attempts: how often sign-ins failed, by account and by address. After too many, no password is even compared for a while.

An address that signed in to an account before keeps its way to it, with a count of its own: nobody is kept out by strangers who
guess, also behind one proxy. Bounded in memory, and forgotten by a new process.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from controlplane.errors import AttemptsError
from worker.clock import Clock

MOST_PER_ACCOUNT = 10
MOST_PER_ADDRESS = 30
"""In `WINDOW_NS`: an address may be that of a whole office."""
WINDOW_NS = 300 * 1_000_000_000
MOST_COUNTS = 10_000
"""Accounts and addresses that are remembered, those without a failure for the longest time forgotten first: two megabytes."""
MOST_KNOWN = 1_000
"""Pairs of account and address that signed in."""
_NETWORK_BITS = 64
"""One customer has a /64 of IPv6 at least (RFC 6177): its addresses are one."""

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Failures:
    since: int
    number: int


class SignInAttempts:
    """Counts failures in windows of `WINDOW_NS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[_Key, _Failures] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, account: str, address: str) -> None:
        """Raise AttemptsError where another attempt must wait."""
        source = network_of(address)
        limits: dict[_Key, int] = {("account", account): MOST_PER_ACCOUNT, ("address", source): MOST_PER_ADDRESS}
        if (account, source) in self._known:
            limits = {("both", account, source): MOST_PER_ACCOUNT}
        if longest := max(self._left(key, most) for key, most in limits.items()):
            raise AttemptsError(-(-longest // 1_000_000_000))

    def failed(self, account: str, address: str) -> None:
        """Count a failure, before its outcome is known: attempts at one time are as many as one after another."""
        now = self._clock.monotonic_ns()
        source = network_of(address)
        for key in (("account", account), ("address", source), ("both", account, source)):
            found = self._failures.pop(key, None)
            if found is None or now - found.since >= WINDOW_NS:
                found = _Failures(now, 0)
            found.number += 1
            self._failures[key] = found
        while len(self._failures) > MOST_COUNTS:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forget an account's failures, take back the one that was counted for the address, and know the two together."""
        source = network_of(address)
        for key in (("account", account), ("both", account, source)):
            self._failures.pop(key, None)
        counted = self._failures.get(("address", source))
        if counted is not None:
            counted.number -= 1
        self._known[account, source] = None
        self._known.move_to_end((account, source))
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _left(self, key: _Key, most: int) -> int:
        found = self._failures.get(key)
        if found is None or found.number < most:
            return 0
        return max(0, found.since + WINDOW_NS - self._clock.monotonic_ns())


def network_of(address: str) -> str:
    """The network that stands for an address: an IPv4 address itself, the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
    return str(parsed)
