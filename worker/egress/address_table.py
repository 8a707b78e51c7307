"""Address ranges in layers, flattened into one table that a binary search answers from.

CIDR ranges nest or lie apart, which is all that the flattening relies on. Within a layer the value of the most specific range
holds; between layers that of the first one that has a value. The values' meaning is the caller's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Generic, TypeAlias, TypeVar

Network: TypeAlias = IPv4Network | IPv6Network
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """An address family cut into stretches: *values[i]* holds from *starts[i]* up to the next start. The first start is 0."""

    starts: tuple[int, ...]
    values: tuple[T, ...]

    def at(self, number: int) -> T:
        """The value for an address, given as a number."""
        return self.values[bisect_right(self.starts, number) - 1]

    def within(self, network: Network) -> tuple[T, ...]:
        """The values for all addresses of a range."""
        first, last = int(network[0]), int(network[-1])
        return self.values[bisect_right(self.starts, first) - 1 : bisect_right(self.starts, last)]


def overlay(layers: Iterable[Iterable[tuple[Network, T]]], default: T) -> Table[T]:
    """One table of *layers*, the strongest first; all ranges of one address family."""
    tables = [_flatten(layer) for layer in layers]
    starts = sorted({0}.union(*(table.starts for table in tables)))
    values = (_first((table.at(start) for table in tables), default) for start in starts)
    return Table(tuple(starts), tuple(values))


def _first(values: Iterable[T | None], default: T) -> T:
    return next((value for value in values if value is not None), default)


def _flatten(layer: Iterable[tuple[Network, T]]) -> Table[T | None]:
    stretches: dict[int, T | None] = {0: None}
    around: list[tuple[int, T]] = []  # the ranges that are open, outermost first: the last address, and the value
    for network, value in sorted(layer, key=_outermost_first):
        first, last = int(network[0]), int(network[-1])
        _close(around, stretches, first)
        stretches[first] = value
        around.append((last, value))
    _close(around, stretches, None)
    return Table(tuple(stretches), tuple(stretches.values()))


def _outermost_first(rule: tuple[Network, T]) -> tuple[int, int]:
    return int(rule[0][0]), rule[0].prefixlen


def _close(around: list[tuple[int, T]], stretches: dict[int, T | None], before: int | None) -> None:
    """End the open ranges that do not reach *before*, the innermost first; the value of what is around them holds again."""
    while around and (before is None or around[-1][0] < before):
        last, _ = around.pop()
        stretches[last + 1] = around[-1][1] if around else None
