"""Routing: the addresses that a transition is told to, from the handles in its message and from routes by tags. Pure.

An address is a handle without its @; which channel it means is for whoever delivers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct

MOST_ADDRESSES: Final = 50
"""Of one transition: a message that names more names the rest in vain."""


class TagRoute(Struct, frozen=True, kw_only=True):
    """The *handles*, without their @, that are told of every test that bears all *tags*."""

    name: str
    tags: tuple[str, ...] = ()
    handles: tuple[str, ...]


def addresses(handles: Iterable[str], tags: Collection[str], routes: Sequence[TagRoute]) -> tuple[str, ...]:
    """The addresses of a transition whose message has *handles*, of a test with *tags*: each once, the message's first."""
    borne = set(tags)
    routed = (handle for route in routes if set(route.tags) <= borne for handle in route.handles)
    return tuple(dict.fromkeys([*handles, *routed]))[:MOST_ADDRESSES]
