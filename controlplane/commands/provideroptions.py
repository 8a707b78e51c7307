"""Options of `serve` that name a provider of identities, read together into one value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from controlplane.errors import UnusableError
from controlplane.identity.settings import CLAIM, EVERYBODY, SCOPES, ProviderSettings, RoleRule
from controlplane.service.principal import Role, read_role
from worker.egress.hosts import is_private_way
from worker.secret import Secret

MAX_SECRET_BYTES = 4_096


def rules(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[RoleRule, ...]:
    """Read `ROLE=VALUE`, once for each rule."""
    found = []
    for value in values:
        role, equals, wanted = value.partition("=")
        try:
            found.append(RoleRule(role=read_role(role), value=wanted))
        except UnusableError as error:
            raise click.BadParameter(str(error)) from error
        if not equals or not wanted:
            raise click.BadParameter(f"{value!r} is not a valid rule: expected ROLE=VALUE")
    return tuple(found)


def provider_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the parameter `provider`, a ProviderSettings or None."""

    @functools.wraps(command)
    def wrapped(
        *,
        oidc_issuer: str | None,
        oidc_client_id: str | None,
        oidc_secret_file: Path | None,
        oidc_rules: tuple[RoleRule, ...],
        oidc_claim: str,
        oidc_scopes: str,
        oidc_ca_files: tuple[Path, ...],
        **others: Any,
    ) -> None:
        provider = None
        if oidc_issuer is not None:
            _check(oidc_issuer, oidc_client_id, oidc_rules, oidc_scopes)
            provider = ProviderSettings(
                issuer=oidc_issuer,
                client_id=oidc_client_id or "",
                client_secret=None if oidc_secret_file is None else _secret(oidc_secret_file),
                rules=oidc_rules,
                claim=oidc_claim,
                scopes=oidc_scopes,
                ca_files=oidc_ca_files,
            )
        elif oidc_client_id or oidc_secret_file or oidc_rules or oidc_ca_files:
            raise click.UsageError("the other options of --oidc-… need --oidc-issuer")
        command(provider=provider, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


_OPTIONS = (
    click.option(
        "--oidc-issuer", metavar="URL", help="A provider of identities (OpenID Connect) that signs people in."
    ),
    click.option("--oidc-client-id", metavar="ID", help="The provider's name for this control plane."),
    click.option(
        "--oidc-client-secret-file",
        "oidc_secret_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The client's secret; without one it is a public client.",
    ),
    click.option(
        "--oidc-role",
        "oidc_rules",
        multiple=True,
        metavar="ROLE=VALUE",
        callback=rules,
        help=f"Who has VALUE among --oidc-claim has ROLE, the highest wins; {EVERYBODY} is everybody: admin=ops, viewer=*.",
    ),
    click.option(
        "--oidc-claim", default=CLAIM, show_default=True, metavar="NAME", help="The claim that roles look into."
    ),
    click.option("--oidc-scopes", default=SCOPES, show_default=True, help="What the provider is asked for."),
    click.option(
        "--oidc-ca-file",
        "oidc_ca_files",
        multiple=True,
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Authorities (PEM) that the provider is believed by, beside the system's.",
    ),
)


def _check(issuer: str, client: str | None, given: Sequence[RoleRule], scopes: str) -> None:
    if not is_private_way(issuer) or "?" in issuer or "#" in issuer:
        raise click.UsageError(
            f"--oidc-issuer {issuer!r} is not a valid issuer: an https URL without a query is expected"
        )
    if not client:
        raise click.UsageError("--oidc-issuer needs --oidc-client-id")
    if not given:
        names = ", ".join(role.value for role in Role)
        raise click.UsageError(f"--oidc-issuer needs --oidc-role: nobody would have a role ({names})")
    if "openid" not in scopes.split():
        raise click.UsageError("--oidc-scopes has no openid: without it there is no identity")


def _secret(path: Path) -> Secret[str]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--oidc-client-secret-file {path}: cannot be read: {error}") from error
    if not text:
        raise click.UsageError(f"--oidc-client-secret-file {path}: is empty")
    return Secret(text)
