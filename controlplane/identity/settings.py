"""ProviderSettings: which provider signs people in, and which of them have which role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controlplane.service.principal import Role
from worker.secret import Secret

EVERYBODY = "*"
SCOPES = "openid profile email"
CLAIM = "groups"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRule:
    """Whoever has *value* among those of the claim has *role*; `EVERYBODY` stands for everybody whom the provider knows."""

    role: Role
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """*issuer* is the provider's name, a URL. A client without a secret is a public one. *claim* holds what *rules* look for.

    *ca_files* hold authorities to trust beside the system's.
    """

    issuer: str
    client_id: str
    client_secret: Secret[str] | None
    rules: Sequence[RoleRule]
    claim: str = CLAIM
    scopes: str = SCOPES
    ca_files: Sequence[Path] = ()

    def role_of(self, values: Sequence[str]) -> Role | None:
        """The highest role that a rule gives, None where none does."""
        given = {rule.role for rule in self.rules if rule.value == EVERYBODY or rule.value in values}
        return next((role for role in (Role.ADMIN, Role.EDITOR, Role.VIEWER) if role in given), None)
