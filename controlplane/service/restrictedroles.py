"""Roles to which a client of the reference system restricts what it makes: kept and shown, and they restrict nothing here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controlplane.errors import UnusableError

MOST_ROLES = 100
ROLE_CHARACTERS = 200
_NAME = "restricted_roles"


def read(place: str, sent: object) -> tuple[str, ...]:
    """The roles in *sent*, which stands at *place* of a document. Raises UnusableError."""
    if sent is None:
        return ()
    if not isinstance(sent, dict):
        raise UnusableError(f"{place}: is not a valid object")
    roles = sent.get(_NAME) or []
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise UnusableError(f"{place}.{_NAME}: is not a valid list of texts")
    if len(roles) > MOST_ROLES or any(len(role) > ROLE_CHARACTERS for role in roles):
        raise UnusableError(f"{place}.{_NAME}: expected at most {MOST_ROLES} of at most {ROLE_CHARACTERS} characters")
    return tuple(roles)


def shown(roles: Sequence[str]) -> Mapping[str, Any] | None:
    """The object that has them; None without any, because an empty one is a difference to Terraform."""
    return {_NAME: list(roles)} if roles else None
