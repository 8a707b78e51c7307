"""Principals: who asks for something, and the scopes that let them. The one table of scopes; every use case that changes or reads
for somebody asks here first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from controlplane.errors import ForbiddenError, UnusableError


class KeyScope(Enum):
    """A right that a key carries. The values are what `key create --scopes` and the database say."""

    READ = "read"
    WRITE = "write"
    TRIGGER = "trigger"


MEANINGS = {
    KeyScope.READ: "read tests, results, locations, variables and the audit log",
    KeyScope.WRITE: "create, change and delete tests, locations and variables",
    KeyScope.TRIGGER: "run tests now, alone or in a batch, and follow that batch",
}
"""Each scope in words, for help texts and the API's description."""

Via = Literal["command", "api"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """*name* is what the audit log and `created_by` show; *key* the id of its pair of keys, empty for a person at the shell."""

    name: str
    via: Via
    scopes: frozenset[KeyScope]
    key: str = ""

    def require(self, *any_of: KeyScope) -> None:
        """Raise ForbiddenError unless one of *any_of* is held."""
        if not self.scopes.intersection(any_of):
            raise ForbiddenError(self.name, any_of[0].value)


def operator(name: str) -> Principal:
    """Somebody at a shell that opens the database itself: nothing is kept from them."""
    return Principal(name=name[:200] or "operator", via="command", scopes=frozenset(KeyScope))


def read_scopes(written: Iterable[str]) -> tuple[KeyScope, ...]:
    """The scopes of their names, in the order of the table. Raises UnusableError with what there is."""
    names = [name.strip() for name in written if name.strip()]
    known = {scope.value: scope for scope in KeyScope}
    for name in names:
        if name not in known:
            raise UnusableError(f"{name[:40]!r} is not a valid scope: expected some of {', '.join(known)}")
    if not names:
        raise UnusableError(f"a key without a scope opens nothing: expected some of {', '.join(known)}")
    return tuple(scope for scope in KeyScope if scope.value in names)


def held(stored: Sequence[str]) -> frozenset[KeyScope]:
    """The scopes of a stored key. A name that a later version wrote is no right here."""
    known = {scope.value: scope for scope in KeyScope}
    return frozenset(known[name] for name in stored if name in known)
