"""A connection: the operator's entry for one private service, as actions use it.

Templates `{{ name }}` in it stand for its credentials, and are rendered here alone, when a task acts: nothing that a task brings
is ever rendered. A name that the credentials do not have makes the connection unusable; it is never taken for an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from worker.errors import SyntheticsError
from worker.secret import Secret

CERTIFICATE: Final = "tls.certificate"
KEY: Final = "tls.key"
_TEMPLATE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]{0,63})\s*\}\}")


class CredentialsError(SyntheticsError):
    """Credentials of a connection that cannot be read or used. The text names no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionConnection:
    """*secrets* are the credentials, by name; none before the local policy has allowed the task."""

    name: str
    kind: str
    place: str = ""
    """The file and line where the operator wrote it."""
    credentials: CredentialSource | None = None
    allowed_actions: tuple[str, ...] = ()
    """Globs; without any, every action of its kind."""
    allowed_clients: tuple[str, ...] = ()
    concurrency: int | None = None
    secrets: Mapping[str, Secret[str]] = field(default_factory=dict, repr=False)

    def render(self, template: str) -> Secret[str]:
        """*template* with each name replaced by its credential. Raises CredentialsError for a name that is not there."""
        return Secret(_TEMPLATE.sub(lambda match: self.credential(match[1]).reveal(), template))

    def credential(self, name: str) -> Secret[str]:
        """Raises CredentialsError for a name that is not there."""
        found = self.secrets.get(name)
        if found is None:
            raise CredentialsError(f"the connection {self.name} names the credential {name!r}, which is not there")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSource:
    """One place that credentials are read from for every task: a *file*, variables of the *environment*, or a Secret.

    *secret* is the name of a Kubernetes Secret and the key in it under which a file's content stands. *client* are the files of
    a client certificate and its private key, in PEM: they become the credentials `CERTIFICATE` and `KEY`, beside the others.
    """

    file: str | None = None
    environment: tuple[str, ...] = ()
    secret: tuple[str, str] | None = None
    client: tuple[str, str] | None = None


def names_in(template: str) -> frozenset[str]:
    """The credentials that *template* names."""
    return frozenset(_TEMPLATE.findall(template))
