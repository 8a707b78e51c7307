"""`app`: publish pages whose forms ask a runner, list them, and end them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from controlplane.commands import yamltext
from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.commands.session import UnusableInput
from controlplane.errors import NotFoundError, NotYAMLError, UnusableError
from controlplane.operations import apps, clock, users
from controlplane.operations.apps import DeleteApp, ListApps, PushApp
from controlplane.operations.clock import ReadClock
from controlplane.operations.operation import PlaneClient
from controlplane.operations.users import UserCalled
from controlplane.service.apps import AppView
from controlplane.service.links import NewLink
from worker.program.summaries import SummarizedGroup
from worker.text import counted

MAX_FILE_BYTES = 1024 * 1024


@click.group(cls=SummarizedGroup)
def app() -> None:
    """Apps: pages whose forms a runner answers, without the control plane's seeing values or answers."""


@app.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@with_reach
def push(reach: Reach, file: Path) -> None:
    """Make the app of FILE (YAML or JSON), or put another version in its place. - is standard input."""
    view = reach.ask(apps.PUSH, PushApp(app=_read(file)))
    queries = counted(len(view.definition.queries), "query").replace("querys", "queries")
    word = f"is version {view.app.version}" if view.is_changed else f"is version {view.app.version} already"
    click.echo(f"app {view.app.name!r} {word}: {queries} on runner {view.runner_name!r}, at /apps/{view.app.name}")


@app.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every app: its version, its runner, who may use it, and when it was changed last."""
    found, now = reach.run(_list)
    if as_json:
        echo_values(map(_as_json, found))
        return
    rows = [
        (
            one.app.name,
            str(one.app.version),
            one.runner_name,
            ", ".join(one.definition.queries),
            ", ".join(one.definition.allow),
            f"{ago(now - one.app.modified_at)} by {one.app.modified_by}",
        )
        for one in found
    ]
    heads = ("NAME", "VERSION", "RUNNER", "QUERIES", "FOR", "CHANGED")
    echo_table(heads, rows)


@app.command()
@click.argument("name")
@click.option(
    "--user", "user", required=True, metavar="NAME", help="Who is to use it: a user whom `user add` has added."
)
@click.option("--at", metavar="URL", help="The control plane's address in a browser.  [default: --url, or loopback]")
@with_reach
def link(reach: Reach, name: str, *, user: str, at: str | None) -> None:
    """Print a link that signs a user in and opens the app NAME. It works once, within ten minutes."""

    async def work(client: PlaneClient) -> NewLink:
        found = await client.ask(apps.LIST, ListApps())
        named = next((one for one in found if name in (one.app.name, one.app.id)), None)
        if named is None:
            raise NotFoundError("app", name, [one.app.name for one in found])
        made = await client.ask(users.LINK, UserCalled(user=user))
        if not named.definition.lets(f"user/{made.user}"):
            allowed = ", ".join(named.definition.allow)
            raise UnusableError(f"app {named.app.name!r} is not for user/{made.user}: it is for {allowed}")
        return made

    made = reach.run(work)
    address = (at or reach.intake_url).rstrip("/") + made.path.reveal()
    click.echo(f"{address}&next={quote(f'/apps/{name}', safe='')}")


@app.command()
@click.argument("name")
@with_reach
def delete(reach: Reach, name: str) -> None:
    """End the app NAME: its page is gone, and no token is made for it any more."""
    gone = reach.ask(apps.DELETE, DeleteApp(app=name))
    click.echo(f"app {gone.name!r} is deleted")


async def _list(client: PlaneClient) -> tuple[tuple[AppView, ...], int]:
    return await client.ask(apps.LIST, ListApps()), await client.ask(clock.READ, ReadClock())


def _read(file: Path) -> dict[str, Any]:
    """The one definition of *file*."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise UnusableInput(f"{file}: larger than {MAX_FILE_BYTES} bytes")
        documents = [each.value for each in yamltext.read(data)]
    except OSError as error:
        raise UnusableInput(f"{file}: {error.strerror}") from error
    except NotYAMLError as error:
        raise UnusableInput(f"{file}: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise UnusableInput(f"{file}: is not a valid app: expected one mapping")
    return documents[0]


def _as_json(one: AppView) -> dict[str, object]:
    return {
        "id": one.app.id,
        "name": one.app.name,
        "version": one.app.version,
        "runner": one.runner_name,
        "allow": one.definition.allow,
        "queries": {name: query.action for name, query in one.definition.queries.items()},
        "modified_at": one.app.modified_at,
        "modified_by": one.app.modified_by,
    }
