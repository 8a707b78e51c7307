"""The leases that this instance has, by its own clock: until when each holds, and whether its action has begun. No IO.

The control plane renews all of them with each pull that names them. Where it falls silent nothing that runs is stopped, but no
`once` action begins under a lease that has ended: somebody else may have it by then.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from worker.actions.action import Effect
from worker.wire.runner_messages import HeldTask


@dataclass(slots=True)
class _HeldLease:
    name: str
    lease_ns: int
    until_ns: int
    effect: Effect | None = None


class LeaseBook:
    """Leases by the key of their task. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._leases: dict[str, _HeldLease] = {}

    def take(self, key: str, lease: str, *, lease_ms: int, asked_ns: int) -> None:
        """Note a lease that came with the reply to a pull that was sent at *asked_ns*."""
        known = self._leases.get(key)
        lease_ns = lease_ms * 1_000_000
        effect = known.effect if known is not None else None
        self._leases[key] = _HeldLease(lease, lease_ns, asked_ns + lease_ns, effect)

    def renew(self, leases: Collection[str], *, asked_ns: int) -> None:
        """Note that a pull sent at *asked_ns* named *leases* and was answered: these hold on, and no others are known."""
        named = frozenset(leases)
        for key, held in tuple(self._leases.items()):
            if held.name in named:
                held.until_ns = asked_ns + held.lease_ns
            else:
                del self._leases[key]

    def begin(self, key: str, effect: Effect) -> None:
        """Note that the action of a task begins, and what it does."""
        if key in self._leases:
            self._leases[key].effect = effect

    def holds(self, key: str, *, now_ns: int) -> bool:
        held = self._leases.get(key)
        return held is not None and now_ns < held.until_ns

    def name(self, key: str) -> str | None:
        """The newest lease of a task."""
        held = self._leases.get(key)
        return None if held is None else held.name

    def describe(self, leases: Collection[str]) -> tuple[HeldTask, ...]:
        """*leases* as a pull names them. One that is not in the book was finished by another instance, and has begun."""
        known = {held.name: held for held in self._leases.values()}
        return tuple(_described(lease, known.get(lease)) for lease in leases)


def _described(lease: str, held: _HeldLease | None) -> HeldTask:
    if held is None:
        return HeldTask(lease=lease, started=True)
    return HeldTask(
        lease=lease,
        started=held.effect is not None,
        effect=None if held.effect is None else held.effect.value,
    )
