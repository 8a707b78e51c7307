"""`key`: make, list and revoke keys of the public API."""

from __future__ import annotations

import click

from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import clock, keys
from controlplane.operations.clock import ReadClock
from controlplane.operations.keys import CreateKey, ListKeys, RevokeKey
from controlplane.operations.operation import PlaneClient
from controlplane.service.principal import MEANINGS, KeyScope
from controlplane.store.keys import StoredKey
from worker.program.summaries import SummarizedGroup
from worker.text import json_line


@click.group(cls=SummarizedGroup)
def key() -> None:
    """Keys of the public API."""


@key.command()
@click.argument("name")
@click.option(
    "--scopes",
    default=KeyScope.READ.value,
    show_default=True,
    metavar="SCOPE,…",
    help="; ".join(f"{scope}: {meaning}" for scope, meaning in MEANINGS.items()),
)
@click.option("--json", "as_json", is_flag=True, help='Print {"api_key", "app_key"} and nothing else.')
@with_reach
def create(reach: Reach, name: str, *, scopes: str, as_json: bool) -> None:
    """Make an API key and its application key. They are shown now and never again."""
    new = reach.ask(keys.CREATE, CreateKey(name=name, scopes=scopes.split(",")))
    api_key, app_key = new.api_key.reveal(), new.app_key.reveal()
    if as_json:
        click.echo(json_line({"api_key": api_key, "app_key": app_key}))
        return
    click.echo(f"key {name!r} may {', '.join(new.key.scopes)}; nobody can show it again:\n")
    click.echo(f"DD_API_KEY={api_key}\nDD_APP_KEY={app_key}")


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every key: its scopes, and when it was used last."""
    found, now = reach.run(_list)
    if as_json:
        echo_values(map(_as_json, found))
        return
    rows = [
        (
            one.id,
            one.name,
            ", ".join(one.scopes),
            ago(now - one.created_at),
            "never" if one.last_used_at is None else ago(now - one.last_used_at),
        )
        for one in found
    ]
    echo_table(("ID", "NAME", "SCOPES", "CREATED", "LAST USED"), rows)


async def _list(client: PlaneClient) -> tuple[tuple[StoredKey, ...], int]:
    return await client.ask(keys.LIST, ListKeys()), await client.ask(clock.READ, ReadClock())


def _as_json(one: StoredKey) -> dict[str, object]:
    return {
        "id": one.id,
        "name": one.name,
        "scopes": list(one.scopes),
        "created_at": one.created_at,
        "last_used_at": one.last_used_at,
    }


@key.command()
@click.argument("name")
@with_reach
def revoke(reach: Reach, name: str) -> None:
    """End the key NAME (a name or an id) at once."""
    gone = reach.ask(keys.REVOKE, RevokeKey(key=name))
    click.echo(f"key {gone.name!r} is revoked")
