"""Callers as the database knew them last, so that a refusal can be signed while it does not answer. It lets nobody in."""

from __future__ import annotations

from collections import OrderedDict

from controlplane.store.locations import Access

MOST = 1_000
"""Access keys, the longest unheard dropped first: some kilobytes each."""


class KnownCallers:
    """The location and keys that each access key opened when it was last looked up."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, str], Access] = OrderedDict()

    def remember(self, access_key: str, location: str, access: Access) -> None:
        self._known[access_key, location] = access
        self._known.move_to_end((access_key, location))
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def recall(self, access_key: str, location: str) -> Access | None:
        return self._known.get((access_key, location))
