"""A real door for probers under test: loopback is allowed, names are not looked up, a test's own authority is trusted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from worker.net.door import Door
from worker.net.resolver import Resolver
from worker.net.trust import TrustStore
from worker.policy import Policy

LOOPBACK = ("127.0.0.0/8", "::1/128")


def loopback_door(
    *, ca_files: Iterable[Path] = (), allow: tuple[str, ...] = LOOPBACK, deny: tuple[str, ...] = ()
) -> Door:
    policy = Policy.build(allow=allow, deny=deny)
    return Door(policy=policy, resolver=Resolver(()), trust=TrustStore(ca_files))
